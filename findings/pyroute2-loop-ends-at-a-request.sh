#!/usr/bin/env bash
# pyroute2: deleting entries in a loop over dump_entries() ends the loop
#
# Guess: `for entry in ct.dump_entries(): ct.delete(entry)` deletes every entry.
# Result: the first entry is deleted, and the loop raises RuntimeError ("Event
# loop is closed"). Any request of the same object does that, count() too. With
# list(ct.dump_entries()) the loop deletes all.
#
# Seen with: pyroute2 0.9.7, Python 3.11; Linux 6.18.44; Debian 12, conntrack
# 1.4.7 (to fill).
# Source: the package pyroute2 (netlink/core.py, SyncAPI).
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

fill() {
	for port in {1001..1010}; do
		conntrack -I -p udp -s 192.0.2.1 -d 198.51.100.2 --sport "$port" --dport 53 -t 100
	done >/dev/null 2>&1
}

# Runs a loop body for each entry of an expression; prints how it went.
loop() {
	fill
	python3 - "$1" "$2" <<-'END' || true
		import sys
		from pyroute2 import Conntrack
		with Conntrack() as ct:
		    exec(f"for entry in {sys.argv[1]}:\n    {sys.argv[2]}")
		print("no error")
	END
	echo "for entry in $1: $2: $(conntrack -C) of 10 flows are left"
	conntrack -F >/dev/null 2>&1
}

steps() {
	python3 -c 'import importlib.metadata as m; print("pyroute2", m.version("pyroute2"))'
	echo "Linux $(uname -r)"
	loop 'ct.dump_entries()' 'ct.delete(entry)'
	loop 'ct.dump_entries()' 'ct.count()'
	loop 'list(ct.dump_entries())' 'ct.delete(entry)'
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
[ "$(grep -c '^RuntimeError: Event loop is closed$' out)" = 2 ] ||
	{ echo "CHANGED: not two errors"; exit 1; }
expect '^for entry in ct.dump_entries.*ct.delete.entry.: 9 of 10 flows are left$'
expect '^for entry in ct.dump_entries.*ct.count..: 10 of 10 flows are left$'
expect '^no error$'
expect '^for entry in list.*: 0 of 10 flows are left$'
echo "Still so."
