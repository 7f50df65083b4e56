#!/usr/bin/env bash
# The crate conntrack never returns the flags of a TCP flow
#
# Guess: TcpInfo::flags_orig and flags_reply, which are Options because some
# flows lack them, are there for a TCP connection of the kernel's own, beside
# wscale_orig and wscale_repl.
# Result: they are None for every flow. The kernel sends two bytes, flags and
# mask; the crate decodes them only if the length is not two.
#
# Seen with: conntrack 0.1.5 from crates.io; Linux 6.18.44; Debian 12,
# nft 1.0.6 (to have the flow tracked).
# Source: the crate conntrack (src/decoders.rs).
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
		nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2 libnftnl11=1.2.4-2 \
		libxtables12=1.8.9-2 libjansson4=2.14-2 libedit2=3.1-20221030-2 libmnl0=1.0.4-3 \
		iproute2=6.1.0-3 libbpf1=1:1.1.2-0+deb12u1 libelf1=0.188-2.1
	for deb in *.deb; do dpkg -x "$deb" .; done
	export PATH="$FINDING/usr/sbin:$FINDING/usr/bin:$FINDING/sbin:$FINDING/bin:$PATH"
	for lib in "$FINDING"/usr/lib/*-linux-gnu "$FINDING"/lib/*-linux-gnu; do
		LD_LIBRARY_PATH="$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
	done
	export LD_LIBRARY_PATH
	mkdir src
	cat >Cargo.toml <<-'END'
		[package]
		name = "finding"
		version = "0.0.0"
		edition = "2024"
		[dependencies]
		conntrack = "=0.1.5"
	END
	cat >src/main.rs <<-'END'
		fn main() {
		    let table = conntrack::Conntrack::connect().expect("connect");
		    for flow in table.dump().expect("dump") {
		        let tcp = flow.proto_info.and_then(|info| info.tcp);
		        println!("the crate: {tcp:?}");
		    }
		}
	END
	CARGO_BUILD_JOBS=1 cargo build -q
	export FINDING
	namespace=(unshare -n)
	[ "$(id -u)" = 0 ] || namespace=(unshare -rn)
	"${namespace[@]}" bash "$self"
	exit
fi
cd "$FINDING"

steps() {
	grep -A 1 'name = "conntrack"' Cargo.lock
	echo "Linux $(uname -r)"
	ip link set lo up
	nft 'add table ip f; add chain ip f c { type filter hook output priority 0; };
		add rule ip f c ct state new counter'
	python3 - <<-'END'
		import socket, struct, subprocess
		listener = socket.create_server(("127.0.0.1", 8080))
		client = socket.create_connection(("127.0.0.1", 8080))
		server, _ = listener.accept()
		client.send(b"question")
		server.recv(100)
		# The same flow from the kernel: CTA_PROTOINFO (4), in it
		# CTA_PROTOINFO_TCP (1), in it the flags (4 and 5).
		def attributes(data):
		    while len(data) >= 4:
		        size, kind = struct.unpack_from("=HH", data)
		        yield kind & 0x3fff, data[4:size]
		        data = data[(size + 3) & ~3:]
		s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
		s.send(struct.pack("=IHHIIBBH", 20, 0x101, 0x301, 1, 0, socket.AF_INET, 0, 0))
		message = s.recv(8192)
		size, = struct.unpack_from("=I", message)
		tcp = dict(attributes(dict(attributes(dict(attributes(message[20:size]))[4]))[1]))
		print("the kernel: flags and mask, original", *tcp[4], "reply", *tcp[5], flush=True)
		subprocess.run(["target/debug/finding"], check=True)
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^the kernel: flags and mask, original [1-9][0-9]* [0-9]+ reply [1-9][0-9]* [0-9]+$'
expect '^the crate: Some.*wscale_orig: Some\([0-9]+\).*flags_orig: None, flags_reply: None'
echo "Still so."
