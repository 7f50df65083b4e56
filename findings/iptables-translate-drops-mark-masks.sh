#!/usr/bin/env bash
# iptables-translate: `CONNMARK --set-mark 0x1/0x3` becomes a rule without effect
#
# Guess: the nft rule that iptables-translate prints does what the rule of
# iptables does.
# Result: `CONNMARK --set-mark 0x1/0x3` becomes `ct mark set ct mark xor 0x1 and
# 0xfffffffc`; nft takes `and` first, lists the rule as `ct mark set ct mark`, and
# the mark stays as it was. `--save-mark --mask 0xff` becomes a rule that also
# clears the other bits of the flow's mark.
#
# Seen with: Linux 6.18.44; Debian 12, iptables 1.8.9, nft 1.0.6, conntrack 1.4.7.
# Source: the package iptables (extensions/libxt_CONNMARK.c).
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
		libelf1=0.188-2.1 iptables=1.8.9-2 libip4tc2=1.8.9-2 libip6tc2=1.8.9-2
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

# A datagram with mark 0x1234, in a flow that has mark 0xff00f2; prints the mark
# that the flow has then.
mark() {
	{
		conntrack -F
		conntrack -I -p udp -s 127.0.0.1 -d 127.0.0.1 --sport 1001 --dport 53 -t 100 \
			-m 0xff00f2
	} >/dev/null 2>&1
	python3 - <<-'END'
		import socket
		server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		server.bind(("127.0.0.1", 53))
		client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		client.setsockopt(socket.SOL_SOCKET, 36, 0x1234)  # SO_MARK
		client.bind(("127.0.0.1", 1001))
		client.sendto(b"question", ("127.0.0.1", 53))
	END
	printf '0x%x' "$(conntrack -L -p udp 2>/dev/null | sed -E 's/.*mark=([0-9]+).*/\1/')"
}

steps() {
	iptables-nft --version
	nft --version
	echo "Linux $(uname -r)"
	ip link set lo up
	for target in '--set-mark 0x5' '--set-mark 0x1/0x3' '--save-mark --mask 0xff'; do
		read -ra options <<<"$target"
		rule=(-t mangle -A OUTPUT -p udp -j CONNMARK "${options[@]}")
		iptables-nft "${rule[@]}"
		echo "iptables $target: $(mark)"
		nft flush ruleset
		iptables-translate "${rule[@]}" | sed "s/^nft '//; s/'$//" >rule
		cat rule
		nft 'add table ip mangle;
			add chain ip mangle OUTPUT { type route hook output priority mangle; }'
		nft -f rule
		nft list ruleset | grep 'ct mark'
		echo "translated $target: $(mark)"
		nft flush ruleset
	done
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^iptables --set-mark 0x5: 0x5$'
expect '^translated --set-mark 0x5: 0x5$'
expect '^iptables --set-mark 0x1/0x3: 0xff00f1$'
expect 'ct mark set ct mark xor 0x1 and 0xfffffffc$'
expect '^translated --set-mark 0x1/0x3: 0xff00f2$'
expect '^iptables --save-mark --mask 0xff: 0xff0034$'
expect '^translated --save-mark --mask 0xff: 0x34$'
echo "Still so."
