# Everything at once, with every count checked. Read by ./dev.
# shellcheck shell=bash

cmd_soak() {
    need_to_build unshare namespaces
    cargo build --profile bench --bench soak --all-features
    use_runner "${runner[@]}"
    cargo bench --bench soak --all-features -- "$@"
}
