# What the crate costs those who use it. Read by ./dev.
# shellcheck shell=bash

# Other crates at the same work, which the benchmark runs beside this one.
readonly RIVALS=benches/rivals/Cargo.toml

# cargo "$1…" on the other crates. They are built apart, so that nothing of theirs gets into ours.
cargo_rivals() {
    local command=$1
    shift
    cargo "$command" --manifest-path "$RIVALS" --target-dir "$target/rivals" --locked "$@"
}

# Whether the other crates can be had. In continuous integration they must be.
have_rivals() {
    cargo fetch --manifest-path "$RIVALS" --locked && return
    [ -z "${CI:-}" ] || die "the crates to compare with cannot be had"
    say "the crates to compare with cannot be had: going on without them"
    return 1
}

cmd_bench() {
    need_to_build unshare namespaces
    local args=() before
    while [ $# -gt 0 ]; do
        case $1 in
            --against)
                [ -d "${2:-}" ] || die "--against takes a folder with another state of this project"
                before=$(bench_of "$2")
                args+=(--before "$before")
                shift
                ;;
            *) args+=("$1") ;;
        esac
        shift
    done
    set -- "${args[@]}"
    cargo build --release --package netfilter-conntrack-bench
    if have_rivals && cargo_rivals build --release; then
        export NFCT_BENCH_RIVALS=$target/rivals/release/rivals
    fi
    use_runner "${runner[@]}"
    cargo run --release --package netfilter-conntrack-bench -- "$@"
}

# The benchmark of the project in the folder $1, built there.
bench_of() {
    local what=(build --release --package netfilter-conntrack-bench)
    # As it was built before it was a package of its own.
    [ -e "$1/benches/table/Cargo.toml" ] || what=(bench --no-run --bench table --all-features)
    (cd "$1" && cargo "${what[@]}" --message-format=json) |
        grep -o '"executable":"[^"]*"' | cut -d '"' -f 4 | tail -n 1
}

# What a dependency on this crate brings along: crates and build time, with the default features, with none, with
# each by itself and with all, and how large a program is.
cmd_cost() {
    need_to_build strip
    local features feature sizes
    features=$(features)
    printf '%s, %d CPUs, clean builds with `cargo build --release`\n\n' "$(rustc --version)" "$(nproc)"
    cost_line features "crates linked" "crates built" "build time"
    cost_line --- ---: ---: ---:
    cost_of default
    cost_of none --no-default-features
    for feature in $features; do cost_of "$feature" --no-default-features --features "$feature"; done
    cost_of all --all-features
    sizes=$(demo_sizes)
    printf '\n`examples/zones.rs`: %s KiB as built, %s KiB stripped\n' "${sizes% *}" "${sizes#* }"
}

# The features of this package, but for the default ones.
features() {
    cargo metadata --no-deps --format-version 1 |
        grep -o "\"features\":{[^}]*},\"manifest_path\":\"$(pwd -P)/Cargo.toml\"" |
        { grep -o '"[^"]*":\[' || true; } | tr -d '":[' | { grep -vx default || true; }
}

# Those of them that need no C library, separated by commas.
features_without_library() { features | grep -vx nfct | paste -sd ,; }

cost_line() { printf '| %-8s | %13s | %12s | %10s |\n' "$@"; }

# The line of the features $1, chosen by "$2…". Crates that are linked end up in the program; more are
# built, since some make code for others.
cost_of() {
    local name=$1 began duration
    shift
    rm -rf "$target/cost"
    began=${EPOCHREALTIME//[.,]/}
    cargo build --release --lib --target-dir "$target/cost" "$@"
    duration=$(((${EPOCHREALTIME//[.,]/} - began) / 1000000))
    cost_line "$name" "$(crates normal,no-proc-macro "$@")" "$(crates normal,build "$@")" "$duration s"
}

# How many crates there are over the edges $1 of the tree, this one not counted.
crates() {
    local edges=$1
    shift
    echo $(($(cargo tree --edges "$edges" --prefix none --no-dedupe "$@" | sort -u | wc -l) - 1))
}

# The size of the demonstration in KiB, as cargo builds it and without symbols.
demo_sizes() {
    local built=$target/cost/release/examples/zones
    cargo build --release --example zones --target-dir "$target/cost"
    strip -o "$built.stripped" "$built"
    echo $(($(stat -c %s "$built") / 1024)) $(($(stat -c %s "$built.stripped") / 1024))
}
