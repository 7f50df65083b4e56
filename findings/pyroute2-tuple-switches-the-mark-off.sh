#!/usr/bin/env bash
# pyroute2: dump_entries(mark=5, tuple_orig=...) returns flows with other marks
#
# Guess: the arguments narrow the dump together: UDP flows with mark 5.
# Result: with a tuple, mark and zone are silently ignored, in the request and in
# the comparison afterwards. All UDP flows are returned.
#
# Seen with: pyroute2 0.9.7; Linux 6.18.44; Debian 12, conntrack 1.4.7 (to fill).
# Source: the package pyroute2 (netlink/nfnetlink/nfctsocket.py, dump()).
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
	new=(-I -p udp -d 10.0.0.9 --sport 1 --dport 2 -t 100)
	conntrack "${new[@]}" -s 10.0.0.1 -m 5
	conntrack "${new[@]}" -s 10.0.0.2 -m 6
	conntrack "${new[@]}" -s 10.0.0.3 -m 5 -w 10
	conntrack -L 2>/dev/null
	python3 - <<-'END'
		import socket
		from pyroute2 import Conntrack
		from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple
		udp = NFCTAttrTuple(proto=socket.IPPROTO_UDP)
		with Conntrack() as ct:
		    def show(title, **filters):
		        print(title + ":", *sorted(e.tuple_orig.saddr for e in ct.dump_entries(**filters)))
		    show("mark=5", mark=5)
		    show("mark=5, UDP", mark=5, tuple_orig=udp)
		    show("zone=10", zone=10)
		    show("zone=10, UDP", zone=10, tuple_orig=udp)
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^mark=5: 10.0.0.1 10.0.0.3$'
expect '^mark=5, UDP: 10.0.0.1 10.0.0.2 10.0.0.3$'
expect '^zone=10: 10.0.0.3$'
expect '^zone=10, UDP: 10.0.0.1 10.0.0.2 10.0.0.3$'
echo "Still so."
