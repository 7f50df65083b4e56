#!/usr/bin/env bash
# nft: a ruleset restored from its JSON has `ct timeout` objects without timeouts
#
# Guess: `nft -j list ruleset` writes all that `nft -j -f` needs to load the
# ruleset again, as it does without -j.
# Result: the policy is in the JSON, and the restored object has an empty one; the
# status is 0. Flows that the object gave 11 seconds get the
# default of 30. The JSON of a `ct expectation` object is refused.
#
# Seen with: Debian 12, nft 1.0.6, conntrack 1.4.7; Linux 6.18.44.
# Source: the package libnftables1 (src/parser_json.c).
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

# One datagram to port 9; prints its flow.
send() {
	python3 - <<-'END'
		import socket
		socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"question", ("127.0.0.1", 9))
	END
	conntrack -L -p udp 2>/dev/null
	conntrack -F 2>/dev/null
}

steps() {
	nft --version
	echo "Linux $(uname -r)"
	ip link set lo up
	nft -f - <<-'END'
		table ip f {
			ct timeout t {
				protocol udp
				l3proto ip
				policy = { unreplied : 11, replied : 90 }
			}
			chain c {
				type filter hook output priority 0
				udp dport 9 ct timeout set "t"
			}
		}
	END
	nft list ruleset >before
	nft -j list ruleset >json
	cat json
	echo "the first ruleset: $(send)"
	nft flush ruleset
	nft -j -f json
	echo "nft -j -f: status $?"
	nft list ruleset >after
	diff before after || true
	echo "the restored ruleset: $(send)"
	nft flush ruleset
	nft -f before
	nft list ruleset | cmp - before && echo "restored from text: the same"
	nft flush ruleset
	nft -f - <<-'END'
		table ip f {
			ct expectation e {
				protocol tcp
				dport 9876
				timeout 1m
				size 10
				l3proto ip
			}
		}
	END
	nft -j list ruleset >json
	nft flush ruleset
	nft -j -f json || echo "the JSON of an expectation: status $?"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '"policy": \{"unreplied": 11, "replied": 90\}'
expect '^the first ruleset: udp +17 1[01] src='
expect '^nft -j -f: status 0$'
expect '^>[[:space:]]*policy = \{  \}$'
expect '^the restored ruleset: udp +17 (29|30) src='
expect '^restored from text: the same$'
expect '^the JSON of an expectation: status 1$'
echo "Still so."
