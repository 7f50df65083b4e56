/* The C library at its own game: what a plain C program does, timed from inside.
 *
 *   peer dump              lists the table with nfct_query and 15 getters an entry
 *   peer dump-zone ZONE    the same, counting the entries of one zone
 *   peer create N          creates N flows one by one, in a network namespace of its own
 *   peer delete N          the same, then deletes them one by one; only the deletions are timed
 *
 * Prints the nanoseconds and the number of entries.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>

static unsigned long entries;
static volatile unsigned long long sink;
static int wanted_zone = -1;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static unsigned long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int on_entry(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *data)
{
	sink += nfct_get_attr_u32(ct, ATTR_ORIG_IPV4_SRC);
	sink += nfct_get_attr_u32(ct, ATTR_ORIG_IPV4_DST);
	sink += nfct_get_attr_u16(ct, ATTR_ORIG_PORT_SRC);
	sink += nfct_get_attr_u16(ct, ATTR_ORIG_PORT_DST);
	sink += nfct_get_attr_u32(ct, ATTR_REPL_IPV4_SRC);
	sink += nfct_get_attr_u32(ct, ATTR_REPL_IPV4_DST);
	sink += nfct_get_attr_u16(ct, ATTR_REPL_PORT_SRC);
	sink += nfct_get_attr_u16(ct, ATTR_REPL_PORT_DST);
	sink += nfct_get_attr_u8(ct, ATTR_ORIG_L4PROTO);
	sink += nfct_get_attr_u8(ct, ATTR_TCP_STATE);
	sink += nfct_get_attr_u32(ct, ATTR_TIMEOUT);
	sink += nfct_get_attr_u32(ct, ATTR_MARK);
	sink += nfct_get_attr_u32(ct, ATTR_STATUS);
	sink += nfct_get_attr_u32(ct, ATTR_ID);
	if (wanted_zone >= 0 && nfct_get_attr_u16(ct, ATTR_ZONE) != wanted_zone)
		return NFCT_CB_CONTINUE;
	sink += nfct_get_attr_u64(ct, ATTR_ORIG_COUNTER_BYTES);
	entries++;
	return NFCT_CB_CONTINUE;
}

static unsigned long long dump(struct nfct_handle *h)
{
	uint32_t family = AF_UNSPEC;
	unsigned long long start = now();

	nfct_callback_register(h, NFCT_T_ALL, on_entry, NULL);
	if (nfct_query(h, NFCT_Q_DUMP, &family) < 0)
		die("dump");
	return now() - start;
}

/* The flow that `numbered` in table.rs makes of the same number. */
static struct nf_conntrack *flow(uint32_t number)
{
	struct nf_conntrack *ct = nfct_new();

	if (!ct)
		die("nfct_new");
	nfct_set_attr_u8(ct, ATTR_L3PROTO, AF_INET);
	nfct_set_attr_u32(ct, ATTR_IPV4_SRC, htonl(0x0a000000 + (number >> 14)));
	nfct_set_attr_u32(ct, ATTR_IPV4_DST, inet_addr("192.0.2.1"));
	nfct_set_attr_u8(ct, ATTR_L4PROTO, IPPROTO_TCP);
	nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(1024 + (number & 0x3fff)));
	nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(443));
	nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
	nfct_set_attr_u8(ct, ATTR_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	nfct_set_attr_u32(ct, ATTR_TIMEOUT, 3600);
	return ct;
}

static unsigned long long for_each(struct nfct_handle *h, int query, uint32_t count)
{
	unsigned long long start = now();

	for (uint32_t i = 0; i < count; i++) {
		struct nf_conntrack *ct = flow(i);

		if (nfct_query(h, query, ct) < 0)
			die("query");
		nfct_destroy(ct);
		entries++;
	}
	return now() - start;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	uint32_t number = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	int changes = !strcmp(what, "create") || !strcmp(what, "delete");
	unsigned long long elapsed;
	struct nfct_handle *h;

	if (changes && unshare(CLONE_NEWNET) < 0)
		die("unshare");
	h = nfct_open(CONNTRACK, 0);
	if (!h)
		die("nfct_open");
	if (!strcmp(what, "dump-zone"))
		wanted_zone = number;
	if (changes) {
		elapsed = for_each(h, NFCT_Q_CREATE, number);
		if (!strcmp(what, "delete")) {
			entries = 0;
			elapsed = for_each(h, NFCT_Q_DESTROY, number);
		}
	} else {
		elapsed = dump(h);
	}
	printf("%llu %lu\n", elapsed, entries);
	if (changes) {
		/* Left to the kernel, the entries would be removed while the next job runs. */
		uint32_t family = AF_UNSPEC;

		nfct_query(h, NFCT_Q_FLUSH, &family);
	}
	nfct_close(h);
	return 0;
}
