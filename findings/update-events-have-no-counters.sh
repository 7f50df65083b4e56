#!/usr/bin/env bash
# Events of changes have no counters; only the last one does
#
# Guess: with nf_conntrack_acct = 1, an UPDATE event has the packets and bytes of
# the flow so far, as a listing has.
# Result: NEW and UPDATE have none. Only DESTROY has them. To follow the traffic
# of a flow while it lives, you have to list it.
#
# Seen with: Linux 6.18.44; Debian 12, nft 1.0.6, conntrack 1.4.7.
# Source: the packages; the kernel's ctnetlink_conntrack_event().
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
	conntrack --version
	echo "Linux $(uname -r)"
	ip link set lo up
	echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct
	nft 'add table ip f; add chain ip f c { type filter hook output priority 0; };
		add rule ip f c ct state new accept'
	conntrack -E -p udp >events 2>/dev/null &
	listener=$!
	sleep 1
	python3 - <<-'END'
		import socket, subprocess, time
		def udp(port):
		    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		    s.bind(("127.0.0.1", port))
		    return s
		server = udp(53)
		def exchange(client):
		    client.sendto(b"question", ("127.0.0.1", 53))
		    peer = server.recvfrom(100)[1]
		    server.sendto(b"answer", peer)
		    client.recv(100)
		client = udp(1001)
		for _ in range(3):
		    exchange(client)
	END
	conntrack -U -p udp -s 127.0.0.1 -m 7 >/dev/null 2>&1
	conntrack -L -p udp 2>/dev/null | sed 's/^/listed: /'
	conntrack -D -p udp >/dev/null 2>&1
	sleep 1
	kill "$listener"
	wait "$listener" || true
	sed 's/^ */event: /' events
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^listed: .* packets=3 bytes=108 '
expect '^event: \[NEW\] .* sport=1001 dport=53 \[UNREPLIED\] src='
expect '^event: \[UPDATE\] .* sport=1001 dport=53 src=.* mark=7 '
! grep -Eq '^event: .(NEW|UPDATE). .*packets=' out ||
	{ echo "CHANGED: counters in NEW or UPDATE"; exit 1; }
expect '^event: \[DESTROY\] .* packets=3 bytes=108 .* packets=3 bytes=102 '
echo "Still so."
