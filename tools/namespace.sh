# The right to make network namespaces. Read by ./dev.
# shellcheck shell=bash

# The prefix that gives a command the right, after `find_privilege`; empty if it is not needed.
runner=()

# Returns whether there is a way, and sets `runner` to it.
can_make_namespaces() {
    runner=()
    if [ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null; then runner=()
    elif unshare -rn true 2>/dev/null; then runner=(unshare -rn)
    # If user namespaces are forbidden.
    elif [ "$(id -u)" != 0 ] && is_root_within_reach; then runner=(sudo -E)
    else return 1
    fi
}

find_privilege() {
    can_make_namespaces || say "tests of the kernel will be skipped. $(namespace_advice)"
}

# How to get the right, by the setting that forbids it.
namespace_advice() {
    local way="outside of a chroot, or in a container that is privileged (CAP_SYS_ADMIN), it works"
    if [ "$(id -u)" = 0 ]; then :
    elif has_setting user/max_user_namespaces 0; then way=$(setting_advice user.max_user_namespaces=16384)
    elif has_setting kernel/unprivileged_userns_clone 0; then
        way=$(setting_advice kernel.unprivileged_userns_clone=1)
    elif has_setting kernel/apparmor_restrict_unprivileged_userns 1; then
        way=$(setting_advice kernel.apparmor_restrict_unprivileged_userns=0)
    fi
    printf 'No network namespace can be made here: %s.\n' "$way"
}

has_setting() { [ "$(cat "/proc/sys/$1" 2>/dev/null)" = "$2" ]; }

setting_advice() { printf 'as root it works, or for everybody after "sysctl -w %s"' "$1"; }

# Makes cargo run the programs it builds by "$*", if that is not empty.
use_runner() {
    [ $# = 0 ] || export "CARGO_TARGET_$(host_target | tr 'a-z-' 'A-Z_')_RUNNER=$*"
}
