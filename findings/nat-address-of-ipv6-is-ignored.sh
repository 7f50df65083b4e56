#!/usr/bin/env bash
# `conntrack -D -n fd00::77` deletes flows with other NAT addresses
#
# Guess: -n ADDRESS picks the flows whose source is translated to that address,
# for IPv6 as for IPv4.
# Result: for IPv6 the address is silently ignored; every IPv6 flow with source
# NAT is deleted.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7.
# Source: the package conntrack (src/conntrack.c, filter_nat()).
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

add() {
	conntrack -I -p udp --sport 1 --dport 2 -t 100 "$@" >/dev/null 2>&1
}

steps() {
	conntrack --version
	add -s 10.0.0.1 -d 10.0.0.2 --src-nat 10.0.0.98
	add -s fd00::1 -d fd00::2 --src-nat fd00::98
	add -s fd00::3 -d fd00::2 --src-nat fd00::99
	conntrack -L
	echo "IPv4, an address that no flow has:"
	conntrack -D -n 10.0.0.77 || true
	echo "IPv6, an address that no flow has:"
	conntrack -D -n fd00::77
	echo "left: $(conntrack -C)"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect ': 0 flow entries have been deleted'
expect ': 2 flow entries have been deleted'
expect '^left: 1$'
echo "Still so."
