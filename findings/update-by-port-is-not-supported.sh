#!/usr/bin/env bash
# `conntrack -U -p udp -m 5` fails with "Operation not supported"
#
# Guess: -U takes the same selection as -L and -D: all UDP flows get the mark.
# Result: the flows are found, and the kernel then refuses the update with
# EOPNOTSUPP. Without an address or -f, conntrack(8) sends the update with the
# family "unspecified". Any address, or `-f ipv4`, makes the same command work.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7.
# Source: the package conntrack; the kernel's ctnetlink_parse_tuple().
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

try() {
	echo "\$ conntrack $*"
	conntrack "$@" && echo "status 0" || echo "status $?"
}

steps() {
	conntrack --version
	conntrack -I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 2 -t 100
	try -L -p udp --dport 2
	try -U -p udp --dport 2 -m 5
	try -U -p udp --dport 2 -m 5 -f ipv4
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect 'Operation failed: Operation not supported'
expect '^status 1'
expect 'sport=1 dport=2 .*mark=5'
echo "Still so."
