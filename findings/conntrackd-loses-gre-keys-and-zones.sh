#!/usr/bin/env bash
# conntrackd: the backup gets GRE flows without keys, and flows without a zone
#
# Guess: conntrackd, which takes GRE in its configuration, shows keys and zones
# with -i, and sends the zone of a flow, gives the backup what the primary has.
# Result: the messages between the daemons have no GRE keys and no zone of a
# single direction. At the backup, two GRE flows are one, with key 0, and
# flows with --orig-zone or --reply-zone are in zone 0. The commit reports no
# failure.
#
# Seen with: Linux 6.18.44; Debian 12, conntrackd and conntrack 1.4.7.
# Source: the package conntrackd (src/build.c, src/parse.c).
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
		libmnl0=1.0.4-3 conntrackd=1:1.4.7-1+b2 libnetfilter-cttimeout1=1.0.1-1 \
		libnetfilter-cthelper0=1.0.1-1 libnetfilter-queue1=1.0.5-3 iproute2=6.1.0-3 \
		libbpf1=1:1.1.2-0+deb12u1 libelf1=0.188-2.1
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

# The configuration of a daemon: name, own address, that of the other, interface.
configure() {
	cat >"$1.conf" <<-END
		Sync {
			Mode FTFW {
			}
			UDP {
				IPv4_address $2
				IPv4_Destination_Address $3
				Port 3780
				Interface $4
			}
		}
		General {
			LockFile $FINDING/$1.lock
			LogFile $FINDING/$1.log
			HashSize 1024
			HashLimit 8192
			UNIX {
				Path $FINDING/$1.socket
			}
			Filter From Userspace {
				Protocol Accept {
					UDP
					GRE
				}
			}
		}
	END
}

# Waits until a cache has as many entries as there should be: daemon, option, number.
wait_for() {
	for _ in {1..100}; do
		[ "$(conntrackd -C "$1.conf" "$2" 2>/dev/null | grep -c src=)" = "$3" ] && return
		sleep 0.1
	done
	echo "the cache never has $3 entries"
	return 1
}

steps() {
	conntrackd -v | head -n 1
	echo "Linux $(uname -r)"
	unshare -n sleep 100 &
	backup=$!
	at_backup=(nsenter -t "$backup" -n)
	until [ "$(readlink "/proc/$backup/ns/net")" != "$(readlink /proc/$$/ns/net)" ]; do
		sleep 0.1
	done
	ip link add name first type veth peer name second netns "$backup"
	ip address add 192.0.2.1/24 dev first
	ip link set first up
	"${at_backup[@]}" ip address add 192.0.2.2/24 dev second
	"${at_backup[@]}" ip link set second up
	configure primary 192.0.2.1 192.0.2.2 first
	configure backup 192.0.2.2 192.0.2.1 second
	conntrackd -C primary.conf >/dev/null 2>&1 &
	daemons=$!
	"${at_backup[@]}" conntrackd -C backup.conf >/dev/null 2>&1 &
	daemons="$daemons $!"
	wait_for primary -i 0
	wait_for backup -e 0
	new=(-I -s 198.51.100.1 -d 203.0.113.9 -t 1000)
	conntrack "${new[@]}" -p gre --srckey 0x11 --dstkey 0x12
	conntrack "${new[@]}" -p gre --srckey 0x21 --dstkey 0x22
	conntrack "${new[@]}" -p udp --sport 1001 --dport 53 -w 10
	conntrack "${new[@]}" -p udp --sport 1002 --dport 53 --orig-zone 10
	conntrack "${new[@]}" -p udp --sport 1003 --dport 53 --reply-zone 10
	wait_for primary -i 5
	conntrackd -C primary.conf -i | sort | sed 's/^/primary: /'
	sleep 1
	wait_for backup -e 4
	"${at_backup[@]}" conntrackd -C backup.conf -c
	for _ in {1..50}; do
		grep -q 'commit has taken' backup.log && break
		sleep 0.1
	done
	grep -iE 'commit' backup.log
	"${at_backup[@]}" conntrack -L 2>/dev/null | sort | sed 's/^/backup: /'
	kill $daemons "$backup"
	wait || true
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^primary: gre .* srckey=0x11 dstkey=0x12 '
expect '^primary: gre .* srckey=0x21 dstkey=0x22 '
expect '^primary: udp .* sport=1002 dport=53 zone-orig=10 '
expect '^primary: udp .* sport=1003 .* zone-reply=10 '
[ "$(grep -c '^backup: gre' out)" = 1 ] || { echo "CHANGED: two GRE flows"; exit 1; }
expect '^backup: gre .* srckey=0x0 dstkey=0x0 '
expect '^backup: udp .* sport=1001 .* zone=10 '
expect '^backup: udp .* sport=1002 '
expect '^backup: udp .* sport=1003 '
! grep -Eq '^backup: .*zone-' out || { echo "CHANGED: the zone is there"; exit 1; }
echo "Still so."
