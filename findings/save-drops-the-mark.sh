#!/usr/bin/env bash
# A table saved with `conntrack -L -o save` comes back without its marks
#
# Guess: -o save writes what -R needs to restore the table; a mark, which rules
# and routing depend on, is in it (-I and -A take -m).
# Result: the lines have no mark. After saving, flushing and restoring,
# each mark is 0.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7.
# Source: the package conntrack (src/conntrack.c, ct_save_snprintf()).
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
	conntrack -I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 9 -t 100 -m 7
	conntrack -L
	conntrack -L -o save >saved
	echo "saved:"
	cat saved
	conntrack -F
	conntrack -R saved >/dev/null
	echo "restored:"
	conntrack -L
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect 'sport=1 dport=9 .*mark=7 '
expect 'sport=1 dport=9 .*mark=0 '
expect '^-A .*-p udp '
echo "Still so."
