#!/usr/bin/env bash
# The crate conntrack returns the name of a helper with a NUL byte at its end
#
# Guess: Helper::name, an Option<String>, of a flow with the helper ftp is "ftp".
# Result: it is "ftp" and a NUL byte: a comparison with "ftp" fails, and
# the JSON of the flow has "ftp\u0000". The kernel's string attributes end in
# NUL, and the crate takes the whole attribute.
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
		libxtables12=1.8.9-2 libjansson4=2.14-2 libedit2=3.1-20221030-2 iproute2=6.1.0-3 \
		libbpf1=1:1.1.2-0+deb12u1 libelf1=0.188-2.1
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
		serde_json = "1"
	END
	cat >src/main.rs <<-'END'
		fn main() {
		    let table = conntrack::Conntrack::connect().expect("connect");
		    for flow in table.dump().expect("dump") {
		        if let Some(helper) = flow.helper {
		            println!("name: {:?}", helper.name);
		            println!("is it \"ftp\": {}", helper.name.as_deref() == Some("ftp"));
		            println!("JSON: {}", serde_json::to_string(&helper).expect("JSON"));
		        }
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
	nft -f - <<-'END'
		table ip f {
			ct helper ftp {
				type "ftp" protocol tcp
			}
			chain c {
				type filter hook output priority 0
				tcp dport 21 ct helper set "ftp"
			}
		}
	END
	python3 - <<-'END'
		import socket, subprocess
		server = socket.create_server(("127.0.0.1", 21))
		client = socket.create_connection(("127.0.0.1", 21))
		subprocess.run(["target/debug/finding"], check=True)
	END
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^name: Some\("ftp.0"\)$'
expect '^is it "ftp": false$'
expect '"name":"ftp.u0000"'
echo "Still so."
