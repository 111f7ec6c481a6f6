/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * writers.c - processes that write inside the same clusters of one file at the same time.
 *
 *   writers [--writers N] [--rounds R] [--seed S] [--mode shared|locked] [--no-map] FILE
 *
 * shared: each process owns every N-th stripe of the file and rewrites its stripes, by write, by
 *         O_DIRECT write, or through a mapping; what it wrote is what it must read, now and at the
 *         end.
 * locked: all processes rewrite the same records under byte-range locks. Each record carries a
 *         checksum, so one that was read stale or half written is found by the next process that
 *         has the lock.
 *
 * Exits 0; 1 after one line that says what was wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_SIZE   (4u << 20)
#define MAX_WRITERS 16u
#define MAX_STRIPE  8192u
#define RECORD_SIZE 1536u
#define NR_RECORDS  64u

static struct {
	const char *file;
	uint64_t seed;
	unsigned writers, rounds;
	bool locked, no_map;
} opt = { .seed = 1, .writers = 8, .rounds = 6 };

static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void die(const char *what, uint64_t where)
{
	printf("seed %" PRIu64 ": %s: %s at %" PRIu64 "%s%s\n", opt.seed, opt.file, what, where,
	       errno ? ": " : "", errno ? strerror(errno) : "");
	fflush(stdout);
	_exit(1);
}

/* Half text-like, half incompressible; every stripe and round its own. */
static void fill(char *buf, size_t len, uint64_t stripe, uint64_t round)
{
	uint64_t state = opt.seed ^ (stripe << 20) ^ round;
	bool text = next(&state) & 1;

	for (size_t i = 0; i < len; i++)
		buf[i] = text ? "stripe of round "[(i + stripe + round) & 15] : (char)next(&state);
}

/* Stripes of these sizes: smaller than a page, a page, not a multiple of one; chosen per run. */
static size_t stripe_size(void)
{
	static const size_t sizes[] = { 4096, 700, 3000, 8192, 512 };

	return sizes[opt.seed % 5];
}

static void check_stripe(int fd, uint64_t stripe, uint64_t round)
{
	char want[MAX_STRIPE], got[MAX_STRIPE];
	size_t len = stripe_size();

	errno = 0;
	fill(want, len, stripe, round);
	if (pread(fd, got, len, (off_t)(stripe * len)) != (ssize_t)len)
		die("cannot read a stripe", stripe * len);
	if (memcmp(want, got, len) != 0)
		die("a stripe was lost", stripe * len);
}

static void write_stripe(int fd, int direct_fd, char *map, uint64_t stripe, uint64_t round,
			 unsigned how)
{
	static char buf[MAX_STRIPE] __attribute__((aligned(4096)));
	size_t len = stripe_size();
	off_t off = (off_t)(stripe * len);

	errno = 0;
	fill(buf, len, stripe, round);
	if (how == 0 && map) {
		memcpy(map + off, buf, len);
		return;
	}
	if (how == 1 && direct_fd >= 0 && len % 4096 == 0) /* no page is shared */
		fd = direct_fd;
	if (pwrite(fd, buf, len, off) != (ssize_t)len)
		die("cannot write", (uint64_t)off);
}

static void shared_writer(unsigned me)
{
	uint64_t stripes = FILE_SIZE / stripe_size(), rng = opt.seed * 31 + me;
	int fd = open(opt.file, O_RDWR), direct_fd = open(opt.file, O_RDWR | O_DIRECT);
	char *map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t own = (stripes - me + opt.writers - 1) / opt.writers;

	if (fd < 0)
		die("cannot open", 0);
	if (map == MAP_FAILED || opt.no_map)
		map = NULL;
	for (uint64_t round = 1; round <= opt.rounds; round++) {
		uint64_t start = next(&rng) % own; /* writers are at different places */

		for (uint64_t i = 0; i < own; i++) {
			uint64_t stripe = me + opt.writers * ((start + i) % own);

			write_stripe(fd, direct_fd, map, stripe, round, (unsigned)(next(&rng) % 4));
			if (next(&rng) % 8 == 0)
				check_stripe(fd, stripe, round);
			if (next(&rng) % 64 == 0 && fdatasync(fd) < 0)
				die("cannot sync", 0);
		}
		for (uint64_t i = 0; i < own; i++)
			check_stripe(fd, me + opt.writers * i, round);
	}
	if (fsync(fd) < 0)
		die("cannot sync", 0);
	_exit(0);
}

