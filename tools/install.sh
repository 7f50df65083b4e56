# What is missing, and how to get it. Read by ./dev.
# shellcheck shell=bash

# Programs for administrators are used by everybody here.
PATH="$PATH:/usr/sbin:/sbin"

# Where rustup puts Rust.
CARGO_BIN=${CARGO_HOME:-${HOME:-/root}/.cargo}/bin

# The oldest Rust that builds this: the only place it is said is Cargo.toml.
rust_floor() { sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1; }

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

rust_version() { rustc --version 2>/dev/null | cut -d' ' -f2; }

have_rust() { command -v cargo >/dev/null && at_least "$(rust_floor)" "$(rust_version)"; }

have_library() { pkg-config --atleast-version=1.0.9 libnetfilter_conntrack 2>/dev/null; }

# One of these files exists.
exists() {
    local file
    for file in "$@"; do [ -e "$file" ] && return 0; done
    return 1
}

# bindgen looks for libclang in these places, and libclang there for the C compiler's own headers.
have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    exists /usr/lib/llvm*/lib/libclang.so* /usr/lib/llvm*/lib/libclang-[0-9]*.so* \
        /usr/lib*/libclang.so* /usr/lib*/libclang-[0-9]*.so* \
        /usr/lib/*-linux-gnu*/libclang.so* /usr/lib/*-linux-gnu*/libclang-[0-9]*.so* &&
        exists /usr/lib/llvm*/lib/clang/*/include/stddef.h /usr/lib*/clang/*/include/stddef.h
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "needs root to run: $*"
    fi
}

# The packages with the thing $1: on Debian and Ubuntu, on Fedora and RHEL.
packages_with() {
    case $1 in
        cc) echo "gcc libc6-dev : gcc" ;;
        pkg-config) echo "pkg-config : pkgconf-pkg-config" ;;
        library) echo "libnetfilter-conntrack-dev : libnetfilter_conntrack-devel" ;;
        libclang) echo "libclang-dev : clang-devel" ;;
        unshare) echo "util-linux : util-linux" ;;
        curl) echo "curl ca-certificates : curl" ;;
        nft) echo "nftables : nftables" ;;
        ip) echo "iproute2 : iproute" ;;
        conntrack) echo "conntrack : conntrack-tools" ;;
        debian-keys) echo "debian-archive-keyring : debian-keyring" ;;
        shellcheck) echo "shellcheck : ShellCheck" ;;
        strip) echo "binutils : binutils" ;;
        valgrind) echo "valgrind : valgrind" ;;
        *) die "no package is known for $1" ;;
    esac
}

# Installs the things named in "$@" with this distribution's packages.
install_system() {
    [ -z "${NFCT_NO_INSTALL:-}" ] || die "missing: $*"
    local packages=() thing both
    if command -v apt-get >/dev/null; then
        for thing in "$@"; do
            both=$(packages_with "$thing")
            read -ra words <<<"${both%% : *}"
            packages+=("${words[@]}")
        done
        say "installing with apt-get: ${packages[*]}"
        as_root apt-get update -q
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${packages[@]}"
    elif command -v dnf >/dev/null; then
        for thing in "$@"; do
            both=$(packages_with "$thing")
            packages+=("${both##* : }")
        done
        say "installing with dnf: ${packages[*]}"
        as_root dnf install -qy "${packages[@]}"
    else
        die "missing: $* (neither apt-get nor dnf is here to install them)"
    fi
}

# Uses a Rust that rustup has installed, where another that is too old comes first in PATH.
find_rust() {
    have_rust && return
    [ ! -x "$CARGO_BIN/cargo" ] || PATH="$CARGO_BIN:$PATH"
    have_rust || { command -v rustup >/dev/null && RUSTUP_TOOLCHAIN=stable have_rust && export RUSTUP_TOOLCHAIN=stable; }
}

install_rust() {
    [ -z "${NFCT_NO_INSTALL:-}" ] || die "missing: Rust $(rust_floor) or newer"
    if ! command -v rustup >/dev/null; then
        need curl
        say "installing Rust for this user with rustup, in $CARGO_BIN (no Rust $(rust_floor) or newer is here)"
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            sh -s -- -y --quiet --no-modify-path --profile minimal
    else
        say "installing the newest stable Rust with rustup (no Rust $(rust_floor) or newer is here)"
        rustup toolchain install stable --profile minimal
    fi
}

# Installs those of "$@" that are missing.
need() {
    local missing=() thing
    for thing in "$@"; do
        case $thing in
            library) have_library ;;
            libclang) have_libclang ;;
            debian-keys) [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ;;
            *) command -v "$thing" >/dev/null ;;
        esac || missing+=("$thing")
    done
    [ ${#missing[@]} = 0 ] || install_system "${missing[@]}"
}

need_to_build() {
    need cc pkg-config library libclang
    find_rust || { install_rust && find_rust; } ||
        die "Rust $(rust_floor) or newer is needed; what is found is: $(rust_version || true)"
}

need_component() {
    cargo "$1" --version >/dev/null 2>&1 && return
    command -v rustup >/dev/null || die "missing: cargo $1"
    [ -z "${NFCT_NO_INSTALL:-}" ] || die "missing: cargo $1"
    say "installing cargo $1 with rustup"
    case $1 in fmt) rustup component add rustfmt ;; *) rustup component add "$1" ;; esac
}
