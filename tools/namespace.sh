# The right to make network namespaces. Read by ./dev.
# shellcheck shell=bash

# The command that gives the next one the right, after `find_privilege`; empty if it has got it.
runner=()

find_privilege() {
    if [ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null; then runner=()
    elif unshare -rn true 2>/dev/null; then runner=(unshare -rn)
    # Where user namespaces are forbidden. A password is asked for only where someone can give it.
    elif [ "$(id -u)" != 0 ] && command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        runner=(sudo -E)
    else
        say "no way to make a network namespace here: tests of the kernel will be skipped"
    fi
}

host_target() { rustc -vV | sed -n 's/^host: //p'; }

# Has cargo run the programs it builds by "$*", where that is not nothing.
use_runner() {
    [ $# = 0 ] || export "CARGO_TARGET_$(host_target | tr 'a-z-' 'A-Z_')_RUNNER=$*"
}
