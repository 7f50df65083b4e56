#!/usr/bin/env bash
# A deleted TCP connection comes back with the server as its origin
#
# Guess: after `conntrack -D` the next packet of a connection that is still open
# makes the same flow again.
# Result: the kernel picks up connections in the middle, and takes the sender of
# the next packet for the client. If that is the server, source and destination
# of the original direction are swapped: `-L --dport 8080` does not find the flow,
# and a second `-D --dport 8080` fails. It stays so until the connection ends, with
# ESTABLISHED and ASSURED as before.
#
# Seen with: Linux 6.18.44 with nf_conntrack_tcp_loose = 1, the default; Debian
# 12, nft 1.0.6, conntrack 1.4.7.
# Source: the packages; the kernel's tcp_new().
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
	echo "nf_conntrack_tcp_loose = $(cat /proc/sys/net/netfilter/nf_conntrack_tcp_loose)"
	ip link set lo up
	nft 'add table ip f; add chain ip f c { type filter hook output priority 0; };
		add rule ip f c ct state new counter'
	python3 - <<-'END'
		import socket, subprocess
		listener = socket.create_server(("127.0.0.1", 8080))
		client = socket.socket()
		client.bind(("127.0.0.1", 40000))
		client.connect(("127.0.0.1", 8080))
		server, _ = listener.accept()
		def conntrack(title, *args):
		    run = subprocess.run(["conntrack", *args], capture_output=True, text=True)
		    print(title, run.stdout.strip() or "none", sep=": ", flush=True)
		def send(sender, receiver):
		    sender.send(b"data")
		    receiver.recv(100)
		send(client, server)
		conntrack("the flow", "-L", "-p", "tcp")
		conntrack("-D --dport 8080", "-D", "-p", "tcp", "--dport", "8080")
		send(server, client)
		conntrack("after a packet of the server", "-L", "-p", "tcp")
		send(client, server)
		conntrack("after one of the client", "-L", "-p", "tcp")
		conntrack("-L --dport 8080", "-L", "-p", "tcp", "--dport", "8080")
		conntrack("-D again", "-D", "-p", "tcp", "--dport", "8080")
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^nf_conntrack_tcp_loose = 1$'
expect '^the flow: .*ESTABLISHED src=127.0.0.1 dst=127.0.0.1 sport=40000 dport=8080 '
expect '^after a packet of the server: .*ESTABLISHED .* sport=8080 dport=40000 .* sport=40000 '
expect '^after one of the client: .*ESTABLISHED .* sport=8080 dport=40000 .*\[ASSURED\]'
expect '^-L --dport 8080: none$'
expect '^-D again: none$'
echo "Still so."
