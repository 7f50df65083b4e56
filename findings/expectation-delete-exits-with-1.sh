#!/usr/bin/env bash
# `conntrack -D expect` deletes the expectation, and exits with 1
#
# Guess: -D of an expectation exits with 0 after it deleted one, and with 1
# where none matches, as -D of a flow does.
# Result: it exits with 1 in both cases, and prints that 0 expectations were
# shown. The expectation is gone after the first.
#
# Seen with: Linux 6.18.44; Debian 12, conntrack 1.4.7, nftables 1.0.6.
# Source: the packages.
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
				timeout 100s
				size 10
				l3proto ip
			}
			chain c {
				type filter hook output priority 0
				tcp dport 8080 ct expectation set "e"
			}
		}
	END
	python3 - <<-'END'
		import socket, subprocess
		def run(what):
		    return subprocess.run(["conntrack", *what.split()], capture_output=True, text=True)
		def show(title):
		    print(title, len(run("-L expect").stdout.splitlines()), sep=": ", flush=True)
		server = socket.create_server(("127.0.0.1", 8080))
		client = socket.create_connection(("127.0.0.1", 8080))
		show("expectations")
		# It wants the reply's tuple too, and sends nothing of it.
		tuple = ("-p tcp -s 127.0.0.1 -d 127.0.0.1 --sport 0 --dport 9876 "
		         "-r 127.0.0.1 -q 127.0.0.1 --reply-port-src 9876 --reply-port-dst 0")
		for time in ["first", "second"]:
		    deleted = run("-D expect " + tuple)
		    print(time, "-D expect: exit status", deleted.returncode, deleted.stderr.strip(), flush=True)
		    show("expectations after it")
		flow = "-D -p tcp -s 127.0.0.1 -d 127.0.0.1 --dport 8080"
		for time in ["first", "second"]:
		    print(time, "-D of the flow: exit status", run(flow).returncode, flush=True)
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^expectations: 1$'
expect '^first -D expect: exit status 1 .*: 0 expectations have been shown'
expect '^expectations after it: 0$'
expect '^second -D expect: exit status 1 '
expect '^first -D of the flow: exit status 0$'
expect '^second -D of the flow: exit status 1$'
echo "Still so."
