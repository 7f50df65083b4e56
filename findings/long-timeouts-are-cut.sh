#!/usr/bin/env bash
# A timeout of 200 days becomes one of 99, with success as the result
#
# Guess: a timeout is 32 bits of seconds; what does not fit is refused.
# Result: the kernel keeps at most 2^31 - 1 ticks of its clock: 99 days at 250
# ticks a second, 24 at 1,000. Longer timeouts are cut to that, and the request
# succeeds. conntrack(8) in turn cuts the number itself to 32 bits: 4294967396
# is 100 seconds.
#
# Seen with: Linux 6.18.44 with CONFIG_HZ=250; Debian 12, conntrack 1.4.7.
# Source: the package conntrack; the kernel's ctnetlink_change_timeout() and
# __nf_ct_set_timeout().
set -euo pipefail
export LC_ALL=C

# Outside: fetch the packages into a folder of its own, then start over in a
# new network namespace.
if [ -z "${FINDING:-}" ]; then
	self=$(realpath "$0")
	FINDING=$(mktemp -d)
	trap 'rm -rf "$FINDING"' EXIT
	cd "$FINDING"
	apt-get -qq -o APT::Sandbox::User="$(id -un)" download \
		conntrack=1:1.4.7-1+b2 libnetfilter-conntrack3=1.0.9-3 libnfnetlink0=1.0.2-2 \
		libmnl0=1.0.4-3
	for deb in *.deb; do dpkg -x "$deb" .; done
	export PATH="$FINDING/usr/sbin:$FINDING/usr/bin:$FINDING/sbin:$FINDING/bin:$PATH"
	for lib in "$FINDING"/usr/lib/*-linux-gnu "$FINDING"/lib/*-linux-gnu; do
		LD_LIBRARY_PATH="$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
	done
	export LD_LIBRARY_PATH
	export FINDING
	namespace=(unshare -n)
	[ "$(id -u)" = 0 ] || namespace=(unshare -rn)
	"${namespace[@]}" bash "$self"
	exit
fi
cd "$FINDING"

new=(-I -p udp -s 192.0.2.1 -d 198.51.100.2 --dport 53)

# The timeout of the flow from a port.
timeout_of() {
	conntrack -L -p udp --sport "$1" 2>/dev/null | awk '{ print $3 }'
}

steps() {
	conntrack --version
	echo "Linux $(uname -r)"
	conntrack "${new[@]}" --sport 1001 -t 8000000
	conntrack "${new[@]}" --sport 1002 -t 17280000
	conntrack "${new[@]}" --sport 1003 -t 4294967396
	conntrack -L
	echo "8000000 seconds: kept $(($(timeout_of 1001) > 7999900))"
	left=$(timeout_of 1002)
	# With 2^31 - 1 ticks in that many seconds, the clock has this rate.
	hz=$((2147483647 / left))
	echo "17280000 seconds: $left, $hz ticks a second"
	echo "4294967396 seconds: $(timeout_of 1003)"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^8000000 seconds: kept 1$'
expect '^17280000 seconds: [0-9]{7}, (100|250|300|1000) ticks a second$'
expect '^4294967396 seconds: (9[0-9]|100)$'
echo "Still so."
