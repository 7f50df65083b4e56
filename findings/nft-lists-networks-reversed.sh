#!/usr/bin/env bash
# nft: `ct original daddr 127.0.0.0/24` is listed as 0.127.0.0
#
# Guess: what nft loads it can list, so that a saved ruleset is the ruleset.
# Result: the rule is loaded, and matches the network. `nft list ruleset` prints
# an address, with the bytes of the network at the wrong end, and no prefix
# length; loaded again, the rule matches that address only. iptables-translate
# prints this form for --ctorigdst. `ct original ip daddr` is listed right.
#
# Seen with: Linux 6.18.44; Debian 12, nft 1.0.6, iptables 1.8.9.
# Source: the packages; nft lets the kernel compare the first three bytes, and
# lists them as a whole address.
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
	nft --version
	iptables-nft --version
	echo "Linux $(uname -r)"
	ip link set lo up
	iptables-translate -A OUTPUT -m conntrack --ctorigdst 127.0.0.0/24 |
		sed "s/^nft '//; s/'$//" | tee rule
	nft 'add table ip filter;
		add chain ip filter OUTPUT { type filter hook output priority 0; }'
	nft -f rule
	nft 'add rule ip filter OUTPUT ct original ip daddr 127.0.0.0/24 counter'
	send
	nft list ruleset >saved
	sed 's/^/saved: /' saved
	nft flush ruleset
	nft -f saved
	send
	nft list ruleset | sed 's/^/restored: /'
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^add rule .* ct original daddr 127.0.0.0/24 counter'
expect '^saved:[[:space:]]*ct original ip daddr 0\.127\.0\.0 counter packets 1 '
expect '^saved:[[:space:]]*ct original ip daddr 127\.0\.0\.0/24 counter packets 1 '
expect '^restored:[[:space:]]*ct original ip daddr 0\.127\.0\.0 counter packets 1 '
expect '^restored:[[:space:]]*ct original ip daddr 127\.0\.0\.0/24 counter packets 2 '
echo "Still so."
