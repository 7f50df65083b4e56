# Everything at once, with every count checked. Read by ./dev.
# shellcheck shell=bash

cmd_soak() {
    need_to_build unshare namespaces
    cargo build --release --package netfilter-conntrack-soak
    use_runner "${runner[@]}"
    cargo run --release --package netfilter-conntrack-soak -- "$@"
}
