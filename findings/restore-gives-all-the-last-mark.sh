#!/usr/bin/env bash
# `conntrack -R` gives every entry the mark of the file's last line
#
# Guess: each line of a restore file is a command of its own; two `-U ... -m`
# lines set two marks.
# Result: all lines are parsed first, and the mark is read from the global
# template of the last. Both entries get its mark. Nothing is reported.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7.
# Source: the package conntrack (src/conntrack.c, cur_tmpl).
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
	for port in 1 2; do
		conntrack -I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport "$port" --dport 9 \
			-t 100 >/dev/null 2>&1
	done
	cat >restore <<-END
		-U -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1 --dport 9 -m 5
		-U -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 2 --dport 9 -m 6
	END
	echo "the file:"
	cat restore
	conntrack -R restore >/dev/null
	echo "the table:"
	conntrack -L | sort
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect 'sport=1 dport=9 .*mark=6'
expect 'sport=2 dport=9 .*mark=6'
echo "Still so."
