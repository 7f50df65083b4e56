# The fuzzer. Read by ./dev.
# shellcheck shell=bash

# Targets, in the order of `src/fuzz/mod.rs`.
readonly FUZZ_TARGETS=(messages decoder requests json selectors text objects)

# The default time for all targets together, in seconds.
readonly FUZZ_ALL=60

# The release of the fuzzer's command.
readonly CARGO_FUZZ=0.13.2

# The setting of such a build, in which the crate contains the code of the targets.
readonly FUZZ_CFG=nfct_fuzz

# ./dev fuzz [TARGET] [SECONDS]
cmd_fuzz() {
    local targets=("${FUZZ_TARGETS[@]}") seconds=$((FUZZ_ALL / ${#FUZZ_TARGETS[@]}))
    case ${1:-} in
        '') ;;
        [0-9]*) seconds=$(($1 / ${#FUZZ_TARGETS[@]})) ;;
        *)
            case " ${FUZZ_TARGETS[*]} " in *" $1 "*) ;; *) die "no such target: $1. There are: ${FUZZ_TARGETS[*]}" ;; esac
            targets=("$1") seconds=${2:-$FUZZ_ALL}
            ;;
    esac
    [[ $seconds =~ ^[0-9]+$ ]] || die "not a number of seconds: $seconds"
    need_to_build c++ unshare
    get_sanitized
    get_cargo_fuzz
    build_fuzz
    make_seeds
    local name failed=() table=()
    for name in "${targets[@]}"; do
        say "fuzz $name, $((seconds > 0 ? seconds : 1)) s"
        run_target "$name" $((seconds > 0 ? seconds : 1)) || failed+=("$name")
    done
    printf '\n%-10s %12s %9s %7s %10s %8s\n' target executions seconds per-s coverage found
    printf '%s\n' "${table[@]}"
    sanitized_library
    [ ${#failed[@]} = 0 ] || die "found something: ${failed[*]}. How to repeat it is above."
}

# Builds the fuzzer's own command, below target/tools: nothing is installed.
get_cargo_fuzz() {
    mkdir -p "$target/tools"
    PATH="$(cd "$target/tools" && pwd)/bin:$PATH"
    command -v cargo-fuzz >/dev/null && return
    say "building cargo-fuzz $CARGO_FUZZ below $target/tools"
    cargo install --locked --root "$target/tools" --version "$CARGO_FUZZ" cargo-fuzz ||
        die "cargo-fuzz cannot be had: see above"
}

# Lints the targets, and the parts of the crate that exist only for them.
lint_fuzz() {
    say "lints of the fuzzer's targets"
    RUSTFLAGS="${RUSTFLAGS:-} --cfg $FUZZ_CFG" cargo clippy --manifest-path fuzz/Cargo.toml --locked \
        --target-dir "$target/fuzz-lints" -- -D warnings
}

# Builds all targets, with AddressSanitizer and assertions. Sets `fuzz` to the folder of their files.
build_fuzz() {
    fuzz=$target/fuzz
    mkdir -p "$fuzz"
    fuzz=$(cd "$fuzz" && pwd)
    # cargo-fuzz needs unstable options of the compiler. Its own choice of one codegen unit makes a crate of
    # this size slow to build. Inputs are random numbers for generators, which compare nothing: tracing
    # comparisons is expensive and finds little.
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="${RUSTFLAGS:-} --cfg $FUZZ_CFG -Ccodegen-units=16" CARGO_TARGET_DIR='' \
        with_sanitized cargo fuzz build --fuzz-dir fuzz --release --debug-assertions --no-trace-compares \
            --target-dir "$fuzz"
    programs=$fuzz/$(host_target)/release
}

# Fills the folder of each target's seeds. They are messages of this kernel, different each time.
make_seeds() {
    [ -e "$fuzz/seeds/complete" ] && return
    rm -rf "$fuzz/seeds"
    find_privilege
    # Without a check for leaks: at its end the program frees nothing.
    "${runner[@]}" "$programs/seeds" "$fuzz/seeds"
    touch "$fuzz/seeds/complete"
}

# Runs the target $1 for $2 seconds, and adds a line to `table`. Fails if it found a fault.
run_target() {
    local corpus=$fuzz/corpus/$1 found=$fuzz/found/$1 log=$fuzz/$1.log began=$SECONDS status=0 watcher
    mkdir -p "$corpus" "$found"
    : >"$log"
    show_executions "$log" &
    watcher=$!
    # In UTC each time has one text. An input that takes 10 s or 1 GiB counts as a hang or a leak. Traces of
    # allocations are short, because they cost more than everything else.
    TZ=UTC ASAN_OPTIONS=malloc_context_size=6:detect_stack_use_after_return=0 "${runner[@]}" "$programs/$1" "$corpus" "$fuzz/seeds/$1" \
        -max_total_time="$2" -timeout=10 -rss_limit_mb=1024 -max_len=1024 -use_counters=0 -entropic=0 -reduce_inputs=0 -print_final_stats=1 \
        -artifact_prefix="$found/" >"$log" 2>&1 || status=$?
    kill "$watcher"
    local count coverage took=$((SECONDS - began))
    count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    coverage=$(sed -n 's/^#[0-9]*\t.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    table+=("$(printf '%-10s %12s %9s %7s %10s %8s' "$1" "${count:--}" "$took" \
        "$((${count:-0} / (took > 0 ? took : 1)))" "${coverage:--}" "$([ $status = 0 ] && echo nothing || echo FAULT)")")
    [ $status = 0 ] || { explain_found "$1" "$log"; return 1; }
}

# Prints every half minute the number of executions by the log $1, until this shell ends.
show_executions() {
    # Without what it would keep open where the rest is killed.
    while sleep 30 >&- 2>&- && kill -0 $$ 2>/dev/null; do
        sed -n 's/^#\([0-9]*\)\t.*/    \1 executions/p' "$1" | tail -n 1 >&2
    done
}

# Explains how to repeat a fault that the target $1 found; $2 is the log.
explain_found() {
    tail -n 60 "$2" >&2
    local input
    input=$(sed -n 's/.*Test unit written to //p' "$2" | tail -n 1)
    say "the target $1 found something; all it said is in $2. To repeat it, and to make it smaller:"
    printf '    TZ=UTC %s %s %s\n' "${runner[*]}" "$programs/$1" "${input:-INPUT}" >&2
    printf '    TZ=UTC %s %s -minimize_crash=1 -max_total_time=60 %s\n' "${runner[*]}" "$programs/$1" "${input:-INPUT}" >&2
    say "An input that harms the C library stays out of the tree: the guard that lets it through gets a test."
}
