#!/usr/bin/env bash
# nlink: a ping that add_conntrack() creates expects a ping as its reply
#
# Guess: without a reply tuple, add_conntrack() makes the one of a flow without
# NAT, as its documentation says; for an echo request that is an echo reply.
# Result: addresses are swapped and the type is kept. The flow expects type 8
# back, which the kernel accepts; the flow that conntrack(8) creates expects type
# 0.
#
# Seen with: nlink 0.33.0 from crates.io (needs Rust 1.88); Linux 6.18.44; Debian
# 12, conntrack 1.4.7.
# Source: the crate nlink (src/netlink/netfilter.rs, ConntrackTuple::mirror()).
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
	mkdir src
	cat >Cargo.toml <<-'END'
		[package]
		name = "finding"
		version = "0.0.0"
		edition = "2024"
		[dependencies]
		nlink = "=0.33.0"
		tokio = { version = "=1.48.0", default-features = false, features = ["rt"] }
	END
	cat >src/main.rs <<-'END'
		use nlink::netlink::netfilter::{
		    ConntrackBuilder, ConntrackStatus, ConntrackTuple, IpProtocol,
		};
		use nlink::netlink::{Connection, Netfilter};
		use std::net::Ipv4Addr;
		use std::time::Duration;

		fn main() {
		    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
		    runtime.expect("runtime").block_on(async {
		        let table = Connection::<Netfilter>::new().expect("connect");
		        let hosts = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 2));
		        let ping = ConntrackTuple::v4(hosts.0, hosts.1).icmp(8, 0, 77);
		        let flow = ConntrackBuilder::new_v4(IpProtocol::Icmp)
		            .orig(ping)
		            .status(ConntrackStatus::CONFIRMED)
		            .timeout(Duration::from_secs(100));
		        println!("add_conntrack: {:?}", table.add_conntrack(flow).await);
		    });
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
	grep -A 1 'name = "nlink"' Cargo.lock
	conntrack --version
	echo "Linux $(uname -r)"
	target/debug/finding
	conntrack -I -p icmp -s 192.0.2.1 -d 198.51.100.2 --icmp-type 8 --icmp-code 0 \
		--icmp-id 78 -t 100
	conntrack -L
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^add_conntrack: Ok\(\(\)\)$'
expect '^icmp .*type=8 code=0 id=77 .*type=8 code=0 id=77 '
expect '^icmp .*type=8 code=0 id=78 .*type=0 code=0 id=78 '
echo "Still so."
