#!/usr/bin/env bash
# libnetfilter_conntrack: an ICMP flow depends on the order of the setters
#
# Guess: nfct_set_attr_u8() and its like fill fields; their order is free.
# Result: setting ATTR_ICMP_TYPE also fills in the type of the reply, for
# the family set at that moment. With the type set before ATTR_L3PROTO the reply
# has none, no setter reports it, and the kernel refuses the flow (EINVAL).
#
# Seen with: Debian 12, libnetfilter_conntrack 1.0.9; Linux 6.18.44.
# Source: the packages libnetfilter-conntrack3 and -dev (src/conntrack/setter.c,
# set_attr_icmp_type()).
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
		#include <errno.h>
		#include <stdio.h>
		#include <string.h>
		#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

		static void create(const char *title, int type_first)
		{
			struct nfct_handle *h = nfct_open(CONNTRACK, 0);
			struct nf_conntrack *ct = nfct_new();

			if (type_first)
				nfct_set_attr_u8(ct, ATTR_ICMP_TYPE, 8);
			nfct_set_attr_u8(ct, ATTR_L3PROTO, AF_INET);
			nfct_set_attr_u32(ct, ATTR_IPV4_SRC, inet_addr("10.0.0.1"));
			nfct_set_attr_u32(ct, ATTR_IPV4_DST, inet_addr("10.0.0.2"));
			nfct_set_attr_u8(ct, ATTR_L4PROTO, IPPROTO_ICMP);
			if (!type_first)
				nfct_set_attr_u8(ct, ATTR_ICMP_TYPE, 8);
			nfct_set_attr_u8(ct, ATTR_ICMP_CODE, 0);
			nfct_set_attr_u16(ct, ATTR_ICMP_ID, htons(77));
			nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
			nfct_set_attr_u32(ct, ATTR_TIMEOUT, 100);
			errno = 0;
			if (nfct_query(h, NFCT_Q_CREATE, ct) < 0)
				printf("%s: %s\n", title, strerror(errno));
			else
				printf("%s: created\n", title);
			nfct_destroy(ct);
			nfct_close(h);
		}

		int main(void)
		{
			create("ICMP type before the family", 1);
			create("ICMP type after the family", 0);
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
	echo "Linux $(uname -r)"
	./program
	conntrack -L
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^ICMP type before the family: Invalid argument$'
expect '^ICMP type after the family: created$'
echo "Still so."
