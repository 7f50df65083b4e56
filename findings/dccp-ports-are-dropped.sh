#!/usr/bin/env bash
# Ports given for a DCCP flow are dropped without an error (Linux 6.17 and later)
#
# Guess: the DCCP tracker was removed from the kernel, so a DCCP flow is refused
# as unsupported; or it is kept with its ports.
# Result: the flow is created without ports and listed with 0 for both. A
# second one, between other ports of the two hosts, "exists".
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7.
# Source: the package conntrack; the kernel's generic tracker takes what no
# other tracker claims and knows no ports.
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
	dccp=(-I -p dccp -s 10.0.0.1 -d 10.0.0.2 --dport 2 -t 100 --state OPEN
		--role client)
	conntrack "${dccp[@]}" --sport 1
	conntrack "${dccp[@]}" --sport 3 || true
	conntrack -L
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect ': 1 flow entries have been created'
expect 'Such conntrack exists'
expect '^dccp .* sport=0 dport=0 '
echo "Still so."
