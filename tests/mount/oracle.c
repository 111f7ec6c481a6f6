/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oracle.c - main of the random-operation test: options, random numbers, messages. See oracle.h.
 */
#include "tests/mount/oracle.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/* The whole trees are compared once in that many operations. */
#define TREES_EVERY 4096u

uint64_t oracle_random(struct oracle *o)
{
	uint64_t z = (o->rng += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t oracle_below(struct oracle *o, uint64_t limit)
{
	return oracle_random(o) % limit;
}

void oracle_say(struct oracle *o, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(o->what, sizeof(o->what), fmt, ap);
	va_end(ap);
	if (o->verbose)
		printf("%" PRIu64 ": %s\n", o->op, o->what);
}

void oracle_die(struct oracle *o, const char *fmt, ...)
{
	va_list ap;

	printf("seed %" PRIu64 ", operation %" PRIu64 ": %s\n", o->seed, o->op, o->what);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	exit(1);
}

struct result oracle_result(int64_t value)
{
	struct result r = { .value = value, .error = value < 0 ? errno : 0 };

	return r;
}

/*
 * Whether an operation was done, its answer was lost with its process, and it was done once more: the
 * state is right, and the answer is that of the second time.
 */
static bool was_done_twice(const struct oracle *o, const char *call, const struct result r[NR_SIDES])
{
	static const struct {
		const char *call;
		int error;
	} answers[] = {
		{ "mkdir", EEXIST },  { "mknod", EEXIST },  { "symlink", EEXIST },
		{ "link", EEXIST },   { "rename", ENOENT }, { "unlink", ENOENT },
		{ "rmdir", ENOENT },  { "removexattr", ENODATA },
		{ "setxattr", EEXIST },
	};

	if (!o->twice || r[SIDE_B].error != 0)
		return false;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (strcmp(call, answers[i].call) == 0 && r[SIDE_A].error == answers[i].error)
			return true;
	return false;
}

bool oracle_expect(struct oracle *o, const char *call, const struct result r[NR_SIDES])
{
	if (was_done_twice(o, call, r)) {
		o->nr_twice++;
		return true;
	}
	if (r[SIDE_A].value != r[SIDE_B].value || r[SIDE_A].error != r[SIDE_B].error)
		oracle_die(o, "%s: %s returned %" PRId64 " (%s), the reference %" PRId64 " (%s)",
			   call, o->dir[SIDE_A], r[SIDE_A].value, strerror(r[SIDE_A].error),
			   r[SIDE_B].value, strerror(r[SIDE_B].error));
	return r[SIDE_A].error == 0;
}

/*
 * A name: mostly a short one that may exist, now and then one as long as is allowed or one byte
 * longer.
 */
static void random_name(struct oracle *o, char *name, bool folder)
{
	uint64_t kind = oracle_below(o, 200);

	if (kind < 2) {
		memset(name, 'a' + (int)oracle_below(o, 2), 255 + kind);
		name[255 + kind] = '\0';
	} else if (folder || kind < 12) {
		sprintf(name, "d%u", (unsigned)oracle_below(o, 3));
	} else {
		sprintf(name, "f%u", (unsigned)oracle_below(o, o->nr_files));
	}
}

void oracle_path(struct oracle *o, char path[PATH_SIZE], bool folder)
{
	static const unsigned depths[] = { 0, 0, 0, 0, 1, 1, 1, 2 };
	unsigned depth = depths[oracle_below(o, 8)];
	size_t len = 0;

	while (depth-- > 0)
		len += (size_t)sprintf(path + len, "d%u/", (unsigned)oracle_below(o, 3));
	random_name(o, path + len, folder);
}

static void fill_part(struct oracle *o, char *buf, size_t len)
{
	uint64_t word;

	switch (oracle_below(o, 5)) {
	case 0:
		memset(buf, 0, len);
		break;
	case 1: /* one 8-byte value over and over, as same-filled pages have it */
		word = oracle_random(o);
		for (size_t i = 0; i < len; i++)
			buf[i] = ((const char *)&word)[i & 7];
		break;
	case 2:
		memcpy(buf, o->noise + oracle_below(o, MAX_IO), len);
		break;
	default:
		memcpy(buf, o->text + oracle_below(o, MAX_IO), len);
	}
}

void oracle_fill(struct oracle *o, size_t len)
{
	size_t first = oracle_below(o, 4) ? len : oracle_below(o, len + 1);

	fill_part(o, o->buf[SIDE_A], first);
	fill_part(o, o->buf[SIDE_A] + first, len - first);
	memcpy(o->buf[SIDE_B], o->buf[SIDE_A], len);
}

static void make_pools(struct oracle *o)
{
	static const char *const words[] = { "the ",  "page ",   "of ",     "cluster ",
					     "is ",   "held\n",  "0x",      "if (",
					     ") {\n", "return ", "struct ", "->",
					     "and ",  "memory ", "; ",      "42 " };
	size_t len = 2 * MAX_IO, n;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t r = oracle_random(o);

		memcpy(o->noise + i, &r, 8);
	}
	for (size_t i = 0; i < len; i += n) {
		const char *word = words[oracle_below(o, 16)];

		n = strlen(word);
		if (n > len - i)
			n = len - i;
		memcpy(o->text + i, word, n);
	}
}

/* What may be missing without being wrong is found out once, and said. */
static void probe(struct oracle *o)
{
	static const char name[] = "probe";
	void *map;
	int fd;

	for (int side = 0; side < NR_SIDES; side++) {
		fd = openat(o->root[side], name, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd < 0 || ftruncate(fd, 8192) < 0)
			oracle_die(o, "%s: cannot create a file: %s", o->dir[side],
				   strerror(errno));
		if (side == SIDE_A) {
			map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
			o->has_mmap = map != MAP_FAILED;
			if (o->has_mmap)
				munmap(map, 4096);
			o->has_zero_range = fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096) == 0;
		} else {
			o->has_user_attr = fsetxattr(fd, "user.probe", "", 0, 0) == 0;
		}
		close(fd);
		fd = openat(o->root[side], name, O_RDWR | O_DIRECT);
		o->has_direct[side] = fd >= 0;
		if (fd >= 0)
			close(fd);
		unlinkat(o->root[side], name, 0);
	}
	printf("%s: %s, %s, %s%s\n", o->dir[SIDE_A],
	       o->has_mmap ? "shared mappings" : "no shared mappings",
	       o->has_direct[SIDE_A] ? "O_DIRECT" : "no O_DIRECT",
	       o->has_zero_range ? "zero range" : "no zero range",
	       o->has_user_attr ? "" : "; no attributes of users, which the reference lacks");
}

