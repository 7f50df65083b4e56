#!/usr/bin/env bash
# /proc/net/nf_conntrack is closed to the root of `unshare -rn`
#
# Guess: root in the user namespace that a network namespace belongs to can list
# its flows, by netlink and in /proc.
# Result: with both namespaces made at once, the file belongs to nobody and
# cannot be opened, while `conntrack -L` works. With one after the other,
# `unshare -r unshare -n`, it belongs to root and can be read. The owner is looked
# up when the network namespace is made, which in `unshare -rn` is before root is
# mapped.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7 (and coreutils 9.1,
# util-linux 2.38.1 of the system).
# Source: the package conntrack; the kernel's nf_conntrack_standalone_init_proc().
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

look() {
	stat -c 'owner %u, mode %a' /proc/net/nf_conntrack
	cat /proc/net/nf_conntrack && echo "cat: status 0" || echo "cat: status $?"
	conntrack -I -p udp -s 192.0.2.1 -d 198.51.100.2 --sport 1001 --dport 53 -t 100
	conntrack -L && echo "conntrack -L: status 0" || echo "conntrack -L: status $?"
	cat /proc/net/nf_conntrack && echo "cat: status 0" || echo "cat: status $?"
}
export -f look

steps() {
	conntrack --version
	unshare --version
	echo "Linux $(uname -r)"
	user=()
	# The root of the machine may read all files: become somebody else.
	if [ "$(awk '{ print $3; exit }' /proc/self/uid_map)" = 4294967295 ]; then
		chmod 711 "$FINDING"
		user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	fi
	"${user[@]}" unshare -rn bash -c look 2>&1 | sed 's/^/unshare -rn: /'
	"${user[@]}" unshare -r unshare -n bash -c look 2>&1 | sed 's/^/unshare -r unshare -n: /'
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^unshare -rn: owner 65534, mode 440$'
expect '^unshare -rn: cat: status 1$'
! grep -q '^unshare -rn: cat: status 0$' out || { echo "CHANGED: readable"; exit 1; }
expect '^unshare -rn: conntrack -L: status 0$'
expect '^unshare -r unshare -n: owner 0, mode 440$'
expect '^unshare -r unshare -n: cat: status 0$'
expect '^unshare -r unshare -n: ipv4 .* udp .* sport=1001 '
echo "Still so."
