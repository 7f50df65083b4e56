#!/usr/bin/env bash
# A port range in a SNAT rule rewrites the id of pings
#
# Guess: ICMP has no ports; a ping through `snat to ADDRESS:2000-2010` has its
# address translated and keeps its id.
# Result: the range is applied to the echo id, which becomes one of 2000
# to 2010. Any rule with a port range that matches pings does
# so.
#
# Seen with: Linux 6.18.44; Debian 12, nft 1.0.6, conntrack 1.4.7.
# Source: the packages; the kernel's nf_nat_l4proto_unique_tuple(), IPPROTO_ICMP.
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

steps() {
	nft --version
	echo "Linux $(uname -r)"
	ip link set lo up
	for last in 1 4 9; do ip address add "10.9.0.$last/32" dev lo; done
	nft 'add table ip t; add chain ip t c { type nat hook postrouting priority 100; };
		add rule ip t c ip protocol { icmp, udp } snat to 10.9.0.4:2000-2010'
	nft list ruleset
	python3 - <<-'END'
		import socket, struct
		# An echo request with id 777; 0xf4f5 is its checksum.
		ping = struct.pack("!BBHHH", 8, 0, 0xF4F5, 777, 1)
		s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
		s.bind(("10.9.0.1", 0))
		s.sendto(ping, ("10.9.0.9", 0))
	END
	conntrack -L -p icmp
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect 'type=8 code=0 id=777 src=10.9.0.9 dst=10.9.0.4 type=0 code=0 id=20(0[0-9]|10) '
echo "Still so."
