#!/usr/bin/env bash
# `conntrack -L -o xml` leaves out type, code and id of a ping
#
# Guess: the XML has what the plain text has: for ICMP type, code and id, as it
# has the ports of UDP and TCP.
# Result: the element layer4 of ICMP and ICMPv6 is empty. The tuples of two pings
# between the same hosts are equal; the element id is the kernel's id of the flow.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7, libnetfilter_conntrack
# 1.0.9.
# Source: the packages (src/conntrack/snprintf_xml.c).
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
	for id in 7 8; do
		conntrack -I -p icmp -s 192.0.2.1 -d 198.51.100.2 --icmp-type 8 --icmp-code 0 \
			--icmp-id $id -t 100
		conntrack -I -p icmpv6 -s 2001:db8::1 -d 2001:db8::2 --icmpv6-type 128 \
			--icmpv6-code 0 --icmpv6-id $id -t 100
	done
	conntrack -I -p udp -s 192.0.2.1 -d 198.51.100.2 --sport 7 --dport 8 -t 100
	conntrack -L
	conntrack -L -o xml >table.xml
	cat table.xml
	python3 - <<-'END'
		import xml.etree.ElementTree as tree
		flows = {}
		for flow in tree.parse("table.xml").getroot():
		    layers = flow.findall("meta/layer4")
		    name = layers[0].get("protoname")
		    parts = [f"{part.tag}={part.text}" for layer in layers for part in layer]
		    flows.setdefault(name, []).append(parts)
		for name in sorted(flows):
		    print("layer4 of", name, *flows[name])
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^icmp .* id=7 .* id=7 '
expect '^icmpv6 .* id=8 .* id=8 '
expect '^layer4 of icmp \[\] \[\]$'
expect '^layer4 of icmpv6 \[\] \[\]$'
expect "^layer4 of udp \['sport=7', 'dport=8', 'sport=8', 'dport=7'\]$"
echo "Still so."
