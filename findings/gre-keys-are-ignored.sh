#!/usr/bin/env bash
# `conntrack -D -p gre --srckey 5` deletes GRE flows with other keys
#
# Guess: --srckey and --dstkey select GRE flows, as --sport and --dport select
# those of UDP. -I with these options creates a flow with these keys.
# Result: -L, -U and -D silently ignore the keys: -L lists every GRE flow, -D
# deletes them, even for a key that no flow has. The ports of UDP are compared.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7.
# Source: the package conntrack.
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
	conntrack -I -s 10.0.0.1 -d 10.0.0.2 -t 100 "$@" >/dev/null 2>&1
}

steps() {
	conntrack --version
	add -p gre --srckey 5 --dstkey 6
	add -p gre --srckey 7 --dstkey 8
	add -p udp --sport 5 --dport 6
	conntrack -L
	echo "UDP, a port that no flow has:"
	conntrack -D -p udp --sport 99 || true
	echo "GRE, a key of one flow:"
	conntrack -L -p gre --srckey 5
	echo "GRE, a key that no flow has:"
	conntrack -D -p gre --srckey 99
	echo "left: $(conntrack -C)"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^gre .* srckey=0x5 dstkey=0x6 '
expect '^gre .* srckey=0x7 dstkey=0x8 '
expect ': 0 flow entries have been deleted'
expect ': 2 flow entries have been shown'
expect ': 2 flow entries have been deleted'
expect '^left: 1$'
echo "Still so."
