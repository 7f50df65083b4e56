#!/usr/bin/env bash
# `conntrack -U -u ASSURED -m 7` marks all flows and makes them ASSURED
#
# Guess: -u is a filter, as with -L and -D: the flows that are ASSURED get the
# mark.
# Result: with -U the status is a value to set. Every flow that the other options
# choose is marked and becomes ASSURED, even one without a reply.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7.
# Source: the package conntrack (src/conntrack.c, "FILTER PARAMETERS" in
# conntrack(8)).
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

steps() {
	conntrack --version
	echo "Linux $(uname -r)"
	new=(-I -p tcp -s 192.0.2.1 -d 198.51.100.2 --dport 443 -t 100)
	conntrack "${new[@]}" --sport 1001 --state ESTABLISHED -u SEEN_REPLY,ASSURED
	conntrack "${new[@]}" --sport 1002 --state SYN_SENT
	echo "conntrack -L -s 192.0.2.1 -u ASSURED"
	conntrack -L -s 192.0.2.1 -u ASSURED
	echo "conntrack -U -s 192.0.2.1 -u ASSURED -m 7"
	conntrack -U -s 192.0.2.1 -u ASSURED -m 7 >/dev/null
	echo "the table:"
	conntrack -L
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect ': 1 flow entries have been shown'
expect ': 2 flow entries have been updated'
expect 'sport=1001 .*\[ASSURED\] mark=7 '
expect 'sport=1002 .*\[UNREPLIED\].*\[ASSURED\] mark=7 '
echo "Still so."
