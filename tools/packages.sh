# Packages of distributions, made with their own tools. Read by ./dev.
# shellcheck shell=bash

# The published crates, each after its dependencies.
readonly CRATES=(libnetfilter-conntrack-sys netfilter-conntrack)

# Makes the tarballs of the crates, as uploaded to crates.io, in $target/package. A warning is an error. A
# work tree with changes is packaged too: the packages only have to build.
package_crates() {
    local log=$target/package.log
    mkdir -p "$target"
    cargo package --locked --allow-dirty "${CRATES[@]/#/--package=}" "$@" 2>&1 | tee "$log" >&2
    ! grep '^warning' "$log" || die "cargo package warns: see above"
}

# The tarballs depend only on the files: made again, in another folder, at another time and with other file
# modes, they have the same bytes.
check_reproducible() {
    local mask crate folder
    for mask in 022 077; do
        folder=$target/reproducible/$mask
        rm -rf "$folder"
        mkdir -p "$folder"
        tar --exclude=./target --exclude=./.git -cf - . |
            (cd "$folder" && umask $mask && tar --no-same-permissions -xmf -)
        folder=$(cd "$folder" && pwd)
        (cd "$folder" && target=$folder/target CARGO_TARGET_DIR=$folder/target package_crates --no-verify)
    done
    for crate in "$target"/reproducible/022/target/package/*.crate; do
        cmp "$crate" "${crate/022/077}" || die "cargo package makes another ${crate##*/} each time"
        say "the same bytes twice: ${crate##*/}"
    done
}

# The version of all crates.
crate_version() { sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1; }

# Makes the tarballs and sets `crates` to a folder with only them.
collect_crates() {
    package_crates --no-verify
    crates=$target/crates
    rm -rf "$crates"
    mkdir -p "$crates"
    crates=$(cd "$crates" && pwd)
    local crate
    for crate in "${CRATES[@]}"; do cp "$target/package/$crate-$(crate_version).crate" "$crates"; done
}

# A step of tools/packages/debian, with a network and without one.
online() { say "$*"; in_chroot /steps/debian "$@"; }
offline() {
    say "$*, without a network"
    in_chroot "DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS:-}" unshare --net /steps/debian "$@"
}

# Packages for Debian $1 (default: trixie), made and tested there. With features "$2…", only their tests run
# (`@` stands for all of them). DEB_BUILD_OPTIONS=nocheck skips the tests of the builds.
cmd_debian() {
    local suite=trixie crate user failed=0 crates
    case ${1:-} in
        trixie | sid)
            suite=$1
            shift
            ;;
    esac
    need unshare debootstrap debian-keys certificates rust
    collect_crates
    make_debian_chroot "$suite" "$target/debian"
    mounts=("$crates:/crates" "$PWD/packaging:/packaging" "$PWD/tools/packages:/steps")
    in_chroot apt-get -q update
    install_in_chroot build-essential fakeroot debcargo dh-cargo lintian autopkgtest
    offline registry
    for crate in "${CRATES[@]}"; do
        offline source "$crate" "$(crate_version)"
        online depends "$crate"
        offline build "$crate"
        offline lint "$crate"
        online install "$crate"
    done
    offline program
    for crate in "${CRATES[@]}"; do
        for user in root builder; do offline tests "$crate" "$user" "$@" || failed=1; done
    done
    offline summary
    [ $failed = 0 ] || die "tests failed: see above"
}

# A step of tools/packages/fedora, with a network and without one.
rpm_online() { say "$*"; in_chroot /steps/fedora "$@"; }
rpm_offline() { say "$*, without a network"; in_chroot unshare --net /steps/fedora "$@"; }

# Packages in the form of Fedora's, made with Debian's rpmbuild: see docs/packaging.md.
cmd_fedora() {
    local crate crates python=$target/cargo2rpm
    need unshare debootstrap debian-keys certificates rust pip3
    collect_crates
    pip3 install --quiet --upgrade --target "$python" cargo2rpm
    make_debian_chroot trixie "$target/debian"
    mounts=("$crates:/crates" "$PWD/packaging:/packaging" "$PWD/tools/packages:/steps"
        "$(cd "$python" && pwd):/cargo2rpm")
    in_chroot apt-get -q update
    install_in_chroot rpm cpio python3 cargo rustc gcc libc6-dev libnetfilter-conntrack-dev nftables iproute2 conntrack
    rpm_offline unpack
    for crate in "${CRATES[@]}"; do
        rpm_offline cargo2rpm "$crate"
        rpm_online depends "$crate"
        rpm_offline build "$crate"
    done
    rpm_offline summary
}
