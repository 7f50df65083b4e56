# Packages of other Debian releases, unpacked and never installed. Read by ./dev.
# shellcheck shell=bash

readonly DEBIAN_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg
readonly DEBIAN_MIRROR=${NFCT_DEBIAN_MIRROR:-http://deb.debian.org/debian}

# Sets `apt_options`: apt with only the lists of Debian $1, kept below $2. Packages and settings of this
# machine are ignored, except for the proxy.
use_debian() {
    local list=$2/sources.list arch
    arch=$(dpkg --print-architecture)
    mkdir -p "$2/lists/partial" "$2/cache/archives/partial"
    echo "deb [arch=$arch signed-by=$DEBIAN_KEYS] $DEBIAN_MIRROR $1 main" >"$list"
    apt_options=(-qq -o "Dir::Etc::SourceList=$list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
        -o "Dir::State::Lists=$2/lists" -o Dir::State::Status=/dev/null -o "Dir::Cache=$2/cache"
        -o APT::Architecture="$arch" -o APT::Architectures= -o APT::Sandbox::User=
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
    apt-get "${apt_options[@]}" update
}

# Downloads the packages "$2…" into $1 and unpacks them to $1/root, after `use_debian`.
fetch_debian() {
    local work=$1 package
    shift
    (cd "$work" && apt-get "${apt_options[@]}" download "$@")
    mkdir -p "$work/root"
    for package in "$work"/*.deb; do
        dpkg -x "$package" "$work/root"
        rm "$package"
    done
}

# Returns whether this machine can unpack packages for the purpose $1; otherwise reports the missing programs.
can_debian() {
    local missing=
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || missing="apt-get and dpkg"
    [ -n "$missing" ] || [ -e "$DEBIAN_KEYS" ] || need debian-keys
    [ -n "$missing" ] || return 0
    local message="$1 come as Debian packages, which needs $missing"
    [ -z "${CI:-}${NFCT_REQUIRE_KERNEL:-}" ] || die "$message"
    say "SKIPPED: $message"
    return 1
}
