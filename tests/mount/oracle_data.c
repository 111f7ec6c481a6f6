/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * oracle_data.c - operations on the content of open files. See oracle.h.
 */
#include "tests/mount/oracle.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t random_offset(struct oracle *o, uint64_t limit)
{
	uint64_t off = oracle_below(o, limit);

	switch (oracle_below(o, 4)) {
	case 0:
		return off & ~UINT64_C(4095);
	case 1:
		return off & ~UINT64_C(65535);
	case 2:
		return oracle_below(o, limit < 20000 ? limit : 20000);
	default:
		return off;
	}
}

static size_t random_length(struct oracle *o)
{
	switch (oracle_below(o, 8)) {
	case 0:
		return 1 + oracle_below(o, 16);
	case 1:
		return 4096;
	case 2:
		return 4096 * (1 + oracle_below(o, 40));
	case 3:
		return 1 + oracle_below(o, 150000);
	case 4:
		return 65536 * (1 + oracle_below(o, MAX_IO / 65536));
	default:
		return 1 + oracle_below(o, 9000);
	}
}

/* Offset and length as the file's flags need them. */
static void random_range(struct oracle *o, const struct pair *pair, uint64_t *off, size_t *len)
{
	*off = random_offset(o, MAX_FILE_SIZE);
	*len = random_length(o);
	if (pair->direct) {
		*off &= ~UINT64_C(511);
		*len = (*len + 511) & ~(size_t)511;
	}
}

static uint64_t size_of(struct oracle *o, const struct pair *pair)
{
	struct stat st;

	if (fstat(pair->fd[SIDE_B], &st) < 0)
		oracle_die(o, "fstat: %s", strerror(errno));
	return (uint64_t)st.st_size;
}

static void close_pair(struct oracle *o, struct pair *pair)
{
	struct result r[NR_SIDES];

	for (int side = 0; side < NR_SIDES; side++) {
		r[side] = oracle_result(close(pair->fd[side]));
		pair->fd[side] = -1;
	}
	oracle_expect(o, "close", r);
}

void oracle_close_all(struct oracle *o)
{
	for (int i = 0; i < OPEN_PAIRS; i++)
		if (o->open[i].fd[SIDE_A] >= 0)
			close_pair(o, &o->open[i]);
}

static int random_open_flags(struct oracle *o)
{
	int flags = oracle_below(o, 10) ? O_RDWR : O_RDONLY;

	if (oracle_below(o, 10) < 6)
		flags |= O_CREAT;
	if (oracle_below(o, 12) == 0)
		flags |= O_EXCL | O_CREAT;
	if (oracle_below(o, 12) == 0)
		flags |= O_TRUNC;
	if (oracle_below(o, 8) == 0)
		flags |= O_APPEND;
	if (oracle_below(o, 20) == 0)
		flags |= O_NOFOLLOW;
	if (oracle_below(o, 40) == 0)
		flags |= O_DIRECTORY;
	if (oracle_below(o, 30) == 0)
		flags |= O_SYNC;
	return flags;
}

static void op_open(struct oracle *o, struct pair *pair)
{
	static const mode_t modes[] = { 0644, 0600, 0666, 0755, 06755 };
	mode_t mode = modes[oracle_below(o, 5)];
	int flags = random_open_flags(o);
	struct result r[NR_SIDES];
	struct stat st;

	if ((flags & O_CREAT) && (flags & O_DIRECTORY))
		flags &= ~O_CREAT; /* kernels differ about this one */
	oracle_path(o, pair->path, false);
	pair->direct = o->has_direct[SIDE_A] && oracle_below(o, 8) == 0;
	pair->append = flags & O_APPEND;
	oracle_say(o, "open %s flags %o%s mode %o", pair->path, (unsigned)flags,
		   pair->direct ? " direct" : "", mode);
	if (fstatat(o->root[SIDE_B], pair->path, &st, 0) == 0 && !S_ISREG(st.st_mode) &&
	    !S_ISDIR(st.st_mode))
		return; /* a fifo or device is not the filesystem's matter once it is open */
	for (int side = 0; side < NR_SIDES; side++) {
		int direct = pair->direct && o->has_direct[side] ? O_DIRECT : 0;

		pair->fd[side] = openat(o->root[side], pair->path, flags | direct, mode);
		r[side] = oracle_result(pair->fd[side] < 0 ? -1 : 0);
	}
	if (!oracle_expect(o, "open", r))
		return;
	compare_fds(o, pair);
	if (fstat(pair->fd[SIDE_B], &st) == 0 && !S_ISREG(st.st_mode))
		close_pair(o, pair);
}

