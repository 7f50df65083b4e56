#!/usr/bin/env bash
# `conntrack -L -w 10` leaves out flows that are in zone 10 in one direction
#
# Guess: -w 10 lists every flow with zone 10 in some direction; --orig-zone 10
# lists those whose original direction is in it, including flows with zone 10 in
# both directions.
# Result: -w, --orig-zone and --reply-zone select three disjoint sets. A flow in
# zone 10 in both directions is missing from --orig-zone 10, and a flow in zone
# 10 in one direction is listed under zone 0.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7, libnetfilter_conntrack
# 1.0.9.
# Source: the packages; the kernel sends CTA_ZONE either on the entry or in one
# tuple, and the tool compares what it was sent.
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

list() {
	echo "$*:" "$(conntrack -L "$@" 2>/dev/null |
		sed -E 's/.*dport=([0-9]+) .*src=.*/\1/; s/^2$/both/; s/^3$/original/; s/^4$/reply/; s/^5$/none/' |
		sort | xargs)"
}

steps() {
	conntrack --version
	new=(-I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1 -t 100)
	conntrack "${new[@]}" --dport 2 -w 10
	conntrack "${new[@]}" --dport 3 --orig-zone 10
	conntrack "${new[@]}" --dport 4 --reply-zone 10
	conntrack "${new[@]}" --dport 5
	conntrack -L 2>/dev/null
	echo "Listed, by the directions that are in zone 10:"
	list -w 10
	list --orig-zone 10
	list --reply-zone 10
	list -w 0
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^-w 10: both$'
expect '^--orig-zone 10: original$'
expect '^--reply-zone 10: reply$'
expect '^-w 0: none original reply$'
echo "Still so."
