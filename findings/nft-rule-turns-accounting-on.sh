#!/usr/bin/env bash
# Loading an nft rule with `ct bytes` turns the accounting of all flows on
#
# Guess: with net.netfilter.nf_conntrack_acct = 0 the rule is refused, or finds
# no bytes; in either case the sysctl stays as it is.
# Result: loading the rule sets the sysctl to 1 for the namespace. It
# stays 1 when the rule and its table are gone.
#
# Seen with: Linux 6.18.44; Debian 12, nft 1.0.6.
# Source: the package nftables; the kernel's nft_ct_get_init().
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
		libxtables12=1.8.9-2 libjansson4=2.14-2 libedit2=3.1-20221030-2 libmnl0=1.0.4-3
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

acct() {
	echo "$1: nf_conntrack_acct = $(cat /proc/sys/net/netfilter/nf_conntrack_acct)"
}

steps() {
	nft --version
	echo "Linux $(uname -r)"
	echo 0 >/proc/sys/net/netfilter/nf_conntrack_acct
	acct "at first"
	nft 'add table inet t; add chain inet t c; add rule inet t c ct state new counter'
	acct "with a rule on ct state"
	nft add rule inet t c ct bytes '> 1000' counter
	acct "with a rule on ct bytes"
	nft delete table inet t
	acct "with no rule"
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^at first: .* 0$'
expect '^with a rule on ct state: .* 0$'
expect '^with a rule on ct bytes: .* 1$'
expect '^with no rule: .* 1$'
echo "Still so."
