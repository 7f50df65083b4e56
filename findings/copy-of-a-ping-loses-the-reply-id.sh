#!/usr/bin/env bash
# libnetfilter_conntrack: nfct_copy() loses the reply id of a ping
#
# Guess: nfct_copy(new, flow, NFCT_CP_ALL) copies the flow; creating the copy
# restores it.
# Result: id, type and code of the reply are not copied. The copy of a
# ping with id 77 expects its reply with id 0, and the kernel accepts it so.
#
# Seen with: Debian 12, libnetfilter_conntrack 1.0.9; Linux 6.18.44.
# Source: the packages libnetfilter-conntrack3 and -dev (src/conntrack/copy.c).
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

		static int keep(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *data)
		{
			*(struct nf_conntrack **)data = ct;
			return NFCT_CB_STOLEN;
		}

		int main(void)
		{
			struct nfct_handle *h = nfct_open(CONNTRACK, 0);
			struct nf_conntrack *flow = NULL, *copy = nfct_new();
			unsigned int family = AF_INET;

			nfct_callback_register(h, NFCT_T_ALL, keep, &flow);
			if (nfct_query(h, NFCT_Q_DUMP, &family) < 0 || flow == NULL)
				return 1;
			nfct_copy(copy, flow, NFCT_CP_ALL);
			if (nfct_query(h, NFCT_Q_DESTROY, flow) < 0)
				return 1;
			nfct_attr_unset(copy, ATTR_ID);
			if (nfct_query(h, NFCT_Q_CREATE, copy) < 0)
				return 1;
			puts("dumped, copied, deleted; the copy created");
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
	conntrack -I -p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 \
		--icmp-id 77 -t 100
	conntrack -L
	./program
	conntrack -L
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect 'type=8 code=0 id=77 .* type=0 code=0 id=77 '
expect 'type=8 code=0 id=77 .* type=0 code=0 id=0 '
echo "Still so."
