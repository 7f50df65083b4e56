#!/usr/bin/env bash
# libnetfilter_conntrack: an event filter on 95 marks lets only 85 of them through
#
# Guess: the filter passes events of exactly the marks added (its array has room
# for 127); past a limit, attaching it fails.
# Result: nfct_filter_attach() succeeds, and events of the marks added first are
# dropped. The filter is a classic BPF program with 8-bit jump offsets, and the
# offsets of the first comparisons wrap around.
#
# Seen with: Debian 12, libnetfilter_conntrack 1.0.9; Linux 6.18.44.
# Source: the packages libnetfilter-conntrack3 and -dev (src/conntrack/bsf.c).
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
		#include <poll.h>
		#include <stdio.h>
		#include <sys/socket.h>
		#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

		static void create(struct nfct_handle *h, unsigned int mark)
		{
			struct nf_conntrack *ct = nfct_new();

			nfct_set_attr_u8(ct, ATTR_L3PROTO, AF_INET);
			nfct_set_attr_u32(ct, ATTR_IPV4_SRC, inet_addr("10.0.0.1"));
			nfct_set_attr_u32(ct, ATTR_IPV4_DST, inet_addr("10.0.0.2"));
			nfct_set_attr_u8(ct, ATTR_L4PROTO, IPPROTO_UDP);
			nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(mark + 1));
			nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(9));
			nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
			nfct_set_attr_u32(ct, ATTR_TIMEOUT, 100);
			nfct_set_attr_u32(ct, ATTR_MARK, mark);
			nfct_query(h, NFCT_Q_CREATE, ct);
			nfct_destroy(ct);
		}

		int main(void)
		{
			struct nfct_handle *requests = nfct_open(CONNTRACK, 0);

			for (unsigned int marks = 85; marks <= 95; marks += 10) {
				struct nfct_handle *events = nfct_open(CONNTRACK, NF_NETLINK_CONNTRACK_NEW);
				struct nfct_filter *filter = nfct_filter_create();
				unsigned int family = AF_INET, seen = 0, least = ~0U, most = 0;
				struct pollfd ready = { nfct_fd(events), POLLIN };
				char buffer[8192];

				for (unsigned int mark = 1; mark <= marks; mark++) {
					struct nfct_filter_dump_mark m = { mark, 0xffffffff };
					nfct_filter_add_attr(filter, NFCT_FILTER_MARK, &m);
				}
				printf("filter on marks 1 to %u: attach %d", marks,
				       nfct_filter_attach(nfct_fd(events), filter));
				for (unsigned int mark = 1; mark <= marks + 5; mark++)
					create(requests, mark);
				while (poll(&ready, 1, 200) > 0) {
					struct nf_conntrack *ct = nfct_new();
					if (recv(ready.fd, buffer, sizeof(buffer), 0) <= 0)
						break;
					nfct_nlmsg_parse((void *)buffer, ct);
					unsigned int mark = nfct_get_attr_u32(ct, ATTR_MARK);
					seen++;
					least = mark < least ? mark : least;
					most = mark > most ? mark : most;
					nfct_destroy(ct);
				}
				printf(", %u events, of marks %u to %u\n", seen, least, most);
				nfct_filter_destroy(filter);
				nfct_close(events);
				nfct_query(requests, NFCT_Q_FLUSH, &family);
			}
			nfct_close(requests);
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
}

steps 2>&1 | tee out
expect() {
	grep -Eq -- "$1" out || { echo "CHANGED: no line matches: $1"; exit 1; }
}
expect '^filter on marks 1 to 85: attach 0, 85 events, of marks 1 to 85$'
expect '^filter on marks 1 to 95: attach 0, 85 events, of marks 11 to 95$'
echo "Still so."
