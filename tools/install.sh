# Missing programs and libraries, and how to get them. Read by ./dev.
# shellcheck shell=bash

# Every user runs programs for administrators here.
PATH="$PATH:/usr/sbin:/sbin"

# The package manager, if there is one.
manager=$(basename "$(command -v apt-get || command -v dnf || true)")

# Makes sure that all of "$@" are installed. Everything missing is named before any of it is installed.
need() {
    local missing=() packages=() rustup=() tools=()
    find_missing "$@"
    [ ${#missing[@]} != 0 ] || return 0
    plan
    may_install || refuse "$@"
    update_packages
    plan
    [ ${#packages[@]} = 0 ] || can_install_packages || refuse "$@"
    say "missing: $(names)"
    [ ${#packages[@]} = 0 ] || install_packages
    [ ${#rustup[@]} = 0 ] || install_with_rustup "${rustup[@]}"
    [ ${#tools[@]} = 0 ] || install_cargo_tools "${tools[@]}"
    find_missing "$@"
    [ ${#missing[@]} = 0 ] || refuse "$@"
}

# The requirements of every build, and "$@".
need_to_build() {
    need cc pkg-config library libclang certificates rust "$@"
    get_crates
}

# Sets `missing` to the missing ones of "$@".
find_missing() {
    local thing
    missing=()
    for thing in "$@"; do have "$thing" || missing+=("$thing"); done
}

have() {
    case $1 in
        cc) have_compiler ;;
        library) have_library ;;
        libclang) have_libclang ;;
        certificates) have_certificates ;;
        debian-keys) exists /usr/share/keyrings/debian-archive-keyring.gpg ;;
        rust) find_rust ;;
        namespaces) ! command -v unshare >/dev/null || can_make_namespaces ;;
        cargo-*) find_rust && have_cargo_tool "$1" ;;
        fmt | clippy) find_rust && cargo "$1" --version >/dev/null 2>&1 ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# Returns whether one of these files exists.
exists() {
    local file
    for file in "$@"; do [ -e "$file" ] && return 0; done
    return 1
}

# With the headers of the C library, which are in a package of their own.
have_compiler() { cc -E -x c -include stdlib.h /dev/null >/dev/null 2>&1; }

have_library() { pkg-config --atleast-version=1.0.9 libnetfilter_conntrack 2>/dev/null; }

# bindgen looks for libclang in these places, and libclang looks there for the C compiler's own headers.
have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    exists /usr{,/local}/lib*/{,*/,*/*/}libclang{,-[0-9]*}.so* &&
        exists /usr{,/local}/lib*/{,llvm*/lib*/}clang/*/include/stddef.h
}

# Without them HTTPS downloads fail.
have_certificates() {
    [ -n "${SSL_CERT_FILE:-}" ] || exists /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
        /etc/ssl/cert.pem /etc/ssl/ca-bundle.pem
}

# The missing things, for messages.
names() {
    local thing text=
    for thing in "${missing[@]}"; do
        case $thing in
            cc) thing="a C compiler" ;;
            library) thing="libnetfilter_conntrack 1.0.9 or newer" ;;
            certificates) thing="CA certificates" ;;
            rust) thing="Rust $(rust_floor) or newer" ;;
            cargo-*) thing="$thing $(tool_release "$thing")" ;;
            fmt | clippy) thing="cargo $thing" ;;
            namespaces) thing="the right to make network namespaces" ;;
        esac
        text+="${text:+, }$thing"
    done
    echo "$text"
}

# The packages with the thing $1: on Debian and Ubuntu, on Fedora and RHEL.
packages_with() {
    case $1 in
        cc) echo "gcc libc6-dev : gcc glibc-devel" ;;
        c++) echo "g++ : gcc-c++" ;;
        make) echo "make : make" ;;
        pkg-config) echo "pkg-config : pkgconf-pkg-config" ;;
        library) echo "libnetfilter-conntrack-dev : libnetfilter_conntrack-devel" ;;
        libclang) echo "libclang-dev : clang-devel" ;;
        certificates) echo "ca-certificates : ca-certificates" ;;
        unshare) echo "util-linux : util-linux" ;;
        curl) echo "curl : curl" ;;
        nft) echo "nftables : nftables" ;;
        ip) echo "iproute2 : iproute" ;;
        conntrack) echo "conntrack : conntrack-tools" ;;
        debian-keys) echo "debian-archive-keyring : debian-keyring" ;;
        debootstrap) echo "debootstrap : debootstrap" ;;
        shellcheck) echo "shellcheck : ShellCheck" ;;
        strip) echo "binutils : binutils" ;;
        valgrind) echo "valgrind : valgrind" ;;
        busybox) echo "busybox-static : busybox" ;;
        dash) echo "dash : dash" ;;
        depmod) echo "kmod : kmod" ;;
        xz) echo "xz-utils : xz" ;;
        pip3) echo "python3-pip : python3-pip" ;;
        setpriv) echo "util-linux : util-linux" ;;
        *) die "no package is known for $1" ;;
    esac
}

# Sets `packages` to the packages with the missing things, `rustup` to the things that rustup has to install
# instead, and `tools` to those that cargo builds.
plan() {
    local thing found
    packages=() rustup=() tools=()
    for thing in "${missing[@]}"; do
        case $thing in
            namespaces) continue ;;
            cargo-*) tools+=("$thing"); continue ;;
            rust | fmt | clippy) found=$(packaged_rust "$thing") ;;
            *) found=$(packages_of "$thing") ;;
        esac
        # shellcheck disable=SC2206 # words
        if [ -n "$found" ]; then packages+=($found); else rustup+=("$thing"); fi
    done
    if [ ${#rustup[@]} != 0 ] && ! command -v rustup >/dev/null && ! command -v curl >/dev/null; then
        packages+=("$(packages_of curl)")
    fi
}

# The packages of this distribution; the name of the thing itself if packages are unknown.
packages_of() {
    local both
    both=$(packages_with "$1")
    case $manager in
        apt-get) echo "${both%% : *}" ;;
        dnf) echo "${both##* : }" ;;
        *) echo "$1" ;;
    esac
}

# The two commands of the README and continuous integration install without a question.
may_install() {
    [ -z "${NFCT_NO_INSTALL:-}" ] || return 1
    case $command in demo | test) return ;; esac
    [ -z "${NFCT_INSTALL:-}${CI:-}" ] || return 0
    [ -t 0 ] && [ -t 2 ] || return 1
    local answer what="${packages[*]}"
    [ ${#rustup[@]} = 0 ] || what+="${what:+, and }Rust with rustup"
    [ ${#tools[@]} = 0 ] || what+="${what:+, and }${tools[*]} with cargo"
    say "missing: $(names)"
    read -rp "Install $what? [y/N] " answer
    [[ $answer = [yY]* ]]
}

# Ends with a list of everything missing of "$@", and how to get it.
refuse() {
    # An administrator is asked once, and not again for the tests.
    [ "$command" != demo ] || can_install_packages || { find_missing "$@" nft ip conntrack; plan; }
    printf 'dev: missing: %s\n' "$(names)"
    [ ${#packages[@]} = 0 ] || advise_packages
    [ ${#rustup[@]} = 0 ] || advise_rustup
    [ ${#tools[@]} = 0 ] || printf 'Cargo builds %s with "cargo install --locked".\n' "${tools[*]}"
    case " $* " in *" unshare "*) have namespaces || namespace_advice ;; esac
    case $command in
        demo | test) ;;
        *) ! can_install || printf 'NFCT_INSTALL=1 ./dev %s installs it.\n' "$command" ;;
    esac
    exit 1
} >&2

advise_packages() {
    local install="$manager install ${packages[*]}"
    case $manager in
        apt-get) install="apt-get update && apt-get install --no-install-recommends ${packages[*]}" ;;
        '') install="(neither apt-get nor dnf is here: README.md, \"Requirements\", has names of packages)" ;;
    esac
    printf 'An administrator installs packages with\n    %s\n' "$install"
}

can_install_packages() { [ -n "$manager" ] && is_root_within_reach; }

# Everything planned can be installed, and something is planned.
can_install() {
    [ ${#packages[@]} != 0 ] || [ ${#rustup[@]} != 0 ] || [ ${#tools[@]} != 0 ] || return 1
    [ ${#packages[@]} = 0 ] || can_install_packages
}

# The distribution's packages are known only from its package lists, which containers do not include.
update_packages() {
    [ "$manager" = apt-get ] && is_root_within_reach || return 0
    say "reading the lists of packages: apt-get update"
    as_root apt-get update -q || say "not all lists of packages can be read: going on with those that can"
}

# Removes no package: other programs may need those installed.
install_packages() {
    say "installing with $manager: ${packages[*]}"
    case $manager in
        apt-get)
            # Another program may be installing: automatic upgrades, or a step beside this one.
            as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
                install -qy --no-install-recommends --no-remove "${packages[@]}"
            ;;
        dnf) as_root dnf install -y "${packages[@]}" ;;
    esac || packages_failed
}

packages_failed() {
    printf 'dev: %s failed. Without a network it has nothing to install from; behind a proxy it needs\n' "$manager"
    printf 'http_proxy and https_proxy, or settings of its own; sudo needs the right to use it.\n'
    advise_packages
    exit 1
} >&2

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else die "needs root to run: $*"
    fi
}

# A password is requested only if someone can enter it.
is_root_within_reach() {
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }
}
