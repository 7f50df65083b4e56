#!/usr/bin/env bash
# A new flow has the id of the deleted one
#
# Guess: the kernel's id tells a flow from an earlier one with the same
# addresses and ports: who deletes by tuple and id spares the new flow.
# Result: the id is computed from the tuple and from the flow's place in memory,
# which the next flow gets. Created, deleted and created again on one CPU, most
# flows have the id that they had before, and a delete that carries the old id
# takes the new flow.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7.
# Source: the package conntrack; the kernel's nf_ct_get_id() and its cache of
# nf_conntrack objects.
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
		libmnl0=1.0.4-3
	for deb in *.deb; do dpkg -x "$deb" .; done
	export PATH="$FINDING/usr/sbin:$FINDING/usr/bin:$FINDING/sbin:$FINDING/bin:$PATH"
	for lib in "$FINDING"/usr/lib/*-linux-gnu "$FINDING"/lib/*-linux-gnu; do
		LD_LIBRARY_PATH="$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
	done
	export LD_LIBRARY_PATH
	export FINDING
	namespace=(unshare -n)
	[ "$(id -u)" = 0 ] || namespace=(unshare -rn)
	# On one CPU: each has free places of its own.
	"${namespace[@]}" taskset -c 0 bash "$self"
	exit
fi
cd "$FINDING"

create() {
	conntrack -I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport "$1" --dport 9 -t 300 >/dev/null 2>&1
}
id() { conntrack -L -o id 2>/dev/null | grep -o 'id=[0-9]*'; }

# A DELETE of the UDP flow 10.0.0.1:100 -> 10.0.0.2:9 with the id "$1".
delete_with_id() {
	python3 - "$1" <<-'END'
		import socket, struct, sys
		def attr(kind, data):
		    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)
		ip = attr(1, socket.inet_aton("10.0.0.1")) + attr(2, socket.inet_aton("10.0.0.2"))
		ports = attr(1, b"\x11") + attr(2, struct.pack("!H", 100)) + attr(3, struct.pack("!H", 9))
		tuple_ = attr(0x8001, attr(0x8001, ip) + attr(0x8002, ports))
		body = struct.pack("=BBH", 2, 0, 0) + tuple_ + attr(12, struct.pack("!I", int(sys.argv[1])))
		s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
		s.bind((0, 0))
		s.send(struct.pack("=IHHII", 16 + len(body), 0x102, 5, 1, 0) + body)
		print("delete with the old id: errno", -struct.unpack_from("=i", s.recv(4096), 16)[0])
	END
}

steps() {
	conntrack --version
	echo "Linux $(uname -r)"
	same=0
	for port in $(seq 1 40); do
		create "$port"
		before=$(id)
		conntrack -F >/dev/null 2>&1
		create "$port"
		[ "$(id)" != "$before" ] || same=$((same + 1))
		conntrack -F >/dev/null 2>&1
	done
	echo "same id after delete and create: $same of 40"
	for _ in $(seq 20); do
		create 100
		before=$(id)
		conntrack -F >/dev/null 2>&1
		create 100
		[ "$(id)" != "$before" ] || break
		conntrack -F >/dev/null 2>&1
	done
	delete_with_id "${before#id=}"
	echo "flows left: $(conntrack -C)"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^same id after delete and create: ([12][0-9]|3[0-9]|40) of 40$'
expect '^delete with the old id: errno 0$'
expect '^flows left: 0$'
echo "Still so."