struct record {
	uint64_t sum;
	unsigned char data[RECORD_SIZE - 8];
};

static uint64_t sum_of(const struct record *rec)
{
	uint64_t sum = UINT64_C(14695981039346656037); /* FNV-1a */

	for (size_t i = 0; i < sizeof(rec->data); i++)
		sum = (sum ^ rec->data[i]) * UINT64_C(1099511628211);
	return sum;
}

static void lock_record(int fd, uint64_t nr, short type)
{
	struct flock lock = { .l_type = type,
			      .l_whence = SEEK_SET,
			      .l_start = (off_t)(nr * RECORD_SIZE),
			      .l_len = RECORD_SIZE };

	if (fcntl(fd, F_SETLKW, &lock) < 0)
		die("cannot lock", nr * RECORD_SIZE);
}

static void locked_writer(unsigned me)
{
	uint64_t rng = opt.seed * 31 + me;
	int fd = open(opt.file, O_RDWR);
	struct record rec;

	if (fd < 0)
		die("cannot open", 0);
	for (unsigned i = 0; i < opt.rounds * NR_RECORDS; i++) {
		uint64_t nr = next(&rng) % NR_RECORDS;
		off_t off = (off_t)(nr * RECORD_SIZE);

		lock_record(fd, nr, F_WRLCK);
		errno = 0;
		if (pread(fd, &rec, sizeof(rec), off) != (ssize_t)sizeof(rec))
			die("cannot read a record", (uint64_t)off);
		if (rec.sum != sum_of(&rec))
			die("a stale or torn record", (uint64_t)off);
		fill((char *)rec.data, sizeof(rec.data), nr, next(&rng));
		rec.sum = sum_of(&rec);
		if (pwrite(fd, &rec, sizeof(rec), off) != (ssize_t)sizeof(rec))
			die("cannot write", (uint64_t)off);
		lock_record(fd, nr, F_UNLCK);
	}
	_exit(0);
}

static int make_file(void)
{
	int fd = open(opt.file, O_RDWR | O_CREAT | O_EXCL, 0600);
	struct record rec;

	if (fd < 0 || ftruncate(fd, FILE_SIZE) < 0)
		die("cannot create", 0);
	memset(&rec, 0, sizeof(rec));
	rec.sum = sum_of(&rec);
	for (uint64_t nr = 0; opt.locked && nr < NR_RECORDS; nr++)
		if (pwrite(fd, &rec, sizeof(rec), (off_t)(nr * RECORD_SIZE)) !=
		    (ssize_t)sizeof(rec))
			die("cannot write", nr * RECORD_SIZE);
	return fd;
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "writers", required_argument, NULL, 'w' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ "mode", required_argument, NULL, 'm' },
		{ "no-map", no_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'w':
			opt.writers = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'r':
			opt.rounds = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 's':
			opt.seed = strtoull(optarg, NULL, 0);
			break;
		case 'm':
			opt.locked = strcmp(optarg, "locked") == 0;
			break;
		case 'n':
			opt.no_map = true;
			break;
		default:
			optind = argc;
		}
	}
	if (optind + 1 != argc || opt.writers == 0 || opt.writers > MAX_WRITERS) {
		fputs("usage: writers [--writers N] [--rounds R] [--seed S] [--mode M] FILE\n",
		      stderr);
		exit(2);
	}
	opt.file = argv[optind];
}

int main(int argc, char **argv)
{
	uint64_t stripes;
	int fd, status, failed = 0;

	parse_options(argc, argv);
	stripes = FILE_SIZE / stripe_size();
	fd = make_file();
	for (unsigned me = 0; me < opt.writers; me++) {
		pid_t pid = fork();

		if (pid < 0)
			die("cannot fork", 0);
		if (pid == 0 && opt.locked)
			locked_writer(me);
		if (pid == 0)
			shared_writer(me);
	}
	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		return 1;
	if (fsync(fd) < 0)
		die("cannot sync", 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (uint64_t i = 0; !opt.locked && i < stripes; i++)
		check_stripe(fd, i, opt.rounds);
	printf("%u writers, %u rounds, stripes of %zu bytes: all as written\n", opt.writers,
	       opt.rounds, opt.locked ? (size_t)RECORD_SIZE : stripe_size());
	return 0;
}
