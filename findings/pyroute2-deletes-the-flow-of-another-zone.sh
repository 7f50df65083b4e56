#!/usr/bin/env bash
# pyroute2: Conntrack.delete(entry) deletes the like flow of zone 0
#
# Guess: delete() of an entry from a dump deletes that entry; it has a zone and
# an id.
# Result: the request contains only the tuple. The entry of zone 10 stays, and a
# flow of zone 0 with the same addresses and ports is deleted.
#
# Seen with: pyroute2 0.9.7; Linux 6.18.44; Debian 12, conntrack 1.4.7 (to fill).
# Source: the package pyroute2 (conntrack.py, delete()).
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
	new=(-I -p udp -s 10.0.0.1 -d 10.0.0.9 --sport 1 --dport 2 -t 100)
	conntrack "${new[@]}" -m 1
	conntrack "${new[@]}" -m 2 -w 10
	python3 - <<-'END'
		from pyroute2 import Conntrack
		with Conntrack() as ct:
		    entry, = ct.dump_entries(zone=10)
		    print("delete:", entry)
		    ct.delete(entry)
	END
	echo "left:"
	conntrack -L
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^delete: .*zone=10'
expect '^udp .*mark=2 zone=10 '
! grep -q '^udp .*mark=1' out || { echo "CHANGED: the flow of zone 0 is there"; exit 1; }
echo "Still so."
