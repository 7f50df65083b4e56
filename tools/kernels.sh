# The tests on other kernels. Read by ./dev.
# shellcheck shell=bash

# Debian releases, each for its kernel: 5.10, 6.1, 6.12, and two of the newest.
readonly KERNELS=(bullseye bookworm trixie trixie-backports sid)

# The kernel and the tests of `--quick`: the oldest kernel, and short tests of many kinds.
readonly QUICK_KERNEL=bullseye
readonly QUICK_TESTS='^(handle::(delete|dump|flows)|nfct::(dump_filter|labels)|expect::by_hand)::'

# The time limits for all tests on one kernel, and for one program of them.
readonly KERNEL_SECONDS=7200 PROGRAM_SECONDS=1800

cmd_kernels() {
    local suites=() pattern=. quick=
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        case $1 in
            --quick) quick=1 ;;
            --only) [ $# -gt 1 ] || die "--only takes a pattern"; pattern=$2; shift ;;
            -*) die "no such option of kernels: $1" ;;
            *) suites+=("$1") ;;
        esac
        shift
    done
    [ -z "$quick" ] || { pattern=$QUICK_TESTS; suites=("$QUICK_KERNEL"); }
    [ ${#suites[@]} -gt 0 ] || suites=("${KERNELS[@]}")
    [ "$(uname -m)" = x86_64 ] || die "kernels of x86-64 are run, on such a machine"
    can_debian "other kernels" || return 0
    local needed=(nft ip conntrack unshare setpriv busybox dash depmod xz strip)
    if [ "${1:-}" = -- ]; then need "${needed[@]}"; else need_to_build "${needed[@]}"; fi
    find_kernels
    get_emulator
    pack_base
    local suite
    for suite in "${suites[@]}"; do get_kernel "$suite"; done
    if [ "${1:-}" = -- ]; then
        shift
        [ $# -gt 0 ] || die "no command behind --"
        run_there "$@"
    else
        test_there
    fi
}

# Runs the command line "$*" on each kernel; files that it names are copied there.
run_there() {
    local suite word root status=0
    root=$(mktemp -d)
    for word in $*; do
        case $word in /proc/* | /sys/* | /dev/*) continue ;; esac
        [ ! -f "$word" ] || put "$root" "$word"
    done
    pack "$root" >"$kernels/command.cpio"
    rm -rf "$root"
    for suite in "${suites[@]}"; do
        boot "$suite" "$KERNEL_SECONDS" "$kernels/command.cpio" "$*" || status=$?
    done
    return $status
}

# Runs the tests that `pattern` matches on each kernel.
test_there() {
    local programs root suite failed=0
    find_tests
    [ ${#programs[@]} -gt 0 ] || die "no test matches $pattern"
    root=$(mktemp -d -p "$kernels")
    put "$root" "${programs[@]%%:*}"
    put_surroundings "$root"
    pack "$root" >"$kernels/tests.cpio"
    rm -rf "$root"
    local began log table=()
    for suite in "${suites[@]}"; do
        say "tests on the kernel of Debian $suite, $(cat "$kernels/$suite/release")"
        began=$SECONDS log=$kernels/$suite.log
        boot "$suite" "$KERNEL_SECONDS" "$kernels/tests.cpio" \
            "NFCT_TEST_CASES=${NFCT_TEST_CASES:-200}" sh tools/machine/run-tests $PROGRAM_SECONDS "${programs[@]}" |
            tee "$log" | show_progress || failed=1
        grep -q '^machine: ended' "$log" || { say "the machine did not end by itself:"; tail -n 5 "$log"; }
        table+=("$(row "$suite" "$log" $((SECONDS - began)))")
    done
    printf '\n%-17s %-32s %8s %6s %6s %6s %7s %7s\n' Debian kernel programs failed tests failed skipped time
    printf '%s\n' "${table[@]}"
    [ $failed = 0 ] || say "the output of each program is in $kernels/*.log"
    return $failed
}

# Sets `programs`: the test programs with tests that `pattern` matches, built. Each is a path, followed by a
# colon and the tests unless all of the program's match. The pattern is compared with PROGRAM::MODULE::TEST.
find_tests() {
    # Some tests run the examples.
    cargo build --quiet --examples --all-features
    local file name test tests chosen
    programs=()
    while read -r file; do
        name=${file##*/} tests=() chosen=()
        name=${name%-*}
        mapfile -t tests < <("$file" --list --format terse | sed -n 's/: test$//p')
        for test in "${tests[@]}"; do
            # The contents of packages are the same on every kernel, and that machine has no compiler.
            [[ $name::$test == project::@(packaging|missing|from_c)::* ]] || ! [[ $name::$test =~ $pattern ]] || chosen+=("$test")
        done
        [ ${#chosen[@]} -gt 0 ] || continue
        [ ${#chosen[@]} = ${#tests[@]} ] || file+=:$(IFS=,; echo "${chosen[*]}")
        programs+=("$file")
    done < <(cargo test --quiet --workspace --all-features --no-run --message-format=json |
        grep -o '"executable":"[^"]*"' | cut -d '"' -f 4 | grep -v /examples/ | sort -u)
}

# Copies to $1 the files that test programs need: the examples, and the files of this project.
put_surroundings() {
    local name files=()
    for name in examples/*.rs; do files+=("$target/debug/examples/$(basename "$name" .rs)"); done
    for name in examples/nfct/*.rs; do files+=("$target/debug/examples/nfct_$(basename "$name" .rs)"); done
    put "$1" "${files[@]}"
    tar -c Cargo.toml README.md ARCHITECTURE.md docs examples src sys tests tools wrapper.h | tar -x -C "$1$PWD"
}

# Shows one line of the machine's output for each program, the failures, and the skipped tests.
show_progress() {
    awk '
        /^machine: / { print; next }
        /^program: [^ ]+$/ { name = $2; next }
        /SKIPPED [^ ]+: / { print "    " $0 }
        /^test .* FAILED$/ { print "    " $0 }
        /panicked at/ { print "    " $0; getline; print "      " $0 }
        /^test result: / { passed = $4; failed = $6 }
        /^program: .* ended with / {
            printf "%-24s %s%4d passed, %d failed, %d s\n", name, $5 == 0 ? "" : "ENDED WITH " $5 ": ", passed, failed, $7
            passed = failed = 0
        }
        { fflush() }'
}

# The row of the table for Debian $1 from the log $2, which took $3 seconds.
row() {
    awk -v suite="$1" -v seconds="$3" -v package="$(cat "$kernels/$1/version")" '
        /^machine: [0-9]/ { release = $2 }
        /^program: .* ended with / { programs++; bad += $5 != 0 }
        /^test result: / { passed += $4; failed += $6 }
        /^program: [^ ]+$/ { name = $2 }
        /SKIPPED [^ ]+: / { match($0, /SKIPPED [^ ]+:/); skipped += !seen[name substr($0, RSTART, RLENGTH)]++ }
        END {
            printf "%-17s %-32s %8d %6d %6d %6d %7d %5d s", suite, package, programs, bad, passed, failed,
                skipped, seconds
        }' "$2"
}
