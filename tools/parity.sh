# The whole suite with the C library as codec of the Rust half. Read by ./dev.
# shellcheck shell=bash

# Tests of behavior that only our own codec has: it allocates nothing for an ordinary entry, and so needs no
# memory that the C library could lack; it requests ICMP between IPv6 addresses, whose fields an object
# refuses. All other tests have to pass with either.
readonly OWN_CODEC=(
    a_handle_needs_no_object_for_flows
    a_dump_of_100_000_entries_takes_no_more_memory_than_one_of_1_000
    what_a_kernel_does_not_track_is_refused_by_nobody_else
)

# The setting of such a build.
readonly CODEC_CFG=nfct_codec

# The arguments that make the test programs skip those tests.
without_own_codec() { printf -- '--skip\n%s\n' "${OWN_CODEC[@]}"; }

cmd_parity() {
    need_to_build unshare nft ip conntrack
    find_privilege
    use_runner "${runner[@]}"
    local skips
    mapfile -t skips < <(without_own_codec)
    # In a folder of its own, so that the next ordinary build finds its files unchanged.
    local -x RUSTFLAGS="${RUSTFLAGS:-} --cfg $CODEC_CFG" CARGO_TARGET_DIR=$target/parity
    # Tests run the examples, which cargo builds with them only if it tests documentation too.
    [ $# -gt 0 ] || { cargo build --workspace --all-features --examples; set -- --no-fail-fast --tests; }
    # Tests that run cargo do not depend on the codec.
    cargo test --workspace --all-features "$@" -- "${skips[@]}" --skip missing::
}
