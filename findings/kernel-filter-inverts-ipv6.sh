#!/usr/bin/env bash
# A dump filtered by an IPv6 source returns every flow but those of that source
#
# Guess: CTA_FILTER works for IPv6 as for IPv4: only flows from the address.
# Result: for IPv6 the kernel's comparison is inverted, and it sends the flows
# from all other addresses. In pyroute2, dump() returns those flows, and
# dump_entries(), which compares again, returns nothing.
#
# Seen with: Linux 6.18.44; pyroute2 0.9.7; Debian 12, conntrack 1.4.7 (to fill).
# Source: the kernel's ctnetlink_filter_match_tuple(); pyroute2/conntrack.py.
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
	for last in 1 2 3; do
		for prefix in 10.0.0. fd00::; do
			conntrack -I -p udp --sport 1 --dport 2 -t 100 -s "$prefix$last" \
				-d "${prefix}9" >/dev/null 2>&1
		done
	done
	python3 - <<-'END'
		import socket
		from pyroute2 import Conntrack
		from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple
		def source(message, version):
		    return (message.get_attr("CTA_TUPLE_ORIG").get_attr("CTA_TUPLE_IP")
		        .get_attr(f"CTA_IP_V{version}_SRC"))
		for family, version, address in (
		    (socket.AF_INET, 4, "10.0.0.1"), (socket.AF_INET6, 6, "fd00::1")):
		    with Conntrack(nfgen_family=family) as ct:
		        one = NFCTAttrTuple(family=family, saddr=address)
		        print(f"dump, source {address}:",
		            *sorted(source(m, version) for m in ct.dump(tuple_orig=one)))
		        print(f"dump_entries, source {address}:",
		            *sorted(e.tuple_orig.saddr for e in ct.dump_entries(tuple_orig=one)))
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^dump, source 10.0.0.1: 10.0.0.1$'
expect '^dump_entries, source 10.0.0.1: 10.0.0.1$'
expect '^dump, source fd00::1: fd00::2 fd00::3$'
expect '^dump_entries, source fd00::1:$'
echo "Still so."
