#!/usr/bin/env bash
# libnetfilter_conntrack: nfct_cmp() never compares timeouts, whatever its flags
#
# Guess: nfct_cmp(a, b, NFCT_CMP_TIMEOUT_GT) says whether a's timeout is the
# greater one; for timeouts 10 and 300 it is 1 in one order only.
# Result: each of the timeout flags, alone, gives 1 for any two flows, whatever
# their timeouts. With NFCT_CMP_ALL (which is 0) it
# is the same, and with NFCT_CMP_ORIG the tuples alone count: any flag but MASK
# and STRICT switches off the comparison of the fields beside the tuples, the
# timeout included.
#
# Seen with: Debian 12, libnetfilter_conntrack 1.0.9.
# Source: the packages libnetfilter-conntrack3 and -dev (src/conntrack/compare.c,
# __compare()).
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
		libmnl0=1.0.4-3 libnetfilter-conntrack-dev=1.0.9-3 libnfnetlink-dev=1.0.2-2
	for deb in *.deb; do dpkg -x "$deb" .; done
	export PATH="$FINDING/usr/sbin:$FINDING/usr/bin:$FINDING/sbin:$FINDING/bin:$PATH"
	for lib in "$FINDING"/usr/lib/*-linux-gnu "$FINDING"/lib/*-linux-gnu; do
		LD_LIBRARY_PATH="$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
	done
	export LD_LIBRARY_PATH
	cc -Wall -I usr/include -o program -x c - -x none \
		usr/lib/*-linux-gnu/libnetfilter_conntrack.so.3 \
		-Wl,-rpath-link,"$(echo usr/lib/*-linux-gnu)" <<-'END'
		#include <arpa/inet.h>
		#include <stdio.h>
		#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

		static struct nf_conntrack *flow(const char *src, unsigned int timeout)
		{
			struct nf_conntrack *ct = nfct_new();

			nfct_set_attr_u8(ct, ATTR_L3PROTO, AF_INET);
			nfct_set_attr_u32(ct, ATTR_IPV4_SRC, inet_addr(src));
			nfct_set_attr_u32(ct, ATTR_IPV4_DST, inet_addr("10.0.0.9"));
			nfct_set_attr_u8(ct, ATTR_L4PROTO, IPPROTO_UDP);
			nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(1));
			nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(2));
			nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
			nfct_set_attr_u32(ct, ATTR_TIMEOUT, timeout);
			return ct;
		}

		int main(void)
		{
			struct nf_conntrack *a = flow("10.0.0.1", 10), *b = flow("10.0.0.2", 300);
			struct nf_conntrack *c = flow("10.0.0.1", 300);

		#define SHOW(x, y, flags) \
			printf("%s, %s, %s: %d\n", #x, #y, #flags, nfct_cmp(x, y, flags))
			puts("a and c have the same tuples, b others; a has timeout 10, b and c 300.");
			SHOW(a, b, NFCT_CMP_ALL);
			SHOW(a, b, NFCT_CMP_TIMEOUT_EQ);
			SHOW(a, b, NFCT_CMP_TIMEOUT_GT);
			SHOW(b, a, NFCT_CMP_TIMEOUT_GT);
			SHOW(a, b, NFCT_CMP_TIMEOUT_LT);
			SHOW(b, a, NFCT_CMP_TIMEOUT_LT);
			SHOW(a, c, NFCT_CMP_ALL | NFCT_CMP_TIMEOUT_EQ);
			SHOW(a, c, NFCT_CMP_ORIG | NFCT_CMP_TIMEOUT_EQ);
			SHOW(a, b, NFCT_CMP_ORIG | NFCT_CMP_TIMEOUT_EQ);
			return 0;
		}
	END
	export FINDING
	namespace=(unshare -n)
	[ "$(id -u)" = 0 ] || namespace=(unshare -rn)
	"${namespace[@]}" bash "$self"
	exit
fi
cd "$FINDING"

steps() {
	echo "libnetfilter_conntrack $(dpkg-deb -f libnetfilter-conntrack3_*.deb Version)"
	./program
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^a, b, NFCT_CMP_ALL: 0$'
expect '^a, b, NFCT_CMP_TIMEOUT_EQ: 1$'
expect '^a, b, NFCT_CMP_TIMEOUT_GT: 1$'
expect '^b, a, NFCT_CMP_TIMEOUT_GT: 1$'
expect '^a, b, NFCT_CMP_TIMEOUT_LT: 1$'
expect '^a, c, NFCT_CMP_ALL . NFCT_CMP_TIMEOUT_EQ: 1$'
expect '^a, c, NFCT_CMP_ORIG . NFCT_CMP_TIMEOUT_EQ: 1$'
expect '^a, b, NFCT_CMP_ORIG . NFCT_CMP_TIMEOUT_EQ: 0$'
echo "Still so."
