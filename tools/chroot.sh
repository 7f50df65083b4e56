# Chroots of Debian, for commands that need another release than this machine's. Read by ./dev.
# shellcheck shell=bash
#
# Mounts are made in a mount namespace and end with each command.

# Folders of this machine that are visible in the chroot, read-only: "here:there".
mounts=()

# Creates the chroot of Debian $1 below the folder $2 if it does not exist, and sets `chroot`.
make_debian_chroot() {
    mkdir -p "$2"
    chroot=$(cd "$2" && pwd)/$1
    if ! [ -e "$chroot/complete" ]; then
        say "making a chroot of Debian $1 in $chroot"
        as_root rm -rf "$chroot"
        as_root nice debootstrap --variant=minbase --include=ca-certificates --keyring="$DEBIAN_KEYS" \
            "$1" "$chroot" "$DEBIAN_MIRROR"
        as_root touch "$chroot/complete"
    fi
    # A lost chroot is simply made again, so no package has to be on disk before the next one.
    echo force-unsafe-io | as_root tee "$chroot/etc/dpkg/dpkg.cfg.d/unsafe-io" >/dev/null
    # The settings with which the apt of this machine reaches a mirror, such as a proxy.
    ! command -v apt-config >/dev/null ||
        { apt-config dump | grep -E '^Acquire::(https?|Check-)' || true; } |
        as_root tee "$chroot/etc/apt/apt.conf.d/90host" >/dev/null
}

# Runs "$@" in the chroot, with `mounts` and a clean environment, except for proxies and the settings of the
# tests. Arguments of the form VARIABLE=VALUE come first.
in_chroot() {
    local passed=() name
    for name in http_proxy https_proxy no_proxy CARGO_BUILD_JOBS CARGO_PROFILE_DEV_DEBUG ${!NFCT_@}; do
        [ -z "${!name+set}" ] || passed+=("$name=${!name}")
    done
    # shellcheck disable=SC2016 # expanded by the inner shell
    as_root unshare --mount --propagation private bash -c '
        set -e
        root=$1
        shift
        # A mount point, because tests need one in mount namespaces of their own.
        mount --bind "$root" "$root"
        for directory in proc sys dev; do mount --rbind "/$directory" "$root/$directory"; done
        while [ "$1" != -- ]; do
            mkdir -p "$root${1##*:}"
            mount --bind -o ro "${1%:*}" "$root${1##*:}"
            shift
        done
        shift
        exec chroot "$root" env -i "$@"' - \
        "$chroot" "${mounts[@]}" -- HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        DEBIAN_FRONTEND=noninteractive "${passed[@]}" "$@"
}

install_in_chroot() {
    say "installing in the chroot: $*"
    in_chroot apt-get install -qy --no-install-recommends "$@"
}
