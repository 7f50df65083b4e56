/* A plain C program with the C library, measured from inside.
 *
 *   peer dump              lists the table with nfct_query and 15 getters an entry
 *   peer dump-zone ZONE    the same, counting the entries of one zone
 *   peer create N          creates N flows one by one
 *   peer delete N          the same, then deletes them one by one; only the deletions are timed
 *   peer events N WRITER…  starts the writer, which creates and deletes N flows, and catches the
 *                          events with nfct_catch and 15 getters each
 *
 * Prints nanoseconds of the clock and of the CPU, the number of entries, the peak memory in KiB and
 * the events lost. Start the jobs that create flows in a network namespace of their own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>

/* The same as in job/event.rs. */
#define EVENT_BUFFER (8 << 20)
#define EVENT_SILENCE 10

static unsigned long entries, lost;
static volatile unsigned long long sink;
static int wanted_zone = -1;
/* The number of entries to stop after. */
static unsigned long enough = -1ul;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Nanoseconds of the clock and of the CPU. */
struct watch {
	unsigned long long clock, cpu;
};

static unsigned long long now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static struct watch start(void)
{
	return (struct watch) { now(CLOCK_MONOTONIC), now(CLOCK_PROCESS_CPUTIME_ID) };
}

static struct watch stop(struct watch since)
{
	struct watch t = start();

	return (struct watch) { t.clock - since.clock, t.cpu - since.cpu };
}

static unsigned long peak_kib(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[256];

	if (!status)
		die("/proc/self/status");
	while (!kib && fgets(line, sizeof(line), status))
		sscanf(line, "VmHWM: %lu", &kib);
	fclose(status);
	return kib;
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
	return ++entries < enough ? NFCT_CB_CONTINUE : NFCT_CB_STOP;
}

static struct watch dump(struct nfct_handle *h)
{
	uint32_t family = AF_UNSPEC;
	struct watch watch = start();

	nfct_callback_register(h, NFCT_T_ALL, on_entry, NULL);
	if (nfct_query(h, NFCT_Q_DUMP, &family) < 0)
		die("dump");
	return stop(watch);
}

/* The same flow that `numbered` in flows.rs makes for this number. */
static struct nf_conntrack *flow(uint32_t number)
{
	struct nf_conntrack *ct = nfct_new();

	if (!ct)
		die("nfct_new");
	nfct_set_attr_u8(ct, ATTR_L3PROTO, AF_INET);
	nfct_set_attr_u32(ct, ATTR_IPV4_SRC, htonl(0x0a000000 + number / 16));
	nfct_set_attr_u32(ct, ATTR_IPV4_DST, inet_addr("192.0.2.1"));
	nfct_set_attr_u8(ct, ATTR_L4PROTO, IPPROTO_TCP);
	nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(1024 + number % 16));
	nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(443));
	nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
	nfct_set_attr_u8(ct, ATTR_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	nfct_set_attr_u32(ct, ATTR_TIMEOUT, 3600);
	return ct;
}

static struct watch for_each(struct nfct_handle *h, int query, uint32_t count)
{
	struct watch watch = start();

	for (uint32_t i = 0; i < count; i++) {
		struct nf_conntrack *ct = flow(i);

		if (nfct_query(h, query, ct) < 0)
			die("query");
		nfct_destroy(ct);
		entries++;
	}
	return stop(watch);
}

static void prepare_to_listen(int fd)
{
	struct timeval silence = { .tv_sec = EVENT_SILENCE };
	int size = EVENT_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0)
		die("receive buffer");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence)) < 0)
		die("timeout");
	/* The writer must not inherit it. */
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		die("close-on-exec");
}

static struct watch events(struct nfct_handle *h, uint32_t count, char **writer)
{
	struct watch watch, took;
	int status, silent = 0;
	pid_t pid;

	enough = 2ul * count;
	prepare_to_listen(nfct_fd(h));
	nfct_callback_register(h, NFCT_T_ALL, on_entry, NULL);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		/* Standard output is for the numbers of this program. */
		if (!freopen("/dev/null", "w", stdout))
			die("/dev/null");
		execv(writer[0], writer);
		die(writer[0]);
	}
	watch = start();
	while (entries < enough && !silent)
		if (nfct_catch(h) < 0 && errno != ENOBUFS && errno != EINTR) {
			silent = errno == EAGAIN;
			if (!silent)
				die("catch");
		}
	took = stop(watch);
	lost = enough - entries;
	if (waitpid(pid, &status, 0) < 0 || status)
		die("the writer");
	return took;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	uint32_t number = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	int changes = !strcmp(what, "create") || !strcmp(what, "delete");
	int listens = !strcmp(what, "events") && argc > 3;
	struct nfct_handle *h;
	struct watch took;

	h = nfct_open(CONNTRACK, listens ? NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_UPDATE |
					   NF_NETLINK_CONNTRACK_DESTROY : 0);
	if (!h)
		die("nfct_open");
	if (!strcmp(what, "dump-zone"))
		wanted_zone = number;
	if (listens) {
		took = events(h, number, argv + 3);
	} else if (changes) {
		took = for_each(h, NFCT_Q_CREATE, number);
		if (!strcmp(what, "delete")) {
			entries = 0;
			took = for_each(h, NFCT_Q_DESTROY, number);
		}
	} else {
		took = dump(h);
	}
	printf("%llu %llu %lu %lu %lu\n", took.clock, took.cpu, entries, peak_kib(), lost);
	if (changes) {
		/* If left to the kernel, the entries would be removed while the next job runs. */
		uint32_t family = AF_UNSPEC;

		nfct_query(h, NFCT_Q_FLUSH, &family);
	}
	nfct_close(h);
	return 0;
}
