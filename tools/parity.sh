# The whole suite with the C library as codec of the Rust half. Read by ./dev.
# shellcheck shell=bash

# Tests about what only our own codec does: it takes nothing from the heap for an ordinary entry, and so needs
# no memory that the C library could lack; it requests ICMP between IPv6 addresses, whose fields an object
# refuses. Everything else has to hold with either.
readonly OWN_CODEC=(
    a_handle_needs_no_object_for_flows
    a_dump_of_100_000_entries_takes_no_more_memory_than_one_of_1_000
    what_a_kernel_does_not_track_is_refused_by_nobody_else
)

# The setting of such a build.
readonly CODEC_CFG=nfct_codec

# What keeps those tests out, as arguments for the test programs.
without_own_codec() { printf -- '--skip\n%s\n' "${OWN_CODEC[@]}"; }

cmd_parity() {
    need_to_build unshare nft ip conntrack
    find_privilege
    use_runner "${runner[@]}"
    local skips
    mapfile -t skips < <(without_own_codec)
    # Apart, so that the next ordinary build finds its own as it was.
    local -x RUSTFLAGS="${RUSTFLAGS:-} --cfg $CODEC_CFG" CARGO_TARGET_DIR=$target/parity
    # Tests run the examples, which cargo builds beside them only where it tests documentation too.
    [ $# -gt 0 ] || { cargo build --workspace --all-features --examples; set -- --no-fail-fast --tests; }
    # What runs cargo has nothing to do with a codec.
    cargo test --workspace --all-features "$@" -- "${skips[@]}" --skip missing::
}
