#!/usr/bin/env bash
# Fifty questions and answers do not make a UDP flow ASSURED
#
# Guess: the first reply makes a UDP flow ASSURED and gives it the longer
# timeout of a stream (nf_conntrack_udp_timeout_stream, 120 s).
# Result: the flow becomes a stream only with a packet seen more than two
# seconds after it began, however many went before; until then it is not ASSURED
# and has the 30 s of an answered flow.
#
# Seen with: Linux 6.18.44; Debian 12, nft 1.0.6, conntrack 1.4.7.
# Source: the packages; the kernel's nf_conntrack_udp_packet().
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
		add rule ip f c ct state new counter'
	python3 - <<-'END'
		import socket, subprocess, time
		def udp(port):
		    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		    s.bind(("127.0.0.1", port))
		    return s
		client, server = udp(5555), udp(80)
		def exchange():
		    client.sendto(b"question", ("127.0.0.1", 80))
		    server.recv(100)
		    server.sendto(b"answer", ("127.0.0.1", 5555))
		    client.recv(100)
		def show(title):
		    print(title, subprocess.run(["conntrack", "-L", "-p", "udp"],
		        capture_output=True, text=True).stdout, sep=": ", end="", flush=True)
		for _ in range(50):
		    exchange()
		show("after 50 exchanges")
		time.sleep(2.5)
		exchange()
		show("one more, 2.5 s later")
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^after 50 exchanges: udp +17 (29|30) src.* mark=0'
! grep -q '^after 50 .*ASSURED' out || { echo "CHANGED: ASSURED at once"; exit 1; }
expect '^one more, 2.5 s later: udp +17 1(19|20) .*\[ASSURED\]'
echo "Still so."
