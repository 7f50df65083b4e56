# The Rust that is used, its source, and the crates. Read by ./dev.
# shellcheck shell=bash

# The folder of rustup's programs.
CARGO_BIN=${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
PATH="$PATH:$CARGO_BIN"

readonly RUSTUP_SITE=https://sh.rustup.rs

# The oldest Rust that builds this: Cargo.toml is the only place with that version.
rust_floor() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1; }

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

rust_version() { rustc --version 2>/dev/null | cut -d' ' -f2; }

have_rust() { command -v cargo >/dev/null && at_least "$(rust_floor)" "$(rust_version)"; }

host_target() { rustc -vV | sed -n 's/^host: //p'; }

# If the first Rust in PATH is too old, uses a newer one: rustup's, or a second one of Ubuntu.
find_rust() {
    have_rust && return
    local folder
    for folder in "$CARGO_BIN" /usr/lib/rust-*/bin; do
        PATH="$folder:$PATH" have_rust || continue
        PATH="$folder:$PATH"
        return
    done
    command -v rustup >/dev/null && RUSTUP_TOOLCHAIN=stable have_rust && export RUSTUP_TOOLCHAIN=stable
}

# The distribution's packages with Rust, or a part of it, if they are new enough. Nothing if rustup is already
# in use.
packaged_rust() {
    local floor candidates=() versions packages
    ! command -v rustup >/dev/null || return 0
    floor=$(rust_floor)
    case $manager:$1 in
        apt-get:rust)
            candidates=("rustc cargo" "rustc-$floor cargo-$floor")
            # Debian 12 has a newer one for browsers, which replaces the other.
            [ -e /usr/bin/rustc ] || candidates+=("rustc-web cargo-web")
            ;;
        apt-get:fmt) candidates=(rustfmt "rustfmt-$floor" rustfmt-web) ;;
        apt-get:clippy) candidates=(rust-clippy "rust-$floor-clippy") ;;
        dnf:rust) candidates=("rust cargo") ;;
        dnf:fmt) candidates=(rustfmt) ;;
        dnf:clippy) candidates=(clippy) ;;
    esac
    versions=$(packaged_versions "${candidates[@]%% *}")
    for packages in "${candidates[@]}"; do
        at_least "$floor" "$(sed -n "s/^${packages%% *} //p" <<<"$versions")" || continue
        echo "$packages"
        return
    done
    [ -n "$versions" ] || [ "$1" != rust ] || usual_rust
}

# The packages with Rust, guessed from the name of the distribution: without apt's package lists, an
# administrator is still asked for everything at once.
usual_rust() {
    # shellcheck source=/dev/null
    case $manager:$(. /etc/os-release && echo "$ID ${VERSION_ID:-}") in
        "apt-get:debian 12") [ -e /usr/bin/rustc ] || echo rustc-web cargo-web ;;
        apt-get:debian\ 1[01]) ;;
        apt-get:debian\ *) echo rustc cargo ;;
        "apt-get:ubuntu 24.04") echo rustc-1.85 cargo-1.85 ;;
    esac
}

# Prints a line "name version" for each of these packages that the distribution has.
packaged_versions() {
    case $manager in
        apt-get) apt-cache policy "$@" | sed -n '/^[^ ]*:$/ { s/:$//; h }; /^ *Candidate: [0-9]/ { s/.*: //; H; x; s/\n/ /p }' ;;
        dnf) dnf -q repoquery --latest-limit=1 --qf '%{name} %{version}\n' "$@" ;;
    esac 2>/dev/null
}

# Installs `rust`, `fmt` or `clippy` with rustup, for this user.
install_with_rustup() {
    local thing
    for thing in "$@"; do
        case $thing in
            rust) install_rust ;;
            fmt) add_component rustfmt ;;
            *) add_component "$thing" ;;
        esac || { advise_rustup >&2; die "$thing cannot be installed with rustup: see above"; }
    done
}

install_rust() {
    if command -v rustup >/dev/null; then
        say "installing the newest stable Rust with rustup"
        rustup toolchain install stable --profile minimal
    else
        say "installing Rust for this user with rustup, in $CARGO_BIN"
        local script
        script=$(curl --proto '=https' --tlsv1.2 -sSf "$RUSTUP_SITE") &&
            sh -s -- -y --no-modify-path --profile minimal <<<"$script"
    fi
}

add_component() {
    say "installing $1 with rustup"
    find_rust && rustup component add "$1"
}

advise_rustup() {
    local floor
    floor=$(rust_floor)
    cat <<END
This distribution has no package of Rust $floor or newer, or its lists of packages are not here (apt-get update).
Install it with rustup instead, which needs no administrator:
    curl --proto '=https' --tlsv1.2 -sSf $RUSTUP_SITE | sh
Behind a proxy, set https_proxy. Without a network, unpack an archive from
https://forge.rust-lang.org/infra/other-installation-methods.html and put its cargo and rustc first in PATH.
END
}

# Downloads the crates in Cargo.lock if they are not here yet: without them nothing can be built.
get_crates() {
    cargo fetch --target "$(host_target)" || die "the crates that Cargo.lock names cannot be downloaded: see above.
Behind a proxy, set https_proxy. Without a network, run \`cargo fetch\` in a checkout on a machine that has one,
and copy its ~/.cargo/registry to ${CARGO_BIN%/bin}/registry here."
}
