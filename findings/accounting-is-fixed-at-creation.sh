#!/usr/bin/env bash
# nf_conntrack_acct = 1 does not count existing flows; 0 does not stop counting
#
# Guess: the sysctl switches the counting of packets and bytes on and off.
# Result: it decides whether a new flow gets counters. Flows that were there
# before it was set to 1 are never counted, however long they live. Those created
# while it was 1 are counted until they end, also after it is set to 0.
#
# Seen with: Linux 6.18.44; Debian 12, nft 1.0.6, conntrack 1.4.7.
# Source: the packages; the kernel's nf_ct_acct_ext_add() and nf_ct_acct_update().
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
	nft 'add table ip f; add chain ip f c { type filter hook output priority 0; };
		add rule ip f c ct state new accept'
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
		def acct(value):
		    with open("/proc/sys/net/netfilter/nf_conntrack_acct", "w") as sysctl:
		        sysctl.write(str(value))
		    print("nf_conntrack_acct =", value, flush=True)
		def show():
		    subprocess.run(["conntrack", "-L", "-p", "udp"], stderr=subprocess.DEVNULL)
		acct(0)
		first = udp(1001)
		exchange(first)
		show()
		acct(1)
		second = udp(1002)
		for _ in range(3):
		    exchange(first)
		    exchange(second)
		show()
		acct(0)
		exchange(second)
		show()
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^nf_conntrack_acct = 1$'
[ "$(grep -c 'sport=1001 dport=53 src=' out)" = 3 ] || { echo "CHANGED: counted"; exit 1; }
expect 'sport=1002 dport=53 packets=3 bytes=108 '
expect 'sport=1002 dport=53 packets=4 bytes=144 '
echo "Still so."
