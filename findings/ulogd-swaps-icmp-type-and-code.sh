#!/usr/bin/env bash
# ulogd2: the flow of a ping is logged with type 0 and code 8
#
# Guess: an echo request has type 8 and code 0 in each of ulogd's outputs.
# Result: the stack that writes lines of text (NFCT, PRINTFLOW, LOGEMU) prints
# TYPE=0 CODE=8, the type of an echo reply, in both directions. The JSON of the
# same event has type 8 and code 0.
#
# Seen with: Linux 6.18.44; Debian 12, ulogd2 2.0.8, conntrack 1.4.7 (to fill).
# Source: the package ulogd2 (util/printflow.c).
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
		plugin="$plugins/ulogd_filter_IP2STR.so"
		plugin="$plugins/ulogd_filter_PRINTFLOW.so"
		plugin="$plugins/ulogd_output_LOGEMU.so"
		plugin="$plugins/ulogd_output_JSON.so"
		stack=ct1:NFCT,ip2str1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU
		stack=ct1:NFCT,ip2str1:IP2STR,json1:JSON
		[ct1]
		hash_enable=0
		event_mask=0x1
		[emu1]
		file="$FINDING/text"
		sync=1
		[json1]
		file="$FINDING/json"
		sync=1
	END
	ulogd -c conf &
	daemon=$!
	for _ in {1..50}; do
		grep -q 'entering main loop' log 2>/dev/null && break
		sleep 0.1
	done
	conntrack -I -p icmp -s 192.0.2.1 -d 198.51.100.2 --icmp-type 8 --icmp-code 0 \
		--icmp-id 77 -t 100
	for _ in {1..50}; do
		grep -q NEW text && grep -q icmp json && break
		sleep 0.1
	done
	kill "$daemon"
	wait "$daemon" || true
	conntrack -L
	sed 's/^/text: /' text
	sed 's/^/JSON: /' json
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^icmp .* type=8 code=0 id=77 '
expect '^text: .* PROTO=ICMP TYPE=0 CODE=8 .*PROTO=ICMP TYPE=0 CODE=8 '
expect '^JSON: .*"icmp.code": 0, "icmp.type": 8,'
echo "Still so."
