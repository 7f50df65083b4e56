# Tests for other targets and with the oldest supported Rust, in a chroot of Debian. Read by ./dev.
# shellcheck shell=bash
#
# Debian trixie has Rust 1.85 as a package of its own, with its standard library for every architecture, cross
# compilers, and qemu-user. So one chroot is enough for all, below target/targets. Only apt uses the network
# there: this machine's cargo vendors the crates in Cargo.lock, and the chroot's cargo builds from those.

readonly SUITE=trixie

# The default targets of `./dev targets`.
readonly ALL_TARGETS=(rust i386 s390x armhf arm64 musl)

# Foreign architectures: Debian's name, Rust's target, the GNU triplet of compiler and directories, and, if
# this machine cannot run the programs itself, the emulator.
readonly FOREIGN=(
    "i386 i686-unknown-linux-gnu i386-linux-gnu native"
    "s390x s390x-unknown-linux-gnu s390x-linux-gnu qemu-s390x"
    "armhf armv7-unknown-linux-gnueabihf arm-linux-gnueabihf qemu-arm"
    "arm64 aarch64-unknown-linux-gnu aarch64-linux-gnu qemu-aarch64"
)

# The library and its dependencies: with headers, and to run.
readonly LIBRARY_PACKAGES=(libnetfilter-conntrack-dev libnfnetlink-dev libmnl-dev
    libnetfilter-conntrack3 libnfnetlink0 libmnl0)

# Sets `chroot` and `vendor`, and creates both if they do not exist.
make_chroot() {
    mkdir -p "$target/targets/vendor"
    vendor=$(cd "$target/targets/vendor" && pwd)
    make_debian_chroot "$SUITE" "$target/targets"
    mounts=("$PWD:/src" "$vendor:/vendor")
    in_chroot mkdir -p /build
    say "updating the chroot's lists of packages"
    local arch
    for arch in i386 s390x armhf arm64; do in_chroot dpkg --add-architecture "$arch"; done
    in_chroot apt-get -q update
    install_in_chroot rustc cargo gcc libc6-dev pkg-config libclang-dev libnetfilter-conntrack-dev \
        nftables iproute2 conntrack
    echo '[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "/vendor"' | in_chroot sh -c 'mkdir -p /root/.cargo && cat >/root/.cargo/config.toml'
}

# The chroot's cargo builds from sources that this machine's cargo has fetched. "$@" are further manifests
# whose packages are needed.
vendor_packages() {
    say "vendoring the packages of Cargo.lock in $vendor"
    # The standard library's manifests use features that are unstable for all other crates.
    RUSTC_BOOTSTRAP=1 cargo vendor --quiet --locked --versioned-dirs "${@/#/--sync=}" "$vendor" >/dev/null
}

# Runs the chroot's cargo on the sources as they are here: warnings are errors.
cargo_in_chroot() {
    local variables=()
    while [[ $1 == *=* ]]; do
        variables+=("$1")
        shift
    done
    # shellcheck disable=SC2016 # expanded by the inner shell
    in_chroot CARGO_TARGET_DIR=/build CARGO_TERM_COLOR=never RUSTFLAGS=-Dwarnings RUSTDOCFLAGS=-Dwarnings \
        "${variables[@]}" sh -c 'cd /src && exec cargo "$@"' - "$@"
}

# Sets `rust_target`, `triplet` and `emulator` of the architecture $1.
describe_target() {
    local line arch
    for line in "${FOREIGN[@]}"; do
        read -r arch rust_target triplet emulator <<<"$line"
        [ "$arch" != "$1" ] || return 0
    done
    die "no such target: $1 (there are: ${ALL_TARGETS[*]})"
}

