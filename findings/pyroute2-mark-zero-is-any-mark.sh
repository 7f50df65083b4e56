#!/usr/bin/env bash
# pyroute2: dump_entries(mark=0) returns flows with every mark
#
# Guess: mark=0 asks for flows without a mark, as `conntrack -L -m 0` does; to ask
# for any mark is mark=None, the default.
# Result: 0 is taken for None, also with a mark_mask. flush(mark=0) of the same
# class does delete only the flows with mark 0.
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
	new=(-I -p udp -s 192.0.2.1 -d 198.51.100.2 --dport 53 -t 100)
	conntrack "${new[@]}" --sport 1001
	conntrack "${new[@]}" --sport 1002 -m 2
	conntrack "${new[@]}" --sport 1003 -m 3
	echo "conntrack -L -m 0:"
	conntrack -L -m 0
	python3 - <<-'END'
		from pyroute2 import Conntrack
		with Conntrack() as ct:
		    def show(title, **filters):
		        print(title, *sorted(entry.mark for entry in ct.dump_entries(**filters)))
		    show("mark=2: marks", mark=2)
		    show("mark=0: marks", mark=0)
		    show("mark=0, mark_mask=1: marks", mark=0, mark_mask=1)
		    ct.flush(mark=0)
		    show("left by flush(mark=0): marks")
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect ': 1 flow entries have been shown'
expect '^mark=2: marks 2$'
expect '^mark=0: marks 0 2 3$'
expect '^mark=0, mark_mask=1: marks 0 2 3$'
expect '^left by flush.mark=0.: marks 2 3$'
echo "Still so."
