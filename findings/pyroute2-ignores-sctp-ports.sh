#!/usr/bin/env bash
# pyroute2: a filter on an SCTP port returns the flows of all SCTP ports
#
# Guess: NFCTAttrTuple(proto=IPPROTO_SCTP, dport=3868) chooses by port, as it does
# for TCP and UDP.
# Result: the kernel's filter compares ports of TCP and UDP only, and
# dump_entries(), which compares again, does so for the same two. Flows of SCTP
# and UDPlite are returned with all ports, and the entries have no ports either.
#
# Seen with: pyroute2 0.9.7; Linux 6.18.44; Debian 12, conntrack 1.4.7 (to fill).
# Source: the package pyroute2 (netlink/nfnetlink/nfctsocket.py, nla_eq()); the
# kernel's ctnetlink_filter_match_tuple().
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
	python3 -m pip install -q --root-user-action=ignore --no-deps \
		--target "$FINDING/py" pyroute2==0.9.7
	export PYTHONPATH="$FINDING/py"
	export FINDING
	namespace=(unshare -n)
	[ "$(id -u)" = 0 ] || namespace=(unshare -rn)
	"${namespace[@]}" bash "$self"
	exit
fi
cd "$FINDING"

steps() {
	python3 -c 'import importlib.metadata as m; print("pyroute2", m.version("pyroute2"))'
	echo "Linux $(uname -r)"
	new=(-I -s 192.0.2.1 -d 198.51.100.2 -t 100)
	for port in 3868 9999; do
		conntrack "${new[@]}" -p sctp --sport 1001 --dport $port --state ESTABLISHED \
			--orig-vtag 1 --reply-vtag 2
		conntrack "${new[@]}" -p udplite --sport 1001 --dport $port
		conntrack "${new[@]}" -p udp --sport 1001 --dport $port
	done >/dev/null 2>&1
	echo "conntrack -L -p sctp --dport 3868:"
	conntrack -L -p sctp --dport 3868
	python3 - <<-'END'
		import socket
		from pyroute2 import Conntrack
		from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple
		with Conntrack() as ct:
		    for name, proto in ("udp", 17), ("sctp", 132), ("udplite", 136):
		        one = NFCTAttrTuple(proto=proto, dport=3868)
		        found = list(ct.dump_entries(tuple_orig=one))
		        print(f"{name}, port 3868: {len(found)} flows, with destination ports",
		            *(entry.tuple_orig.dport for entry in found))
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect ': 1 flow entries have been shown'
expect '^udp, port 3868: 1 flows, with destination ports 3868$'
expect '^sctp, port 3868: 2 flows, with destination ports None None$'
expect '^udplite, port 3868: 2 flows, with destination ports None None$'
echo "Still so."
