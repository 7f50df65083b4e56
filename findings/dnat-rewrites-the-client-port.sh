#!/usr/bin/env bash
# A DNAT rule alone rewrites the client's source port
#
# Guess: destination NAT changes the destination; address and port of the client
# reach the server untouched, as there is no SNAT or masquerade rule.
# Result: a client that uses one source port towards two addresses, both
# translated to the same server, reaches it the second time from another port.
# The reply tuple must be unique, so the kernel picks a free source port itself.
#
# Seen with: Linux 6.18.44; Debian 12, nft 1.0.6, conntrack 1.4.7.
# Source: the packages; the kernel's nf_nat_alloc_null_binding() and
# get_unique_tuple().
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

# Answers for a few seconds and prints whom it hears.
serve() {
	python3 - <<-'END'
		import socket
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.bind(("10.9.0.9", 80))
		s.settimeout(3)
		try:
		    while True:
		        data, peer = s.recvfrom(100)
		        print("the server hears", *peer, flush=True)
		        s.sendto(b"answer", peer)
		except TimeoutError:
		    pass
	END
}

# Sends one datagram from 10.9.0.1, port 5555.
ask() {
	python3 - "$1" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		s.bind(("10.9.0.1", 5555))
		s.settimeout(0.5)
		s.sendto(b"question", (sys.argv[1], 80))
		try:
		    print("the client hears", *s.recvfrom(100)[1], flush=True)
		except TimeoutError:
		    print("the client hears nothing", flush=True)
	END
}

network() {
	ip link set lo up
	for last in 1 2 3 9; do ip address add "10.9.0.$last/32" dev lo; done
}

steps() {
	nft --version
	echo "Linux $(uname -r)"
	network
	nft 'add table ip t; add chain ip t c { type nat hook output priority -100; };
		add rule ip t c ip daddr { 10.9.0.2, 10.9.0.3 } udp dport 80 dnat to 10.9.0.9'
	nft list ruleset
	serve &
	sleep 0.5
	ask 10.9.0.2
	ask 10.9.0.3
	conntrack -L
	wait
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^the server hears 10.9.0.1 5555$'
expect '^the client hears 10.9.0.3 80$'
grep '^the server hears' out | grep -Evq ' 5555$' ||
	{ echo "CHANGED: the source port was kept"; exit 1; }
echo "Still so."
