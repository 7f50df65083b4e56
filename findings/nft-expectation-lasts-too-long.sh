#!/usr/bin/env bash
# An nft expectation with `timeout 1s` lasts 1,000 seconds
#
# Guess: a `ct expectation` object with `timeout 1s` expects a connection for one
# second.
# Result: nft sends the timeout in milliseconds, and the kernel counts them as
# seconds: one second becomes nearly 17 minutes, two minutes 33 hours.
# conntrack(8) lists what the kernel has. A connection that comes after three
# seconds is still taken for the expected one.
#
# Seen with: Linux 6.18.44; Debian 12, nft 1.0.6, conntrack 1.4.7.
# Source: the packages; the kernel's nft_ct_expect_obj_eval().
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
		libmnl0=1.0.4-3 nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 \
		libnftnl11=1.2.4-2 libxtables12=1.8.9-2 libjansson4=2.14-2 \
		libedit2=3.1-20221030-2 iproute2=6.1.0-3 libbpf1=1:1.1.2-0+deb12u1 \
		libelf1=0.188-2.1
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
	nft --version
	conntrack --version
	echo "Linux $(uname -r)"
	ip link set lo up
	nft -f - <<-'END'
		table ip f {
			ct expectation e {
				protocol tcp
				dport 9876
				timeout 1s
				size 10
				l3proto ip
			}
			chain c {
				type filter hook output priority 0
				tcp dport 8080 ct expectation set "e"
			}
		}
	END
	nft list ruleset
	python3 - <<-'END'
		import socket, subprocess, time
		def connect(port):
		    server = socket.create_server(("127.0.0.1", port))
		    client = socket.create_connection(("127.0.0.1", port))
		    return server, client, server.accept()
		def show(title):
		    run = subprocess.run(["conntrack", "-L", "expect"], capture_output=True, text=True)
		    print(title, run.stdout.strip() or "none", sep=": ", flush=True)
		first = connect(8080)
		show("the expectation")
		time.sleep(3)
		show("three seconds later")
		second = connect(9876)
		show("after a connection to port 9876")
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^[[:space:]]*timeout 1s$'
expect '^the expectation: (1000|99[0-9]) proto=6 .* dport=9876 '
expect '^three seconds later: 99[0-9] proto=6 '
expect '^after a connection to port 9876: none$'
echo "Still so."
