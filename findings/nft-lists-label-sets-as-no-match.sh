#!/usr/bin/env bash
# nft: a rule with `ct label { 3, 4 }` is listed as a rule that matches everything
#
# Guess: what nft loads it can list, so that a saved ruleset is the ruleset.
# Result: the rule is loaded, and works. `nft list ruleset` prints it without the
# match, with an error on the side and status 0, so that a ruleset saved and
# loaded again applies the rule to all packets. A single label is listed.
#
# Seen with: Debian 12, nft 1.0.6; Linux 6.18.44.
# Source: the package libnftables1 (src/datatype.c, datatype_lookup()).
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
		libbpf1=1:1.1.2-0+deb12u1 libelf1=0.188-2.1
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

# Sends three datagrams.
send() {
	python3 - <<-'END'
		import socket
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		for port in 1, 2, 3:
		    s.sendto(b"question", ("127.0.0.1", port))
	END
}

steps() {
	nft --version
	echo "Linux $(uname -r)"
	ip link set lo up
	nft 'add table ip f; add chain ip f c { type filter hook output priority 0; };
		add rule ip f c udp dport 2 ct label set 3;
		add rule ip f c udp dport 1-9 ct label { 3, 4 } counter'
	send
	echo "loaded:"
	nft list ruleset >saved
	echo "nft list ruleset: status $?"
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
expect 'Unknown data type in set key'
expect '^nft list ruleset: status 0$'
expect '^saved:[[:space:]]*udp dport 2 ct label set 3$'
expect '^saved:[[:space:]]*udp dport 1-9 counter packets 1 '
expect '^restored:[[:space:]]*udp dport 1-9 counter packets 4 '
echo "Still so."