static void op_write(struct oracle *o, struct pair *pair)
{
	struct result r[NR_SIDES];
	uint64_t off;
	size_t len;

	random_range(o, pair, &off, &len);
	if (pair->append && size_of(o, pair) > MAX_FILE_SIZE)
		return;
	oracle_say(o, "write %s: %zu bytes at %" PRIu64 "%s%s", pair->path, len, off,
		   pair->append ? " (append)" : "", pair->direct ? " (direct)" : "");
	oracle_fill(o, len);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(pwrite(pair->fd[side], o->buf[side], len, (off_t)off));
	oracle_expect(o, "pwrite", r);
}

static void op_read(struct oracle *o, struct pair *pair)
{
	struct result r[NR_SIDES];
	uint64_t off;
	size_t len;

	random_range(o, pair, &off, &len);
	oracle_say(o, "read %s: %zu bytes at %" PRIu64 "%s", pair->path, len, off,
		   pair->direct ? " (direct)" : "");
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(pread(pair->fd[side], o->buf[side], len, (off_t)off));
	if (oracle_expect(o, "pread", r) &&
	    memcmp(o->buf[SIDE_A], o->buf[SIDE_B], (size_t)r[SIDE_A].value) != 0)
		oracle_die(o, "%s: other bytes than the reference", pair->path);
}

static void op_truncate(struct oracle *o, struct pair *pair)
{
	uint64_t size = size_of(o, pair);
	struct result r[NR_SIDES];

	if (oracle_below(o, 2) || size == 0)
		size = random_offset(o, MAX_FILE_SIZE);
	else
		size = random_offset(o, size); /* down */
	oracle_say(o, "ftruncate %s to %" PRIu64, pair->path, size);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(ftruncate(pair->fd[side], (off_t)size));
	oracle_expect(o, "ftruncate", r);
}

/* tmpfs has no zero range; what it must look like can be had by other calls. */
static int zero_range_by_hand(int fd, bool keep_size, uint64_t off, uint64_t len)
{
	struct stat st;

	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) < 0 ||
	    fstat(fd, &st) < 0)
		return -1;
	if (keep_size || off + len <= (uint64_t)st.st_size)
		return 0;
	return ftruncate(fd, (off_t)(off + len));
}

static void op_fallocate(struct oracle *o, struct pair *pair)
{
	static const int modes[] = { 0,
				     FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_ZERO_RANGE,
				     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				     FALLOC_FL_PUNCH_HOLE };
	int mode = modes[oracle_below(o, 7)];
	uint64_t off = random_offset(o, MAX_FILE_SIZE);
	size_t len = random_length(o);
	struct result r[NR_SIDES];

	if ((mode & FALLOC_FL_ZERO_RANGE) && !o->has_zero_range)
		return;
	oracle_say(o, "fallocate %s mode %d: %zu bytes at %" PRIu64, pair->path, mode, len, off);
	r[SIDE_A] = oracle_result(fallocate(pair->fd[SIDE_A], mode, (off_t)off, (off_t)len));
	if (mode & FALLOC_FL_ZERO_RANGE)
		r[SIDE_B] = oracle_result(
			zero_range_by_hand(pair->fd[SIDE_B], mode & FALLOC_FL_KEEP_SIZE, off, len));
	else
		r[SIDE_B] =
			oracle_result(fallocate(pair->fd[SIDE_B], mode, (off_t)off, (off_t)len));
	oracle_expect(o, "fallocate", r);
}

