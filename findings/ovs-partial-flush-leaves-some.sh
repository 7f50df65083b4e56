#!/usr/bin/env bash
# Open vSwitch: a flush by source address leaves some of its connections
#
# Guess: `dpctl/flush-conntrack ct_nw_src=192.0.2.1` removes all connections from
# that address, as `conntrack -D -s 192.0.2.1` does.
# Result: of 20 connections, a third is left, and the command succeeds. A second
# call leaves some of these. A flush of the zone removes all.
#
# Seen with: Debian 12, Open vSwitch 3.1.0, its datapath in user space.
# Source: the package openvswitch-switch (lib/ct-dpif.c): connections are removed
# while they are being listed.
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
		openvswitch-switch=3.1.0-2+deb12u1 openvswitch-common=3.1.0-2+deb12u1 \
		libunbound8=1.17.1-2+deb12u4 libevent-2.1-7=2.1.12-stable-8+deb12u1 \
		libxdp1=1.3.1-1 libbpf1=1:1.1.2-0+deb12u1 libelf1=0.188-2.1 libnuma1=2.0.16-1 \
		libcap-ng0=0.8.3-1+b3 libhogweed6=3.8.1-2 libnettle8=3.8.1-2
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

# Open vSwitch without the kernel: a bridge whose port p1 takes packets from
# ovs-appctl. All connections of a protocol are tracked in zone 10.
start() {
	export OVS_RUNDIR=$FINDING OVS_LOGDIR=$FINDING OVS_DBDIR=$FINDING
	database=unix:$FINDING/db.sock
	ovsdb-tool create conf.db usr/share/openvswitch/vswitch.ovsschema
	ovsdb-server conf.db --remote="p$database" --pidfile="$FINDING/db.pid" \
		--no-chdir --detach --log-file=db.log 2>/dev/null
	usr/lib/openvswitch-switch/ovs-vswitchd "$database" --enable-dummy=override \
		--disable-system --pidfile="$FINDING/switch.pid" --no-chdir --detach \
		--log-file=switch.log 2>/dev/null
	ovs-vsctl --db="$database" --no-wait init
	ovs-vsctl --db="$database" --timeout=20 \
		add-br br0 -- set bridge br0 datapath_type=dummy fail-mode=secure -- \
		add-port br0 p1 -- set interface p1 type=dummy ofport_request=1 -- \
		add-port br0 p2 -- set interface p2 type=dummy ofport_request=2
	ovs-ofctl add-flow "unix:$FINDING/br0.mgmt" \
		"in_port=1,$1,actions=ct(commit,zone=10),2"
}

stop() {
	kill "$(cat switch.pid)" "$(cat db.pid)"
}

switch() {
	ovs-appctl -t "$(echo "$FINDING"/ovs-vswitchd.*.ctl)" "$@"
}

# A datagram from each port of a range.
send() {
	for port in $(seq "$1" "$2"); do
		switch netdev-dummy/receive p1 "in_port(1),eth(src=02:00:00:00:00:01,\
dst=02:00:00:00:00:02),eth_type(0x0800),ipv4(src=192.0.2.1,dst=198.51.100.2,proto=17,\
tos=0,ttl=64,frag=no),udp(src=$port,dst=53)"
	done
}

# Waits until there are so many connections.
wait_for() {
	for _ in {1..50}; do
		[ "$(switch dpctl/ct-get-nconns)" = "$1" ] && return
		sleep 0.1
	done
	echo "there are never $1 connections"
	return 1
}

steps() {
	start udp
	ovs-appctl --version | head -n 1
	send 1001 1020
	wait_for 20
	echo "connections: $(switch dpctl/dump-conntrack | wc -l)"
	switch dpctl/dump-conntrack | tail -n 1
	for time in first second; do
		switch dpctl/flush-conntrack ct_nw_src=192.0.2.1
		echo "after the $time flush of the address:" \
			"$(switch dpctl/dump-conntrack | wc -l) are left"
	done
	switch dpctl/flush-conntrack zone=10
	echo "after a flush of the zone: $(switch dpctl/dump-conntrack | wc -l) are left"
	stop
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^connections: 20$'
expect '^after the first flush of the address: [1-9][0-9]* are left$'
expect '^after a flush of the zone: 0 are left$'
echo "Still so."
