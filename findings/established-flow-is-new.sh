#!/usr/bin/env bash
# A packet of a flow entered as ESTABLISHED is `ct state new`
#
# Guess: `conntrack -I -p tcp --state ESTABLISHED` restores a connection, and its
# packets are `ct state established`.
# Result: the state of TCP and the state of the flow are two things. The next
# packet of the client is "new", so that rules for new flows get it. Only with
# `-u SEEN_REPLY` is it "established".
#
# Seen with: Linux 6.18.44; Debian 12, nft 1.0.6, conntrack 1.4.7.
# Source: the packages; the kernel's resolve_normal_ct().
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
	conntrack --version
	echo "Linux $(uname -r)"
	ip link set lo up
	nft 'add table ip f; add chain ip f c { type filter hook output priority 0; };
		add counter ip f new; add counter ip f established;
		add rule ip f c tcp dport 8080 ct state new counter name new;
		add rule ip f c tcp dport 8080 ct state established counter name established'
	python3 - <<-'END'
		import re, socket, subprocess
		listener = socket.create_server(("127.0.0.1", 8080))
		client = socket.socket()
		client.bind(("127.0.0.1", 40000))
		client.connect(("127.0.0.1", 8080))
		server, _ = listener.accept()
		def run(command):
		    done = subprocess.run(command.split(), capture_output=True, text=True, check=True)
		    return done.stdout
		print("the connection:", run("conntrack -L -p tcp"), end="")
		for status in "", " -u SEEN_REPLY,ASSURED":
		    run("conntrack -F")
		    enter = ("-I -p tcp -s 127.0.0.1 -d 127.0.0.1 --sport 40000 --dport 8080"
		        " -t 100 --state ESTABLISHED" + status)
		    run("conntrack " + enter)
		    print("conntrack", enter)
		    print("entered:", run("conntrack -L -p tcp"), end="")
		    run("nft reset counters")
		    client.send(b"data")
		    counts = (re.findall(r"packets (\d+)", run(f"nft list counter ip f {state}"))[0]
		        for state in ("new", "established"))
		    print("the next packet: new {}, established {}".format(*counts), flush=True)
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^entered: tcp .* ESTABLISHED .*\[UNREPLIED\]'
expect '^the next packet: new 1, established 0$'
expect '^the next packet: new 0, established 1$'
echo "Still so."
