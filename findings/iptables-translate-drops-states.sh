#!/usr/bin/env bash
# `--ctstate NEW,DNAT` is translated to a rule without NEW
#
# Guess: the nft rule that iptables-translate prints does what the rule of
# iptables does: it matches packets that begin a flow or belong to a flow with
# destination NAT.
# Result: it is `ct status dnat`. Packets of other new flows do not match.
#
# Seen with: Linux 6.18.44; Debian 12, iptables 1.8.9, nft 1.0.6.
# Source: the package iptables (extensions/libxt_conntrack.c).
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
		nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 \
		libxtables12=1.8.9-2 libjansson4=2.14-2 libedit2=3.1-20221030-2 iproute2=6.1.0-3 \
		libbpf1=1:1.1.2-0+deb12u1 libelf1=0.188-2.1 iptables=1.8.9-2 libip4tc2=1.8.9-2 \
		libip6tc2=1.8.9-2
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

XTABLES_LIBDIR=$(echo "$FINDING"/usr/lib/*-linux-gnu/xtables)
export XTABLES_LIBDIR

# A datagram, the first one of its flow.
send() {
	python3 - <<-'END'
		import socket
		server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		server.bind(("127.0.0.1", 53))
		client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		client.sendto(b"question", ("127.0.0.1", 53))
	END
}

steps() {
	iptables-nft --version
	nft --version
	echo "Linux $(uname -r)"
	ip link set lo up
	for state in NEW NEW,DNAT; do
		rule=(-A OUTPUT -p udp -m conntrack --ctstate "$state" -j ACCEPT)
		iptables-nft "${rule[@]}"
		send
		iptables-nft -nvL OUTPUT | awk -v state="$state" \
			'$3 == "ACCEPT" { print "iptables, " state ": " $1 " packets" }'
		nft flush ruleset
		iptables-translate "${rule[@]}" | sed "s/^nft '//; s/'$//" >rule
		cat rule
		nft 'add table ip filter;
			add chain ip filter OUTPUT { type filter hook output priority 0; }'
		nft -f rule
		send
		nft list ruleset |
			sed -nE "s/.*counter packets ([0-9]+) .*/translated, $state: \1 packets/p"
		nft flush ruleset
	done
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^iptables, NEW: 1 packets$'
expect '^translated, NEW: 1 packets$'
expect '^iptables, NEW,DNAT: 1 packets$'
expect 'ct status dnat counter accept$'
expect '^translated, NEW,DNAT: 0 packets$'
echo "Still so."
