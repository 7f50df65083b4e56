# All tests with sanitizers. Read by ./dev.
# shellcheck shell=bash

# Programs that replace functions of the C library or of its allocator, which a sanitizer does too, or which
# need the library to be linked dynamically.
readonly NOT_SANITIZED_PROGRAMS=(c_memory out_of_memory)

# Skipped tests:
# - those that measure the memory of the process, most of which is the sanitizer's here;
# - the one that fills the table, which takes minutes and runs no code that others do not;
# - those that run cargo, a C compiler, which would need the same flags, or examples, which are not built for this;
# - the one that asks the loader for the library, which is linked statically.
readonly NOT_SANITIZED_TESTS=(no_more_memory memory_does_not_grow a_full_table every_example_runs the_lines_of_ndjson
    missing:: from_c:: the_library_is_that_of_the_release)

# Tests of state shared by threads: wakers, the thread that reads for a mirror, texts, and the detected
# abilities of the kernel.
readonly THREADED_TESTS=(threads:: waker:: offload:: wake:: callbacks:: object:: subscription::)

cmd_sanitize() {
    need_to_build unshare nft ip conntrack
    get_sanitized
    find_privilege
    use_runner "${runner[@]}"
    export NFCT_TEST_CASES=${NFCT_TEST_CASES:-5000}
    local address=0 thread=0
    with_address_sanitizer "$@" || address=1
    with_thread_sanitizer || thread=$?
    say "AddressSanitizer, LeakSanitizer: $([ $address = 0 ] && echo passed || echo FAILED). $(sanitized_library)"
    case $thread in
        0) say "ThreadSanitizer: passed" ;;
        2) say "ThreadSanitizer: SKIPPED, as the sources of the standard library are not here" ;;
        *) say "ThreadSanitizer: FAILED" ;;
    esac
    [ $((address + thread % 2)) = 0 ]
}

# Runs cargo "$2…" with sanitizer $1, which the compiler's stable releases have but do not offer.
cargo_sanitized() {
    local sanitizer=$1
    shift
    # With a target named, the flags do not apply to build scripts.
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="${RUSTFLAGS:-} -Zsanitizer=$sanitizer" CARGO_BUILD_TARGET=$(host_target) \
        CARGO_TARGET_DIR=$target/sanitized/$sanitizer "$@"
}

with_address_sanitizer() {
    local name skips=()
    for name in "${NOT_SANITIZED_TESTS[@]}"; do skips+=(--skip "$name"); done
    if [ $# = 0 ]; then
        set -- --no-fail-fast --lib
        for name in $(test_programs); do
            case " ${NOT_SANITIZED_PROGRAMS[*]} " in *" $name "*) ;; *) set -- "$@" --test "$name" ;; esac
        done
        say "SKIPPED with AddressSanitizer: the programs ${NOT_SANITIZED_PROGRAMS[*]}, which have an allocator or"
        say "functions of the library of their own; the tests ${NOT_SANITIZED_TESTS[*]}"
    fi
    # Tests that fork continue in a child, where the leak checker must not look for threads that do not exist.
    ASAN_OPTIONS="detect_stack_use_after_return=1:${ASAN_OPTIONS:-}" UBSAN_OPTIONS=print_stacktrace=1 \
        cargo_sanitized address with_sanitized cargo test --all-features "$@" -- "${skips[@]}"
}

# Names of the programs in tests/.
test_programs() {
    local path
    for path in tests/*.rs tests/*/main.rs; do
        path=${path%/main.rs}
        basename "$path" .rs
    done
}

# Returns 2 if the standard library cannot be rebuilt. Without that its own code would look like races.
with_thread_sanitizer() {
    if [ ! -e "$(rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]; then
        command -v rustup >/dev/null && rustup component add rust-src || return 2
    fi
    # The C library is not built with the sanitizer, so a lock that only it takes would be missed: it has
    # none.
    cargo_sanitized thread cargo -Zbuild-std test --all-features --no-fail-fast --lib --test events --test handle \
        --test mirror --test nfct -- "${THREADED_TESTS[@]}" || return 1
}
