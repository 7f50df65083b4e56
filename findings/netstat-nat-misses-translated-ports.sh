#!/usr/bin/env bash
# netstat-nat does not list flows of which only a port is translated
#
# Guess: netstat-nat lists the translated flows: those that conntrack -L -j lists.
# Result: it compares addresses, and of IPv4 flows alone. A connection that a
# redirect, or a DNAT to the same host, sends to another port is missing, and
# so is each translated IPv6 flow.
#
# Seen with: Linux 6.18.44; Debian 12, netstat-nat 1.4.10, conntrack 1.4.7 (to
# fill).
# Source: the package netstat-nat (netstat-nat.c).
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
		libmnl0=1.0.4-3 netstat-nat=1.4.10-3+b1
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

# Without root, the file that netstat-nat reads can be read only in a network
# namespace that is made after the user namespace.
[ -r /proc/net/nf_conntrack ] || exec unshare -n bash "$0"

steps() {
	dpkg-deb -f netstat-nat_*.deb Package Version
	conntrack --version
	echo "Linux $(uname -r)"
	v4=(-I -p udp -s 192.0.2.1 -d 198.51.100.2 --dport 80 -t 100)
	v6=(-I -p udp -s 2001:db8::1 -d 2001:db8::2 --dport 80 -t 100)
	conntrack "${v4[@]}" --sport 1001
	conntrack "${v4[@]}" --sport 1002 --dst-nat 203.0.113.9:8080
	conntrack "${v4[@]}" --sport 1003 --dst-nat 198.51.100.2:8080
	conntrack "${v6[@]}" --sport 1004 --dst-nat '[2001:db8::9]:8080'
	conntrack -L -j 2>/dev/null | sed -E 's/.* sport=(100[0-9]) dport=80 .*/\1/' | sort >translated
	echo "conntrack -L -j, source ports: $(xargs <translated)"
	netstat-nat -n | tee listed
	echo "netstat-nat, source ports: $(grep -oE ':100[0-9]\b' listed | tr -d : | sort | xargs)"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^conntrack -L -j, source ports: 1002 1003 1004$'
expect '^netstat-nat, source ports: 1002$'
echo "Still so."
