#!/usr/bin/env bash
# The `insert` of `conntrack -S` does not count the flows that packets create
#
# Guess: insert counts the entries put into the table, mostly those of traffic.
# Result: it counts what netlink creates. Twenty flows of real packets
# leave it at 0; five `conntrack -I` make it 5.
#
# Seen with: Linux 6.18.44; Debian 12, nft 1.0.6, conntrack 1.4.7.
# Source: the packages; the kernel's nf_conntrack_hash_check_insert() counts,
# __nf_conntrack_confirm() does not.
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
		libmnl0=1.0.4-3 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 \
		libnftnl11=1.2.4-2 libxtables12=1.8.9-2 libjansson4=2.14-2 \
		libedit2=3.1-20221030-2 iproute2=6.1.0-3 libbpf1=1:1.1.2-0+deb12u1 \
		libelf1=0.188-2.1
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

inserts() {
	conntrack -S 2>/dev/null | grep -Eo ' insert=[0-9]+' | sed 's/.*=//' |
		python3 -c 'import sys; print(sum(map(int, sys.stdin)))'
}

steps() {
	conntrack --version
	echo "Linux $(uname -r)"
	ip link set lo up
	nft 'add table ip f; add chain ip f c { type filter hook output priority 0; };
		add rule ip f c ct state new counter'
	python3 - <<-'END'
		import socket
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.bind(("127.0.0.1", 5555))
		for port in range(1, 21):
		    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		    peer.bind(("127.0.0.1", port))
		    s.sendto(b"x", ("127.0.0.1", port))
	END
	echo "20 flows of packets: $(conntrack -C) in the table, insert=$(inserts)"
	for port in 1 2 3 4 5; do
		conntrack -I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport "$port" --dport 9 \
			-t 100 >/dev/null 2>&1
	done
	echo "5 of netlink: $(conntrack -C) in the table, insert=$(inserts)"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^20 flows of packets: 20 in the table, insert=0$'
expect '^5 of netlink: 25 in the table, insert=5$'
echo "Still so."
