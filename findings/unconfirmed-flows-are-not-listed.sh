#!/usr/bin/env bash
# `conntrack -L unconfirmed` never lists a flow
#
# Guess: as the manual page states, a flow whose first packet waits in an nfqueue
# is in the table "unconfirmed", where a program that holds packets finds it.
# Result: the list is empty, and the status is 0, while `conntrack -C` counts the
# flow and its packet waits. This kernel keeps no list of such flows, but
# still answers the request, with nothing.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7, iptables 1.8.9.
# Source: the package conntrack (conntrack(8)); the kernel's
# ctnetlink_get_ct_unconfirmed().
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
		libmnl0=1.0.4-3 iptables=1.8.9-2 libip4tc2=1.8.9-2 libip6tc2=1.8.9-2 \
		libxtables12=1.8.9-2 libnftnl11=1.2.4-2 iproute2=6.1.0-3 \
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

XTABLES_LIBDIR=$(echo "$FINDING"/usr/lib/*-linux-gnu/xtables)
export XTABLES_LIBDIR

steps() {
	conntrack --version
	iptables-nft --version
	echo "Linux $(uname -r)"
	ip link set lo up
	iptables-nft -A OUTPUT -p udp --dport 9 -m conntrack --ctstate NEW \
		-j NFQUEUE --queue-num 5
	python3 - <<-'END'
		import socket, struct, subprocess
		# The queue: bind to it (1), copy whole packets (2), as nfnetlink_queue(3).
		queue = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
		queue.bind((0, 0))
		queue.settimeout(5)
		def attr(kind, data):
		    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)
		for config in attr(1, struct.pack("!BBH", 1, 0, 2)), attr(2, struct.pack("!IB", 64, 2)):
		    body = struct.pack("!BBH", 0, 0, 5) + config
		    queue.send(struct.pack("=IHHII", 16 + len(body), 3 << 8 | 2, 5, 1, 0) + body)
		    assert struct.unpack_from("=i", queue.recv(8192), 16) == (0,)
		client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		client.sendto(b"question", ("127.0.0.1", 9))
		print("a packet waits in the queue:", b"question" in queue.recv(8192))
		def conntrack(*args):
		    run = subprocess.run(["conntrack", *args], capture_output=True, text=True)
		    print("conntrack", *args, "prints", repr(run.stdout), "status", run.returncode,
		        flush=True)
		conntrack("-C")
		conntrack("-L", "unconfirmed")
		# Accept the packet, as the first of the queue (verdict 2 is its header).
		body = struct.pack("!BBH", 0, 0, 5) + attr(2, struct.pack("!II", 1, 1))
		queue.send(struct.pack("=IHHII", 16 + len(body), 3 << 8 | 1, 5, 1, 0) + body)
		assert struct.unpack_from("=i", queue.recv(8192), 16) == (0,)
	END
	echo "after the packet was accepted:"
	conntrack -L
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^a packet waits in the queue: True$'
expect "^conntrack -C prints '1.n' status 0$"
expect "^conntrack -L unconfirmed prints '' status 0$"
expect '^udp .* dport=9 .*UNREPLIED'
echo "Still so."
