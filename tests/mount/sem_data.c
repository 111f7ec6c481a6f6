// SPDX-License-Identifier: GPL-2.0-or-later
/* sem_data.c - content: sparse files, holes, fallocate, truncate, append. See semantics.h. */
#include "tests/mount/semantics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096

static void case_far(void)
{
	int fd = make("f", 0);
	char buf[100];

	sys(pwrite(fd, "x", 1, INT64_MAX - 1), "write the last byte there can be");
	sys(pwrite(fd, "x", 1, INT64_MAX), "write behind it");
	sys(pwrite(fd, buf, 100, INT64_MAX - 10), "write across the last one");
	/* tmpfs does not find data in the very last page. */
	sys(pwrite(fd, "x", 1, INT64_MAX - 2 * PAGE), "write before it");
	say("data %" PRId64, (int64_t)lseek(fd, 0, SEEK_DATA));
	sys(pread(fd, buf, 100, INT64_MAX - 10), "read across the end");
	sys(pread(fd, buf, 100, INT64_MAX), "read at the end");
	sys(pread(fd, buf, 1, -1), "read at -1");
	sys(pwrite(fd, buf, 1, -1), "write at -1");
	sys(lseek(fd, 0, SEEK_END) == INT64_MAX, "the end is where it can be");
	sys(lseek(fd, 1, SEEK_END), "seek behind it");
	sys(ftruncate(fd, 0), "truncate to 0");
	sys(ftruncate(fd, INT64_MAX), "truncate to the largest size");
	show_file(fd, "far hole", true);
	sys(ftruncate(fd, -1), "truncate to -1");
	sys(fallocate(fd, FALLOC_FL_KEEP_SIZE, INT64_MAX, 1), "allocate behind the largest size");
	sys(pwrite(fd, "x", 1, INT64_MAX - 2 * PAGE), "write near the end");
	sys(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, INT64_MAX),
	    "punch all of it");
	show_file(fd, "punched", true);
}

/* Data in some pages and not in others, asked from everywhere. */
static void case_seek(void)
{
	static const struct {
		off_t off;
		size_t len;
	} writes[] = { { 0, 1 },
		       { 3 * PAGE - 1, 2 },
		       { 10 * PAGE, 3 * PAGE },
		       { 16 * PAGE, PAGE },
		       { 31 * PAGE + 5, 10 },
		       { 1000 * PAGE, 100 } };
	static const off_t places[] = { 0,       1,       4095,    4096,  8191,     40960,
					53247,   53248,   65535,   65536, 69632,    4096000,
					4096099, 4096100, 4100000, -1,    INT64_MAX };
	char buf[3 * PAGE];
	int fd = make("f", 0);

	memset(buf, 'd', sizeof(buf));
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		must(pwrite(fd, buf, writes[i].len, writes[i].off), "pwrite");
		show_seeks(fd);
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		sys(lseek(fd, places[i], SEEK_DATA), "data at %" PRId64, (int64_t)places[i]);
		sys(lseek(fd, places[i], SEEK_HOLE), "hole at %" PRId64, (int64_t)places[i]);
	}
	must(fsync(fd), "fsync");
	show_file(fd, "synced", true);
	sys(lseek(fd, 0, 99), "seek in another way");
	/* Zeros that were written are data. */
	memset(buf, 0, sizeof(buf));
	must(pwrite(fd, buf, sizeof(buf), 50 * PAGE), "pwrite");
	show_seeks(fd);
	must(ftruncate(fd, 51 * PAGE + 1), "ftruncate");
	show_seeks(fd);
	must(ftruncate(fd, 60 * PAGE), "ftruncate");
	show_file(fd, "cut and grown", true);
}

static void one_fallocate(int fd, int mode, off_t off, off_t len)
{
	struct stat st;

	sys(fallocate(fd, mode, off, len), "fallocate mode %d, %" PRId64 " at %" PRId64, mode,
	    (int64_t)len, (int64_t)off);
	must(fsync(fd), "fsync");
	must(fstat(fd, &st), "fstat");
	say("size %" PRId64 ", blocks %" PRId64 ", sum %016" PRIx64, (int64_t)st.st_size,
	    (int64_t)st.st_blocks, sum_range(fd, 0, (uint64_t)st.st_size));
	/* For tmpfs a page that was only reserved is a hole. */
	if (mode & FALLOC_FL_PUNCH_HOLE)
		show_seeks(fd);
}

