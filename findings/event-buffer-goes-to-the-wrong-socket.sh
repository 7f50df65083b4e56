#!/usr/bin/env bash
# `conntrack -E -b SIZE` enlarges a socket on which no events arrive
#
# Guess: -b sets the receive buffer of the socket that receives the events.
# Result: the tool opens two sockets and sets the size on the other one,
# which it uses for requests; the one that is subscribed keeps its default.
# The notice about the new size is printed all the same.
#
# Seen with: Debian 12, conntrack 1.4.7, strace 6.1; Linux 6.18.44.
# Source: the package conntrack (src/conntrack.c, do_command_ct(), CT_EVENT).
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
		libmnl0=1.0.4-3 strace=6.1-0.1 libunwind8=1.6.2-3
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
	echo "conntrack -E -b 1000000, its calls:"
	timeout -s INT 2 strace -e trace=bind,setsockopt,recvmsg -o calls \
		conntrack -E -e NEW -b 1000000 || true
	grep -E '^(bind|setsockopt|recvmsg)' calls
	subscribed=$(sed -nE 's/^bind\(([0-9]+),.*nl_groups=0x0*1\}.*/\1/p' calls)
	enlarged=$(sed -nE 's/^setsockopt\(([0-9]+),.*RCVBUF.*/\1/p' calls | head -n 1)
	echo "events come on socket $subscribed, the size is set on socket $enlarged"
	[ "$subscribed" = "$enlarged" ] || echo "they differ"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect 'events come on socket [0-9]+, the size is set on socket [0-9]+$'
expect '^they differ$'
echo "Still so."
