#!/usr/bin/env bash
# `conntrack -D -u UNREPLIED` deletes answered and ASSURED flows too
#
# Guess: -u chooses flows by status; -D takes the flows that -L shows with the
# same option, those without a reply.
# Result: -L lists the one flow without a reply; -D deletes all. UNREPLIED and
# UNSET stand for a status without bits, and -D deletes the flows that have all
# of these bits, which is every flow. -L leaves the choice to the kernel, which
# refuses UNSET ("invalid parameters").
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7.
# Source: the package conntrack (src/conntrack.c).
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

fill() {
	new=(-I -p tcp -s 192.0.2.1 -d 198.51.100.2 --dport 443 -t 100)
	{
		conntrack -F
		conntrack "${new[@]}" --sport 1001 --state ESTABLISHED -u SEEN_REPLY,ASSURED
		conntrack "${new[@]}" --sport 1002 --state SYN_RECV -u SEEN_REPLY
		conntrack "${new[@]}" --sport 1003 --state SYN_SENT
	} >/dev/null 2>&1
}

# The source ports of the flows that a command prints.
ports() {
	{ conntrack "$@" || true; } 2>/dev/null |
		sed -E 's/.* dst=198.51.100.2 sport=([0-9]+) .*/\1/' | sort | xargs
}

steps() {
	conntrack --version
	echo "Linux $(uname -r)"
	fill
	conntrack -L
	conntrack -L -u UNSET || echo "-L -u UNSET: status $?"
	echo "-L -u UNREPLIED lists:" "$(ports -L -u UNREPLIED)"
	for status in ASSURED UNREPLIED UNSET; do
		fill
		echo "-D -u $status deletes:" "$(ports -D -u "$status")"
	done
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect 'Operation failed: invalid parameters'
expect '^-L -u UNREPLIED lists: 1003$'
expect '^-D -u ASSURED deletes: 1001$'
expect '^-D -u UNREPLIED deletes: 1001 1002 1003$'
expect '^-D -u UNSET deletes: 1001 1002 1003$'
echo "Still so."
