#!/usr/bin/env bash
# Expired flows stay counted, and the next dump sends their DESTROY events
#
# Guess: when its timeout runs out, a flow leaves the table: the count falls and
# listeners get DESTROY, within a second or so.
# Result: the flow remains in the count, and no event is sent. A dump by any
# process omits the flow, removes it, and triggers the event; without one, the
# kernel's garbage collector does so later.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7.
# Source: the package conntrack; the kernel's ctnetlink_dump_table() and
# gc_worker().
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

steps() {
	conntrack --version
	echo "Linux $(uname -r)"
	conntrack -E -e DESTROY >>events 2>/dev/null &
	listener=$!
	sleep 0.5
	# The garbage collector may run just then, above all on a busy machine:
	# try several times.
	for try in $(seq 20); do
		: >events
		for port in 1 2 3 4 5; do
			conntrack -I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport "$port" --dport 9 \
				-t 1 >/dev/null 2>&1
		done
		sleep 1.1
		expired="count $(conntrack -C), DESTROY events $(grep -c DESTROY events || true)"
		dumped=$(conntrack -L 2>/dev/null | wc -l)
		sleep 0.3
		after="count $(conntrack -C), DESTROY events $(grep -c DESTROY events || true)"
		[ "$expired" != "count 5, DESTROY events 0" ] || break
	done
	echo "try $try: 5 flows with a timeout of 1 s"
	echo "after 1.1 s: $expired"
	echo "a dump: $dumped flows"
	echo "after it: $after"
	kill "$listener"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^after 1.1 s: count 5, DESTROY events 0$'
expect '^a dump: 0 flows$'
expect '^after it: count 0, DESTROY events 5$'
echo "Still so."
