#!/usr/bin/env bash
# `conntrack -F -f ipv6` empties the IPv4 table too
#
# Guess: -f chooses the family, as it does with -L and -D, so that only the
# IPv6 flows go.
# Result: both families go, and the exit status is 0. The kernel reads the
# family of a flush only from requests of version 1, so that old programs keep
# working, and conntrack(8) sends version 0.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7, libnetfilter_conntrack
# 1.0.9.
# Source: the package conntrack; the kernel's ctnetlink_del_conntrack().
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
	conntrack -I -p udp --sport 1 --dport 2 -t 100 -s "$1" -d "$2" >/dev/null 2>&1
}

steps() {
	conntrack --version
	echo "Linux $(uname -r)"
	add 10.0.0.1 10.0.0.2
	add fd00::1 fd00::2
	echo "before: $(conntrack -C) entries"
	conntrack -D -f ipv6 >/dev/null 2>&1
	echo "after -D -f ipv6: $(conntrack -C) entry"
	add fd00::1 fd00::2
	conntrack -F -f ipv6
	echo "after -F -f ipv6: $(conntrack -C) entries"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^before: 2 '
expect '^after -D -f ipv6: 1 '
expect '^after -F -f ipv6: 0 '
echo "Still so."
