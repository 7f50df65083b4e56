#!/usr/bin/env bash
# An nft rule that no packet ever reaches turns connection tracking on
#
# Guess: a rule in a chain without a hook, which no other chain jumps to, has no
# effect.
# Result: with such a rule that has a `ct` match, all flows of the family are
# tracked from then on, and no longer when it is gone. An object that no rule
# uses, a `ct helper`, does the same. Without them nothing is tracked.
#
# Seen with: Linux 6.18.44; Debian 12, nft 1.0.6, conntrack 1.4.7.
# Source: the packages; the kernel's nft_ct_get_init() and nft_ct_helper_obj_init(),
# which register the hooks of connection tracking.
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

# Sends a datagram over IPv4 and one over IPv6; prints how many flows there are.
send() {
	python3 - <<-'END'
		import socket
		for family, address in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
		    server = socket.socket(family, socket.SOCK_DGRAM)
		    server.bind((address, 53))
		    client = socket.socket(family, socket.SOCK_DGRAM)
		    client.sendto(b"question", (address, 53))
	END
	echo "$1: $(conntrack -C) flows"
	conntrack -L 2>/dev/null
	conntrack -F 2>/dev/null
	nft flush ruleset
}

steps() {
	nft --version
	conntrack --version
	echo "Linux $(uname -r)"
	ip link set lo up
	send "no rule"
	nft 'add table ip f; add chain ip f unused; add rule ip f unused udp dport 99 drop'
	send "unused rule without ct"
	nft 'add table ip f; add chain ip f unused; add rule ip f unused ct state invalid drop'
	nft list ruleset
	send "unused rule with ct"
	nft 'add table ip f; add ct helper ip f unused { type "ftp" protocol tcp; }'
	send "unused helper"
	send "no rule again"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^no rule: 0 flows$'
expect '^unused rule without ct: 0 flows$'
expect '^unused rule with ct: 1 flows$'
expect '^unused helper: 1 flows$'
expect '^no rule again: 0 flows$'
echo "Still so."
