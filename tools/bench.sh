# The cost of the crate for its users. Read by ./dev.
# shellcheck shell=bash

# The benchmark's jobs with other crates.
readonly RIVALS=benches/rivals/Cargo.toml

# Runs cargo "$1…" on the other crates. They are built separately, so that they do not affect our build.
cargo_rivals() {
    local command=$1
    shift
    cargo "$command" --manifest-path "$RIVALS" --target-dir "$target/rivals" --locked "$@"
}

# Returns whether the other crates are available. In continuous integration they must be.
have_rivals() {
    cargo fetch --manifest-path "$RIVALS" --locked && return
    [ -z "${CI:-}" ] || die "the crates to compare with cannot be had"
    say "the crates to compare with cannot be had: going on without them"
    return 1
}

cmd_bench() {
    need_to_build unshare conntrack namespaces
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

# Builds the benchmark of the project in the folder $1, and prints its path.
bench_of() {
    local what=(build --release --package netfilter-conntrack-bench)
    # The command from before it was a package of its own.
    [ -e "$1/benches/table/Cargo.toml" ] || what=(bench --no-run --bench table --all-features)
    (cd "$1" && cargo "${what[@]}" --message-format=json) |
        grep -o '"executable":"[^"]*"' | cut -d '"' -f 4 | tail -n 1
}

# The cost of a dependency on this crate: crates and build time, with the default features, with none, with
# each by itself and with all, and the size of a program.
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

# The features of this package, except the default ones.
features() {
    cargo metadata --no-deps --format-version 1 |
        grep -o "\"features\":{[^}]*},\"manifest_path\":\"$(pwd -P)/Cargo.toml\"" |
        { grep -o '"[^"]*":\[' || true; } | tr -d '":[' | { grep -vx default || true; }
}

# Those of them that need no C library, separated by commas.
features_without_library() { features | grep -vx nfct | paste -sd ,; }

cost_line() { printf '| %-8s | %13s | %12s | %10s |\n' "$@"; }

# The line of the features $1, selected by "$2…". Linked crates end up in the program; more are built, because
# some generate code for others.
cost_of() {
    local name=$1 began duration
    shift
    rm -rf "$target/cost"
    began=${EPOCHREALTIME//[.,]/}
    cargo build --release --lib --target-dir "$target/cost" "$@"
    duration=$(((${EPOCHREALTIME//[.,]/} - began) / 1000000))
    cost_line "$name" "$(crates normal,no-proc-macro "$@")" "$(crates normal,build "$@")" "$duration s"
}

# The number of crates over the edges $1 of the tree, without this one.
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
