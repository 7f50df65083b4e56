#!/usr/bin/env bash
# Whether an old flow sends events depends on listeners in other namespaces
#
# Guess: `conntrack -E` prints every change from now on, also the end of flows
# that were there before; and network namespaces do not affect each other.
# Result: with nf_conntrack_events = 2, the default, only flows that are created
# while there is a listener send events: the deletion of an older one sends none,
# and a program that lists the table and then listens keeps it for ever.
# The listener can be any process in any namespace: with one in an unrelated
# namespace, the same flow sends its DESTROY. With the sysctl at 1 each flow does.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7. The first part is tried
# again while another process of the machine listens.
# Source: the package conntrack; the kernel's nf_ct_ecache_ext_add() and
# nf_ctnetlink_has_listener.
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

# A flow is created, a listener started, the flow deleted; prints the events.
create_listen_delete() {
	conntrack -I -p udp -s 192.0.2.1 -d 198.51.100.2 --sport 1001 --dport 53 -t 100
	conntrack -E >events &
	listener=$!
	sleep 1
	conntrack -D -p udp
	sleep 1
	kill "$listener"
	wait "$listener" || true
} >/dev/null 2>&1

show() {
	echo "$*: $(grep -c 'DESTROY.* sport=1001 ' events || true) events"
	cat events
}

steps() {
	conntrack --version
	echo "Linux $(uname -r)"
	echo "nf_conntrack_events = $(cat /proc/sys/net/netfilter/nf_conntrack_events)"
	for _ in {1..20}; do
		create_listen_delete
		[ -s events ] || break
	done
	show "no listener when the flow was created"
	unshare -n conntrack -E >elsewhere 2>/dev/null &
	other=$!
	sleep 1
	create_listen_delete
	kill "$other"
	wait "$other" || true
	show "a listener in another namespace"
	echo "events in that namespace: $(wc -l <elsewhere)"
	echo 1 >/proc/sys/net/netfilter/nf_conntrack_events
	create_listen_delete
	show "with nf_conntrack_events = 1"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^nf_conntrack_events = 2$'
grep -q '^no listener when the flow was created: 0 events$' out ||
	{ echo "CHANGED, or another process of the machine listens all the time"; exit 1; }
expect '^a listener in another namespace: 1 events$'
expect '^events in that namespace: 0$'
expect '^with nf_conntrack_events = 1: 1 events$'
echo "Still so."