# Runs cargo for the architecture $1, with the settings of a cross build.
cargo_for_target() {
    local rust_target triplet emulator variable runner=
    describe_target "$1"
    shift
    variable=${rust_target//-/_}
    local settings=(CARGO_BUILD_TARGET="$rust_target" PKG_CONFIG_ALLOW_CROSS=1
        "PKG_CONFIG_LIBDIR_$variable=/usr/lib/$triplet/pkgconfig")
    variable=CARGO_TARGET_${variable^^}
    if [ "$emulator" = native ]; then
        settings+=("${variable}_LINKER=i686-linux-gnu-gcc")
    else
        # The C library is the cross compiler's; unpacked packages are in the places where they would be
        # installed. Without root, so that tests notice that they cannot reach a kernel and are skipped.
        runner="setpriv --reuid=65534 --regid=65534 --clear-groups $emulator -L /usr/$triplet -E LD_LIBRARY_PATH=/usr/lib/$triplet"
        settings+=("${variable}_LINKER=$triplet-gcc" "${variable}_RUNNER=$runner"
            "BINDGEN_EXTRA_CLANG_ARGS_${rust_target//-/_}=-isystem /usr/$triplet/include")
    fi
    cargo_in_chroot "${settings[@]}" "$@"
}

# Debian's own Rust, which is the oldest supported one: all tests, natively.
target_rust() { cargo_in_chroot test --workspace --all-features --locked --no-fail-fast; }

# All tests as programs of 32 bits, on this machine's kernel. Documentation is not built again.
target_i386() {
    [ "$(in_chroot dpkg --print-architecture)" = amd64 ] || { say "FAILED: only an amd64 machine runs programs of i386"; return 1; }
    install_in_chroot gcc-i686-linux-gnu libc6-dev:i386 libstd-rust-dev:i386 libnetfilter-conntrack-dev:i386 || return
    cargo_for_target i386 test --workspace --all-features --locked --no-fail-fast --lib --bins --tests --examples
}

# Unit tests of the architecture $1 in an emulator. It does not pass on netlink for netfilter, so tests of the
# kernel are skipped.
target_emulated() {
    local rust_target triplet emulator
    describe_target "$1"
    install_in_chroot qemu-user "gcc-$triplet" "libc6-dev-$1-cross" || return
    unpack_foreign "$1" || return
    NFCT_TEST_CASES=${NFCT_TEST_CASES:-200} cargo_for_target "$1" test --workspace --all-features --locked \
        --no-fail-fast --lib
}

# Unpacks packages of the architecture $1 over the chroot. Installing them would need the same version of each
# package on every architecture, which a mirror does not always have.
unpack_foreign() {
    local packages=(libstd-rust-dev "libstd-rust-$(in_chroot rustc --version | cut -d' ' -f2 | cut -d. -f1,2)"
        "${LIBRARY_PACKAGES[@]}")
    say "unpacking in the chroot, for $1: ${packages[*]}"
    # shellcheck disable=SC2016 # expanded by the inner shell
    in_chroot sh -ec 'rm -rf /unpacking; mkdir /unpacking; cd /unpacking
        apt-get -qq -o APT::Sandbox::User=root download "$@"
        for package in *.deb; do dpkg -x "$package" /; done
        rm -rf /unpacking' - "${packages[@]/%/:$1}"
}

# musl: the library, its tests and examples are type-checked with a standard library built for it.
# There is no package of the C library for musl to link with.
target_musl() {
    local machine rust_target
    machine=$(uname -m) rust_target=$(uname -m)-unknown-linux-musl
    install_in_chroot rust-src musl-dev || return
    vendor_packages "$chroot/usr/lib/rustlib/src/rust/library/Cargo.toml" || return
    # musl's headers come before glibc's, and after them those of the kernel.
    cargo_in_chroot RUSTC_BOOTSTRAP=1 CARGO_BUILD_TARGET="$rust_target" PKG_CONFIG_ALLOW_CROSS=1 \
        "PKG_CONFIG_LIBDIR_${rust_target//-/_}=/usr/lib/$machine-linux-gnu/pkgconfig" \
        "BINDGEN_EXTRA_CLANG_ARGS_${rust_target//-/_}=-isystem /usr/include/$machine-linux-musl -idirafter /usr/include/$machine-linux-gnu" \
        check -Zbuild-std --workspace --all-features --locked --all-targets
}

# The versions that the results depend on, in the form of docs/tested.md.
print_versions() {
    # shellcheck disable=SC2016 # dpkg's own variables
    { in_chroot dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' rustc libc6 'libclang1-*' \
        libnetfilter-conntrack3 qemu-user gcc musl-dev 2>/dev/null || true; } | sed -n 's/^ii *//p' | sort -u
    printf 'kernel %s, %s\n' "$(uname -r)" "$(date -u +%F)"
}

# Each of the targets in "$@", or all.
cmd_targets() {
    local name result began failed=0 table=()
    [ $# -gt 0 ] || set -- "${ALL_TARGETS[@]}"
    for name in "$@"; do
        case " ${ALL_TARGETS[*]} " in *" $name "*) ;; *) die "no such target: $name (there are: ${ALL_TARGETS[*]})" ;; esac
    done
    # Rust only to vendor packages: the tests are built with the chroot's.
    need unshare debootstrap debian-keys certificates rust
    make_chroot
    vendor_packages
    for name in "$@"; do
        say "target $name"
        began=$SECONDS result=passed
        case $name in rust | i386 | musl) "target_$name" ;; *) target_emulated "$name" ;; esac ||
            { result=FAILED; failed=1; }
        table+=("$(printf '%-7s %-7s %4d s' "$name" "$result" $((SECONDS - began)))")
    done
    printf '\n%s\n' "$(print_versions)"
    printf '\n%-7s %s\n' target tests
    printf '%s\n' "${table[@]}"
    return $failed
}