/* Write through a shared mapping, within the file's size. */
static void op_mmap(struct oracle *o, struct pair *pair, bool write)
{
	uint64_t size = size_of(o, pair);
	uint64_t start, off;
	size_t len;
	int sync = (int)oracle_below(o, 3);

	if (size == 0 || (write && !o->has_mmap) ||
	    (fcntl(pair->fd[SIDE_B], F_GETFL) & O_ACCMODE) != O_RDWR)
		return;
	off = random_offset(o, size);
	len = random_length(o);
	if (len > size - off)
		len = size - off;
	start = off & ~UINT64_C(4095);
	oracle_say(o, "mmap %s: %s %zu bytes at %" PRIu64 ", sync %d", pair->path,
		   write ? "write" : "read", len, off, sync);
	oracle_fill(o, len);
	for (int side = 0; side < NR_SIDES; side++) {
		size_t map_len = (size_t)(off - start) + len;
		char *map =
			mmap(NULL, map_len, write ? PROT_READ | PROT_WRITE : PROT_READ,
			     o->has_mmap ? MAP_SHARED : MAP_PRIVATE, pair->fd[side], (off_t)start);

		if (map == MAP_FAILED)
			oracle_die(o, "%s: mmap: %s", o->dir[side], strerror(errno));
		if (write)
			memcpy(map + (off - start), o->buf[side], len);
		else
			memcpy(o->buf[side], map + (off - start), len);
		if (write && sync && msync(map, map_len, sync == 1 ? MS_SYNC : MS_ASYNC) < 0)
			oracle_die(o, "%s: msync: %s", o->dir[side], strerror(errno));
		munmap(map, map_len);
	}
	if (memcmp(o->buf[SIDE_A], o->buf[SIDE_B], len) != 0)
		oracle_die(o, "%s: other bytes in the mapping than in the reference's", pair->path);
}

static void op_sync(struct oracle *o, struct pair *pair)
{
	bool data_only = oracle_below(o, 2);
	struct result r[NR_SIDES];

	oracle_say(o, "%s %s", data_only ? "fdatasync" : "fsync", pair->path);
	for (int side = 0; side < NR_SIDES; side++)
		r[side] = oracle_result(data_only ? fdatasync(pair->fd[side])
						  : fsync(pair->fd[side]));
	oracle_expect(o, "fsync", r);
}

/* Copy within the filesystem, until all is copied or the source ends. */
static void op_copy(struct oracle *o, struct pair *from, struct pair *to)
{
	uint64_t off_in = random_offset(o, MAX_FILE_SIZE),
		 off_out = random_offset(o, MAX_FILE_SIZE);
	size_t len = random_length(o);
	struct result r[NR_SIDES];

	/* At like places in clusters of every size: what a filesystem may share. */
	if (oracle_below(o, 3))
		off_out = (off_out & ~UINT64_C(131071)) | (off_in & 131071);
	oracle_say(o, "copy_file_range %s at %" PRIu64 " to %s at %" PRIu64 ": %zu bytes",
		   from->path, off_in, to->path, off_out, len);
	for (int side = 0; side < NR_SIDES; side++) {
		off_t in = (off_t)off_in, out = (off_t)off_out;
		size_t done = 0;
		ssize_t n = 1;

		while (done < len && n > 0) {
			n = copy_file_range(from->fd[side], &in, to->fd[side], &out, len - done, 0);
			if (n > 0)
				done += (size_t)n;
		}
		r[side] = oracle_result(n < 0 ? -1 : (int64_t)done);
	}
	oracle_expect(o, "copy_file_range", r);
}

void oracle_data_op(struct oracle *o)
{
	struct pair *pair = &o->open[oracle_below(o, OPEN_PAIRS)];
	struct pair *other = &o->open[oracle_below(o, OPEN_PAIRS)];
	uint64_t kind = oracle_below(o, 100);

	if (pair->fd[SIDE_A] < 0) {
		op_open(o, pair);
		return;
	}
	if (kind < 30)
		op_write(o, pair);
	else if (kind < 50)
		op_read(o, pair);
	else if (kind < 58)
		op_truncate(o, pair);
	else if (kind < 66)
		op_fallocate(o, pair);
	else if (kind < 75)
		op_mmap(o, pair, true);
	else if (kind < 80)
		op_mmap(o, pair, false);
	else if (kind < 83)
		op_sync(o, pair);
	else if (kind < 88 && other->fd[SIDE_A] >= 0)
		op_copy(o, pair, other);
	else if (kind < 92) {
		oracle_say(o, "compare %s", pair->path);
		compare_content(o, pair->path, pair->fd, kind & 1);
	} else {
		oracle_say(o, "close %s", pair->path);
		close_pair(o, pair);
		return;
	}
	compare_fds(o, pair);
}
