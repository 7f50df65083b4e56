#!/usr/bin/env bash
# Open vSwitch: a limit of a zone does not count the connections that there are
#
# Guess: `dpctl/ct-set-limits zone=10,limit=3` in a zone with five connections
# refuses further ones.
# Result: the count begins at 0, and three more connections are accepted: there
# are eight. ct-get-limits shows count=3, and ct-stats-show 8.
#
# Seen with: Debian 12, Open vSwitch 3.1.0, its datapath in user space.
# Source: the package openvswitch-switch (lib/conntrack.c).
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
	send 1001 1005
	wait_for 5
	switch dpctl/ct-set-limits zone=10,limit=3
	echo "limit set: $(switch dpctl/ct-get-limits zone=10 | tail -n 1)"
	send 2001 2005
	wait_for 8
	sleep 1
	echo "five more: $(switch dpctl/ct-get-limits zone=10 | tail -n 1)"
	switch dpctl/ct-stats-show zone=10
	stop
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^limit set: zone=10,limit=3,count=0$'
expect '^five more: zone=10,limit=3,count=3$'
expect '^ *Total: 8$'
echo "Still so."
