/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fill.c - files of incompressible bytes until there is no space, and what must be true then.
 *
 *   fill write DIR FIRST COUNT SIZE   write files FIRST.. of SIZE bytes, at most COUNT, until
 *                                     ENOSPC; prints how many were acknowledged (write, fsync and
 *                                     close all succeeded); the one that was not is removed
 *   fill check DIR FIRST COUNT SIZE   they hold what was written
 *   fill rewrite DIR FIRST COUNT SIZE write other bytes over them, in place; every call must
 *                                     succeed. They are checked.
 *
 * A sixth argument says how many bytes behind the beginning of a page the buffer begins. Then the
 * kernel cuts direct writes of a block in two, and the second part lies over the first (doc/design/arena.md).
 *
 * Any error but ENOSPC ends it with 1 and one line.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 65536u

static size_t shift; /* of the buffer for writing, in bytes */

static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void fail(const char *call, const char *path)
{
	printf("%s %s: %s\n", call, path, strerror(errno));
	exit(1);
}

static void fill_block(uint64_t *buf, uint64_t file, uint64_t block, uint64_t version)
{
	uint64_t state = (file << 32) ^ (block << 8) ^ version;

	for (size_t i = 0; i < BLOCK / 8; i++)
		buf[i] = next(&state);
}

static void name_file(char *path, size_t room, const char *dir, uint64_t nr)
{
	snprintf(path, room, "%s/%06" PRIu64, dir, nr);
}

static size_t block_len(uint64_t size, uint64_t off)
{
	return size - off < BLOCK ? (size_t)(size - off) : BLOCK;
}

/* Return: 0 acknowledged, 1 no space. */
static int write_file(const char *path, int flags, uint64_t nr, uint64_t size, uint64_t version)
{
	static char space[4096 + BLOCK] __attribute__((aligned(4096)));
	char *buf = space + shift;
	int fd = open(path, O_WRONLY | flags, 0600);
	int error = 0;

	if (fd < 0)
		return errno == ENOSPC ? 1 : (fail("open", path), 1);
	for (uint64_t off = 0; off < size && !error; off += BLOCK) {
		size_t len = block_len(size, off), done = 0;

		fill_block((uint64_t *)buf, nr, off / BLOCK, version);
		while (done < len && !error) {
			ssize_t n = pwrite(fd, buf + done, len - done, (off_t)(off + done));

			if (n < 0)
				error = errno;
			else
				done += (size_t)n;
		}
	}
	if (fsync(fd) < 0 && !error)
		error = errno;
	if (close(fd) < 0 && !error)
		error = errno;
	errno = error;
	return error == 0 ? 0 : error == ENOSPC ? 1 : (fail("write", path), 1);
}

static void check_file(const char *path, uint64_t nr, uint64_t size, uint64_t version)
{
	static uint64_t want[BLOCK / 8], got[BLOCK / 8];
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		fail("open", path);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (uint64_t off = 0; off < size; off += BLOCK) {
		size_t len = block_len(size, off);

		fill_block(want, nr, off / BLOCK, version);
		errno = 0;
		if (pread(fd, got, len, (off_t)off) != (ssize_t)len)
			fail("read", path);
		if (memcmp(want, got, len) != 0) {
			printf("%s: not what was acknowledged, near %" PRIu64 "\n", path, off);
			exit(1);
		}
	}
	close(fd);
}

int main(int argc, char **argv)
{
	uint64_t first, count, size, nr;
	char path[4096];

	if (argc == 7)
		shift = strtoull(argv[6], NULL, 0);
	if (argc < 6 || argc > 7 || shift >= 4096 || shift % 8) {
		fputs("usage: fill write|check|rewrite DIR FIRST COUNT SIZE [SHIFT]\n", stderr);
		return 2;
	}
	first = strtoull(argv[3], NULL, 0);
	count = strtoull(argv[4], NULL, 0);
	size = strtoull(argv[5], NULL, 0);
	for (nr = first; nr < first + count; nr++) {
		name_file(path, sizeof(path), argv[2], nr);
		if (!strcmp(argv[1], "check")) {
			check_file(path, nr, size, 1);
		} else if (!strcmp(argv[1], "rewrite")) {
			if (write_file(path, 0, nr, size, 2))
				fail("rewrite in place", path);
			check_file(path, nr, size, 2);
		} else if (write_file(path, O_CREAT | O_EXCL, nr, size, 1)) {
			if (unlink(path) < 0 && errno != ENOENT)
				fail("unlink", path);
			break;
		}
	}
	printf("%" PRIu64 "\n", nr - first);
	return 0;
}
