#!/usr/bin/env bash
# nlink: deleting all IPv6 flows stops at the first ping
#
# Guess: del_conntrack_matching() with a filter on IPv6 deletes all IPv6 flows: it
# dumps them and deletes each by what the dump returned.
# Result: EINVAL, and the flows after the first ICMPv6 one stay. nlink knows the
# attributes of ICMP alone: an ICMPv6 flow is returned without type, code and
# id, and the kernel refuses to delete or create one without them.
#
# Seen with: nlink 0.33.0 from crates.io (needs Rust 1.88); Linux 6.18.44; Debian
# 12, conntrack 1.4.7 (to fill and list).
# Source: the crate nlink (src/netlink/netfilter.rs).
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
		use nlink::netlink::netfilter::{ConntrackFilter, IpProtocol};
		use nlink::netlink::types::AddressFamily;
		use nlink::netlink::{Connection, Netfilter};

		fn main() {
		    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
		    runtime.expect("runtime").block_on(async {
		        let table = Connection::<Netfilter>::new().expect("connect");
		        for flow in table.get_conntrack_v6().await.expect("dump") {
		            if flow.proto == IpProtocol::Icmpv6 {
		                let ping = flow.orig;
		                println!(
		                    "{:?}, type {:?}, code {:?}, id {:?}",
		                    flow.proto, ping.icmp_type, ping.icmp_code, ping.icmp_id
		                );
		            }
		        }
		        let all = ConntrackFilter::new().family(AddressFamily::Inet6);
		        println!("del_conntrack_matching: {:?}", table.del_conntrack_matching(&all).await);
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
	echo "Linux $(uname -r)"
	new=(-I -s 2001:db8::1 -d 2001:db8::2 -t 100)
	conntrack "${new[@]}" -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 77
	target/debug/finding
	# Many, so that the ping is hardly ever the last one of a dump.
	for port in {1001..6000}; do
		echo "${new[*]} -p udp --sport $port --dport 53"
	done | conntrack -R - >/dev/null
	conntrack -L 2>/dev/null | grep -c '^udp' | sed 's/$/ UDP flows before/'
	target/debug/finding
	conntrack -L 2>/dev/null | grep '^icmpv6'
	left=$(conntrack -L 2>/dev/null | grep -c '^udp')
	[ "$left" = 0 ] || echo "UDP flows are left"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^Icmpv6, type None, code None, id None$'
expect '^del_conntrack_matching: .*errno: 22'
expect '^5000 UDP flows before$'
expect '^icmpv6 .*type=128 code=0 id=77 '
expect '^UDP flows are left$'
echo "Still so."