static void case_fallocate(void)
{
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	int fd = make("f", 20 * PAGE + 17), ro;

	one_fallocate(fd, punch, 2 * PAGE, 3 * PAGE);
	one_fallocate(fd, punch, 7 * PAGE + 1, PAGE - 2);
	one_fallocate(fd, punch, 9 * PAGE + 1, 2 * PAGE);
	one_fallocate(fd, punch, 20 * PAGE, 100 * PAGE);
	one_fallocate(fd, FALLOC_FL_KEEP_SIZE, 30 * PAGE, 2 * PAGE);
	one_fallocate(fd, 0, 25 * PAGE + 1, PAGE);
	one_fallocate(fd, 0, 0, 40 * PAGE);
	one_fallocate(fd, punch, 0, 40 * PAGE);
	must(ftruncate(fd, 0), "ftruncate");
	one_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 5 * PAGE);
	must(ftruncate(fd, 3 * PAGE), "ftruncate");
	one_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, PAGE);
	sys(fallocate(fd, 0, 0, 0), "no bytes");
	sys(fallocate(fd, 0, -1, 1), "at -1");
	sys(fallocate(fd, 0, 0, -1), "-1 bytes");
	sys(fallocate(fd, 0, INT64_MAX, 1), "too far");
	sys(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), "punch without keep size");
	sys(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE), "collapse");
	sys(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, PAGE), "insert");
	sys(fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, PAGE), "unshare");
	ro = (int)must(open("f", O_RDONLY), "open");
	sys(fallocate(ro, 0, 0, PAGE), "read-only");
	ro = (int)must(open(".", O_RDONLY), "open");
	sys(fallocate(ro, 0, 0, PAGE), "a folder");
	must(fcntl(fd, F_SETFL, O_APPEND), "F_SETFL");
	sys(fallocate(fd, 0, 0, PAGE), "append");
	sys(fallocate(fd, punch, 0, PAGE), "append, punch");
	sys(posix_fallocate(fd, 100 * PAGE, 1), "posix_fallocate");
	one_fallocate(fd, punch, 0, 200 * PAGE);
}

static void case_truncate(void)
{
	static const off_t sizes[] = { 100000, 5000, 70000, 4097, 4096, 65537, 1, 200000, 0, 3 };
	int fd = make("f", 150000), ro;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		sys(ftruncate(fd, sizes[i]), "ftruncate %" PRId64, (int64_t)sizes[i]);
		show_file(fd, "now", true);
		must(pwrite(fd, "mark", 4, sizes[i] / 2), "pwrite");
	}
	ro = (int)must(open("f", O_RDONLY), "open");
	sys(ftruncate(ro, 5), "read-only");
	sys(truncate(".", 5), "a folder");
	sys(truncate("missing", 5), "nothing");
	sys(mkfifo("fifo", 0644), "mkfifo");
	sys(truncate("fifo", 5), "a fifo");
	sys(open("f", O_RDONLY | O_TRUNC) >= 0, "open with O_TRUNC");
	show_file(fd, "opened with O_TRUNC", true);
}

static void case_rlimit(void)
{
	const struct rlimit limit = { 10000, 10000 };
	char buf[PAGE] = "x";
	int fd = make("f", 9000);

	signal(SIGXFSZ, SIG_IGN);
	must(setrlimit(RLIMIT_FSIZE, &limit), "setrlimit");
	sys(pwrite(fd, buf, PAGE, 9000), "write across the limit");
	sys(pwrite(fd, buf, PAGE, 10000), "write at the limit");
	sys(ftruncate(fd, 10000), "truncate to the limit");
	sys(ftruncate(fd, 10001), "truncate behind it");
	sys(fallocate(fd, 0, 9000, 2000), "allocate across it");
	/* KEEP_SIZE: FUSE lets it pass, as most do; tmpfs does not. */
	show_file(fd, "limited", true);
}

enum { WRITERS = 6, RECORDS = 300, RECORD = 61 };

static void append_records(void *arg)
{
	int nr = *(int *)arg, fd = (int)must(open("log", O_WRONLY | O_APPEND), "open");
	char record[RECORD + 1];

	for (int i = 0; i < RECORDS; i++) {
		snprintf(record, sizeof(record), "%02d %06d %050d\n", nr, i, i);
		if (write(fd, record, RECORD) != RECORD)
			exit(1);
	}
}

