# Builds and tests with each supported release of the C library. Read by ./dev.
# shellcheck shell=bash
#
# Debian has the releases as packages, which are unpacked below target/compat/releases and never installed.
# pkg-config points a build at one of them. The programs built look for their loader and their libraries below
# target/compat/running, a link to a release: changing the link changes the library for the same programs, and
# for the programs that tests start.

# Each release of the library, and the Debian release that has it.
readonly RELEASES=(1.0.9:bookworm 1.1.0:trixie 1.1.1:sid)

numbers() { printf '%s\n' "${RELEASES[@]%%:*}"; }

# Sets `compat`, and unpacks missing releases below it.
get_releases() {
    local target=${CARGO_TARGET_DIR:-target} release
    mkdir -p "$target/compat/releases"
    compat=$(cd "$target/compat" && pwd)
    for release in "${RELEASES[@]}"; do
        [ -e "$compat/releases/${release%%:*}/complete" ] || get_release "${release%%:*}" "${release##*:}"
    done
}

# Unpacks release $1 from Debian $2.
get_release() {
    local root=$compat/releases/$1 work=$compat/releases/.$1
    say "unpacking libnetfilter_conntrack $1 from Debian $2 below $root"
    rm -rf "$root" "$work"
    mkdir -p "$work"
    use_debian "$2" "$work"
    fetch_debian "$work" libnetfilter-conntrack-dev libnetfilter-conntrack3 \
        libnfnetlink-dev libnfnetlink0 libmnl-dev libmnl0
    mv "$work/root" "$root"
    # A library made for a newer C library than this machine's is run with that C library.
    local lib
    lib=$(dirname "$(library_of "$root")")
    # The output is read to its end: the loader fails if it cannot write, and with it the pipe.
    if "$(host_loader)" --library-path "$lib" --list "$lib/libnetfilter_conntrack.so.3" 2>&1 |
        grep 'not found' >/dev/null; then
        fetch_debian "$work" libc6 libgcc-s1
        mv "$work/root" "$root/runtime"
    fi
    describe_release "$1" "$2" "$root"
    rm -rf "$work"
}

library_of() { find "$1/usr/lib" -name 'libnetfilter_conntrack.so.3' -print -quit; }

host_loader() {
    local loader
    for loader in /lib64/ld-linux*.so.* /lib/ld-linux*.so.*; do
        [ ! -e "$loader" ] || { echo "$loader"; return; }
    done
    die "no loader of glibc is here"
}

# Gives release $1 of Debian $2 in $3 the names that programs look for, and checks its version, because
# Debian's moving releases change.
describe_release() {
    local root=$3 version loader=
    ln -sfn "$(dirname "$(library_of "$root")")" "$root/lib"
    version=$(of_release "$1" pkg-config --modversion libnetfilter_conntrack)
    [ "$version" = "$1" ] || die "Debian $2 has libnetfilter_conntrack $version by now, not $1: change RELEASES in tools/compat.sh"
    loader=$(host_loader)
    if [ -d "$root/runtime" ]; then
        loader=$(find "$root/runtime" -name 'ld-linux*.so.*' -print -quit)
        ln -sfn "$(dirname "$loader")" "$root/libc"
    fi
    ln -sfn "$loader" "$root/loader"
    touch "$root/complete"
}

# Runs "$2…" so that pkg-config finds only release $1.
of_release() {
    local root=$compat/releases/$1
    shift
    PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH="" PKG_CONFIG_LIBDIR=$root/lib/pkgconfig "$@"
}

# Runs cargo, building against release $1, for the loader and libraries of `running`.
cargo_for() {
    local release=$1 running=$compat/running
    shift
    # DT_RPATH, unlike DT_RUNPATH, also applies to the dependencies of the library itself. The library may
    # need symbols that this machine's C library does not have: they exist when it is run.
    local flags
    flags=$(printf '\x1f-Clink-arg=-Wl,%s' --disable-new-dtags "-rpath,$running/lib:$running/libc" \
        "--dynamic-linker=$running/loader" --allow-shlib-undefined)
    [ -z "${codec:-}" ] || flags+=$'\x1f'--cfg$'\x1f'$CODEC_CFG
    # With a target named, the flags do not apply to build scripts, which run on this machine as it is.
    CARGO_ENCODED_RUSTFLAGS=${flags:1} CARGO_ENCODED_RUSTDOCFLAGS=${flags:1} CARGO_BUILD_TARGET=$(host_target) \
        CARGO_TARGET_DIR=$compat/build${codec:-} of_release "$release" cargo "$@"
}

# Runs cargo's "$3…" on programs built with the headers of $1, which find library $2.
cargo_with() {
    ln -sfn "releases/$2" "$compat/running"
    local headers=$1
    NFCT_EXPECT_HEADERS=$1 NFCT_EXPECT_LIBRARY=$2 cargo_for "$headers" "${@:3}"
}

# All tests, built with the headers of $1 and run with library $2.
test_combination() {
    local tests=(test --workspace --all-features --no-fail-fast)
    if [ "$2" = 1.0.9 ] && [ "$1" != 1.0.9 ]; then
        # The bindings' own test names every function, also the one that came with 1.1.0, so the loader must
        # refuse it. No other program may ever need that function.
        { cargo_with "$1" "$2" test --package libnetfilter-conntrack-sys 2>&1 || true; } |
            grep --max-count=1 'undefined symbol: nfct_filter_dump_set_attr_u16' || return 1
        tests+=(--exclude libnetfilter-conntrack-sys)
    fi
    # A program in C would need the same flags.
    tests+=(-- --skip from_c::)
    [ -z "${codec:-}" ] || mapfile -t -O "${#tests[@]}" tests < <(without_own_codec)
    cargo_with "$1" "$2" "${tests[@]}"
}

# All combinations of headers and library, or that of headers $1 and library $2. After --codec the C library
# is the codec: see tools/parity.sh.
cmd_compat() {
    local codec=
    [ "${1:-}" != --codec ] || { codec=-codec; shift; }
    can_debian "the releases of the library" || return 0
    need_to_build
    need unshare nft ip conntrack
    get_releases
    find_privilege
    use_runner "${runner[@]}"
    export NFCT_TEST_CASES=${NFCT_TEST_CASES:-5000}
    local headers library result began failed=0 table=()
    for headers in ${1:-$(numbers)}; do
        for library in ${2:-$(numbers)}; do
            say "headers $headers, library $library"
            began=$SECONDS result=passed
            test_combination "$headers" "$library" || { result=FAILED; failed=1; }
            table+=("$(printf '%-9s %-9s %-7s %4d s' "$headers" "$library" "$result" $((SECONDS - began)))")
        done
    done
    printf '\n%-9s %-9s %s\n' headers library tests
    printf '%s\n' "${table[@]}"
    return $failed
}
