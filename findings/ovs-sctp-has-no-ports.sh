#!/usr/bin/env bash
# Open vSwitch: all SCTP associations between two hosts are one connection
#
# Guess: SCTP has ports, and connections are told apart by them, as those of UDP
# and TCP; the list of connections names the protocol and both ports.
# Result: the list has one connection for three associations, with 0 for its
# ports.
#
# Seen with: Debian 12, Open vSwitch 3.1.0, its datapath in user space.
# Source: the package openvswitch-switch (lib/conntrack.c, extract_l4()).
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

# The INIT of an association from a port, with its checksums, as hexadecimal.
init() {
	python3 - "$1" <<-'END'
		import struct, sys
		def sum16(data):
		    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
		    while total >> 16:
		        total = (total & 0xffff) + (total >> 16)
		    return struct.pack("!H", total ^ 0xffff)
		def crc32c(data):
		    crc = 0xffffffff
		    for byte in data:
		        crc ^= byte
		        for _ in range(8):
		            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
		    return struct.pack("<I", crc ^ 0xffffffff)
		ports = struct.pack("!HHI", int(sys.argv[1]), 3868, 0)
		chunk = struct.pack("!BBHIIHHI", 1, 0, 20, 0x1234, 65535, 1, 1, 7)
		sctp = ports + crc32c(ports + bytes(4) + chunk) + chunk
		source, destination = bytes([192, 0, 2, 1]), bytes([198, 51, 100, 2])
		start = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(sctp), 1, 0, 64, 132)
		ip = start + sum16(start + bytes(2) + source + destination) + source + destination
		ethernet = bytes.fromhex("020000000002" "020000000001" "0800")
		print((ethernet + ip + sctp).hex())
	END
}

steps() {
	start sctp
	ovs-appctl --version | head -n 1
	for port in 1001 1002 1003; do
		switch netdev-dummy/receive p1 "$(init "$port")"
	done
	for _ in {1..50}; do
		ovs-ofctl dump-flows "unix:$FINDING/br0.mgmt" | grep -q 'n_packets=3' && break
		sleep 0.1
	done
	ovs-ofctl dump-flows "unix:$FINDING/br0.mgmt" | grep -o 'n_packets=.*'
	switch dpctl/dump-conntrack
	switch dpctl/ct-stats-show
	stop
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^n_packets=3, .*sctp'
expect '^sctp,orig=.*sport=0,dport=0.,reply=.*sport=0,dport=0.,zone=10$'
expect '^ *Total: 1$'
echo "Still so."