static void case_append(void)
{
	char record[RECORD + 1] = "";
	int next[WRITERS] = { 0 }, nrs[WRITERS], wrong = 0, fd = make("log", 0);
	pid_t pids[WRITERS];

	for (int i = 0; i < WRITERS; i++) {
		nrs[i] = i;
		pids[i] = child(append_records, &nrs[i]);
	}
	for (int i = 0; i < WRITERS; i++)
		reap(pids[i], "writer");
	while (read(fd, record, RECORD) == RECORD) {
		int nr = -1, i = -1;

		if (sscanf(record, "%d %d", &nr, &i) != 2 || nr < 0 || nr >= WRITERS ||
		    i != next[nr] || record[RECORD - 1] != '\n')
			wrong++;
		else
			next[nr]++;
	}
	for (int i = 0; i < WRITERS; i++)
		say("%d records of writer %d", next[i], i);
	say("%d wrong ones, size %" PRId64, wrong, (int64_t)lseek(fd, 0, SEEK_END));
	/* pwrite() to such a file appends, whatever it is told. */
	fd = (int)must(open("log", O_RDWR | O_APPEND), "open");
	sys(pwrite(fd, "end", 3, 0), "pwrite");
	sys(lseek(fd, 0, SEEK_CUR), "position");
	sys(write(fd, "end", 3), "write");
	sys(lseek(fd, 0, SEEK_CUR), "position");
}

/* One process writes ones, one cuts and grows: nobody ever sees anything but ones and zeros. */
static void ones(void *arg)
{
	int fd = (int)must(open("f", O_WRONLY), "open");
	char buf[10000];

	(void)arg;
	memset(buf, 1, sizeof(buf));
	for (int i = 0; i < 1500; i++)
		if (pwrite(fd, buf, sizeof(buf), i * 7919 % 120000) != sizeof(buf))
			exit(1);
}

static void cuts(void *arg)
{
	(void)arg;
	for (int i = 0; i < 1500; i++)
		if (truncate("f", i * 104729 % 130000) < 0)
			exit(1);
}

static void case_truncate_race(void)
{
	int fd = make("f", 0), wrong = 0;
	pid_t writer = child(ones, NULL), cutter = child(cuts, NULL);
	static char buf[130000];

	for (int i = 0; i < 300; i++) {
		ssize_t n = pread(fd, buf, sizeof(buf), 0);

		for (ssize_t b = 0; b < n; b++)
			wrong += buf[b] != 0 && buf[b] != 1;
	}
	reap(writer, "writer");
	reap(cutter, "cutter");
	say("%d wrong bytes", wrong);
	/* What was cut last is gone for good. */
	must(ftruncate(fd, 5000), "ftruncate");
	must(ftruncate(fd, 130000), "ftruncate");
	wrong = 0;
	must(pread(fd, buf, sizeof(buf), 0), "pread");
	for (size_t b = 5000; b < sizeof(buf); b++)
		wrong += buf[b] != 0;
	say("%d bytes behind the cut", wrong);
}

static void case_vectors(void)
{
	char a[10] = "0123456789", b[5000], c[3] = "xyz";
	char *nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov[] = { { a, 10 }, { b, sizeof(b) }, { c, 0 }, { c, 3 } };
	int fd = make("f", 0);

	memset(b, 'b', sizeof(b));
	sys(pwritev(fd, iov, 4, 4090), "pwritev");
	show_file(fd, "vectors", true);
	sys(pwritev2(fd, iov, 4, 0, RWF_APPEND), "pwritev2 append");
	sys(pwritev2(fd, iov, 1, 0, RWF_DSYNC), "pwritev2 dsync");
	sys(pwritev2(fd, iov, 1, 0, RWF_SYNC), "pwritev2 sync");
	sys(preadv2(fd, iov, 4, 4090, RWF_HIPRI), "preadv2 hipri");
	sys(pwritev2(fd, iov, 1, 0, 1 << 30), "pwritev2 with an unknown flag");
	sys(preadv(fd, iov, 0, 0), "preadv of nothing");
	sys(pwrite(fd, a, 0, 1 << 20), "pwrite of nothing");
	sys(pread(fd, nowhere, 10, 0), "pread to nowhere");
	sys(pwrite(fd, nowhere, 10, 0), "pwrite from nowhere");
	sys(readahead(fd, 0, 1 << 20), "readahead");
	sys(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), "fadvise");
	sys(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), "sync_file_range");
	sys(fdatasync(fd), "fdatasync");
	sys(syncfs(fd), "syncfs");
	show_file(fd, "end", true);
}

const struct sem_case sem_data_cases[] = {
	{ "far", case_far },
	{ "seek", case_seek },
	{ "fallocate", case_fallocate },
	{ "truncate", case_truncate },
	{ "rlimit", case_rlimit },
	{ "append", case_append },
	{ "truncate-race", case_truncate_race },
	{ "vectors", case_vectors },
	{ NULL, NULL },
};