static void usage(void)
{
	fputs("usage: oracle --dir A --ref B [--ops N] [--seed S] [--files N] [--names] "
	      "[--twice] [--until FILE] [--verbose]\n",
	      stderr);
	exit(2);
}

static uint64_t parse_options(struct oracle *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'a' },   { "ref", required_argument, NULL, 'b' },
		{ "ops", required_argument, NULL, 'n' },   { "seed", required_argument, NULL, 's' },
		{ "files", required_argument, NULL, 'f' }, { "names", no_argument, NULL, 'm' },
		{ "twice", no_argument, NULL, 't' },	   { "until", required_argument, NULL, 'u' },
		{ "verbose", no_argument, NULL, 'v' },     { NULL, 0, NULL, 0 },
	};
	uint64_t ops = 10000;
	int c;

	o->seed = (uint64_t)time(NULL) * 1000 + (uint64_t)getpid() % 1000;
	o->nr_files = 6;
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'a':
			o->dir[SIDE_A] = optarg;
			break;
		case 'b':
			o->dir[SIDE_B] = optarg;
			break;
		case 'n':
			ops = strtoull(optarg, NULL, 0);
			break;
		case 's':
			o->seed = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			o->nr_files = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'm':
			o->names_only = true;
			break;
		case 't':
			o->twice = true;
			break;
		case 'u':
			o->until = optarg;
			break;
		case 'v':
			o->verbose = true;
			break;
		default:
			usage();
		}
	}
	if (!o->dir[SIDE_A] || !o->dir[SIDE_B] || o->nr_files == 0 || optind != argc)
		usage();
	o->rng = o->seed;
	return ops;
}

static void setup(struct oracle *o)
{
	oracle_say(o, "setting up");
	o->is_root = geteuid() == 0;
	for (int side = 0; side < NR_SIDES; side++) {
		o->root[side] = open(o->dir[side], O_RDONLY | O_DIRECTORY);
		if (o->root[side] < 0)
			oracle_die(o, "%s: %s", o->dir[side], strerror(errno));
		o->buf[side] = aligned_alloc(4096, MAX_IO);
	}
	o->text = malloc(2 * MAX_IO);
	o->noise = malloc(2 * MAX_IO);
	if (!o->buf[SIDE_A] || !o->buf[SIDE_B] || !o->text || !o->noise)
		oracle_die(o, "out of memory");
	for (int i = 0; i < OPEN_PAIRS; i++)
		o->open[i].fd[SIDE_A] = o->open[i].fd[SIDE_B] = -1;
	make_pools(o);
	probe(o);
}

static void finish(struct oracle *o)
{
	for (int side = 0; side < NR_SIDES; side++) {
		close(o->root[side]);
		free(o->buf[side]);
	}
	free(o->text);
	free(o->noise);
}

static void one_op(struct oracle *o)
{
	uint64_t kind = oracle_below(o, 100);

	if (kind < 50 && !o->names_only)
		oracle_data_op(o);
	else if (kind < 51 && !o->names_only)
		oracle_sparse_op(o);
	else if (kind < 85)
		oracle_name_op(o);
	else
		oracle_attr_op(o);
}

/* Whether the file of --until is there; looked for now and then. */
static bool is_over(const struct oracle *o)
{
	return o->until && o->op % 16 == 0 && access(o->until, F_OK) == 0;
}

int main(int argc, char **argv)
{
	static struct oracle o;
	uint64_t ops = parse_options(&o, argc, argv);

	printf("seed %" PRIu64 ", %" PRIu64 " operations\n", o.seed, ops);
	fflush(stdout);
	umask(022);
	setup(&o);
	for (o.op = 1; o.op <= ops && !is_over(&o); o.op++) {
		one_op(&o);
		if (o.op % TREES_EVERY == 0)
			compare_trees(&o);
	}
	compare_trees(&o);
	oracle_close_all(&o);
	compare_trees(&o);
	finish(&o);
	if (o.twice)
		printf("%" PRIu64 " operations were done twice, and say so\n", o.nr_twice);
	printf("%" PRIu64 " operations alike\n", o.op - 1);
	return 0;
}
