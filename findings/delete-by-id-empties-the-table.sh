#!/usr/bin/env bash
# A netlink DELETE that names one flow by its CTA_ID alone empties the table
#
# Guess: the request deletes the flow with that id, or is refused because an id
# without a tuple does not name a flow.
# Result: without a tuple, a DELETE is a flush; the id is ignored, every flow is
# deleted, and the result is success. With a tuple the id is compared.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7 (to fill and count).
# Source: the kernel's ctnetlink_del_conntrack().
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
	"${namespace[@]}" bash "$self"
	exit
fi
cd "$FINDING"

# A few lines of ctnetlink: attributes, a tuple, a request and its result.
cat >netlink.py <<'END'
import socket, struct

def attr(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)

def nest(kind, *attrs):
    return attr(kind | 0x8000, b"".join(attrs))

def udp_tuple(kind, src, sport, dst, dport):
    return nest(kind,
        nest(1, attr(1, socket.inet_aton(src)), attr(2, socket.inet_aton(dst))),
        nest(2, attr(1, b"\x11"), attr(2, struct.pack("!H", sport)),
            attr(3, struct.pack("!H", dport))))

NEW, GET, DELETE = 0, 1, 2
ACK, DUMP, CREATE_EXCL = 4, 0x300, 0x600

def message(kind, flags, attrs):
    body = struct.pack("=BBH", socket.AF_INET, 0, 0) + attrs
    return struct.pack("=IHHII", 16 + len(body), 1 << 8 | kind, 1 | flags, 1, 0) + body

def connect():
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    s.bind((0, 0))
    s.settimeout(5)
    return s

def result(data):
    return struct.unpack_from("=i", data, 16)[0]
END

steps() {
	echo "Linux $(uname -r)"
	for port in 1 2 3; do
		conntrack -I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport "$port" --dport 9 \
			-t 100 >/dev/null 2>&1
	done
	id=$(conntrack -L -o id -p udp --sport 1 2>/dev/null | sed 's/.* id=//')
	conntrack -L -o id
	echo "before: $(conntrack -C) flows"
	python3 - "$id" <<-'END'
		import sys
		from netlink import *
		s = connect()
		ident = attr(12, struct.pack("!I", int(sys.argv[1])))
		s.send(message(DELETE, ACK, udp_tuple(1, "10.0.0.1", 2, "10.0.0.2", 9) + ident))
		print("DELETE with the tuple of another flow and the id:", result(s.recv(8192)))
		s.send(message(DELETE, ACK, ident))
		print("DELETE with the id:", result(s.recv(8192)))
	END
	echo "after: $(conntrack -C) flows"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^before: 3 '
expect '^DELETE with the tuple of another flow and the id: -2$'
expect '^DELETE with the id: 0$'
expect '^after: 0 '
echo "Still so."
