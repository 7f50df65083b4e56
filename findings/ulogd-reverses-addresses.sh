#!/usr/bin/env bash
# ulogd2: OPRINT prints 198.51.100.1 as 1.100.51.198
#
# Guess: the outputs that print all keys print the addresses of a flow.
# Result: OPRINT prints each IPv4 address in reverse. GPRINT prints it right. Of
# an IPv6 address both print the first four bytes in IPv4 notation, so that all
# hosts of 2001:db8::/32 are 32.1.13.184, or in OPRINT 184.13.1.32. Neither
# reports an error.
#
# Seen with: Linux 6.18.44 on amd64; Debian 12, ulogd2 2.0.8, conntrack 1.4.7
# (to fill).
# Source: the package ulogd2 (output/ulogd_output_OPRINT.c and _GPRINT.c).
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
		libmnl0=1.0.4-3 ulogd2=2.0.8-1 ulogd2-json=2.0.8-1 libnetfilter-acct1=1.0.3-3 \
		libnetfilter-log1=1.0.2-3 libjansson4=2.14-2
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

plugins=$(echo "$FINDING"/usr/lib/*-linux-gnu/ulogd)

steps() {
	ulogd --version | head -n 1
	echo "Linux $(uname -r)"
	cat >conf <<-END
		[global]
		logfile="$FINDING/log"
		plugin="$plugins/ulogd_inpflow_NFCT.so"
		plugin="$plugins/ulogd_output_OPRINT.so"
		plugin="$plugins/ulogd_output_GPRINT.so"
		stack=ct1:NFCT,op1:OPRINT
		stack=ct1:NFCT,gp1:GPRINT
		[ct1]
		hash_enable=0
		event_mask=0x1
		[op1]
		file="$FINDING/oprint"
		sync=1
		[gp1]
		file="$FINDING/gprint"
		sync=1
	END
	ulogd -c conf &
	daemon=$!
	for _ in {1..50}; do
		grep -q 'entering main loop' log 2>/dev/null && break
		sleep 0.1
	done
	new=(-I -p udp --sport 1001 --dport 53 -t 100)
	conntrack "${new[@]}" -s 198.51.100.1 -d 203.0.113.9
	conntrack "${new[@]}" -s 2001:db8::1 -d 2001:db8::2
	for _ in {1..50}; do
		[ "$(wc -l <gprint)" = 2 ] && break
		sleep 0.1
	done
	kill "$daemon"
	wait "$daemon" || true
	conntrack -L
	grep 'orig.ip.[sd]addr=' oprint | sed 's/^/OPRINT: /'
	grep -o '^orig.ip.saddr=[^,]*,orig.ip.daddr=[^,]*' gprint | sed 's/^/GPRINT: /'
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^OPRINT: orig.ip.saddr=1\.100\.51\.198$'
expect '^OPRINT: orig.ip.daddr=9\.113\.0\.203$'
expect '^OPRINT: orig.ip.saddr=184\.13\.1\.32$'
expect '^OPRINT: orig.ip.daddr=184\.13\.1\.32$'
expect '^GPRINT: orig.ip.saddr=198.51.100.1,orig.ip.daddr=203.0.113.9$'
expect '^GPRINT: orig.ip.saddr=32.1.13.184,orig.ip.daddr=32.1.13.184$'
echo "Still so."
