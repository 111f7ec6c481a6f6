// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sizes.c - asks a mount with structs of an older and of a newer ztmpfsctl: shorter and longer than the
 * daemon's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "ztmpfs/control.h"

#define OLD 200u /* of struct ztmpfs_stat: zram's counters are in it */
#define NEW (sizeof(struct ztmpfs_stat) + 512u)

static unsigned char bytes[16384];

/* Return: 1 after a line. */
static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

static int stat_sized(int fd, unsigned size, struct ztmpfs_stat *out)
{
	const unsigned got = size < sizeof(*out) ? size : (unsigned)sizeof(*out);

	memset(bytes, 0xaa, sizeof(bytes));
	if (ioctl(fd, _IOC(_IOC_READ, 'Z', 1, size), bytes) != 0)
		return fail("stat");
	memcpy(out, bytes, sizeof(*out));
	errno = EINVAL;
	if (out->version != ZTMPFS_STAT_VERSION || out->struct_size != got)
		return fail("size of the answer");
	for (unsigned i = got; i < sizeof(bytes); i++)
		if (bytes[i] != 0xaa)
			return fail("bytes beyond the answer");
	return 0;
}

/* A pool's classes are asked for with a question that is longer, or cut behind its first words. */
static int pools_sized(int fd, unsigned size)
{
	struct ztmpfs_pool_stat stat = { .version = ZTMPFS_STAT_VERSION,
					 .struct_size = size,
					 .pool = 1 };

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, &stat, size < sizeof(stat) ? size : sizeof(stat));
	if (ioctl(fd, _IOC(_IOC_READ | _IOC_WRITE, 'Z', 24, size), bytes) != 0)
		return fail("pools");
	memcpy(&stat, bytes, sizeof(stat));
	errno = EINVAL;
	return stat.pool == 1 && stat.nr_pools == 3 && strcmp(stat.name, "metadata") == 0
		       ? 0
		       : fail("answer about pools");
}

int main(int argc, char *argv[])
{
	struct ztmpfs_stat now, other;
	const int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return fail("open");
	if (stat_sized(fd, sizeof(now), &now) || stat_sized(fd, OLD, &other))
		return 1;
	errno = EINVAL;
	if (strcmp(now.compress, other.compress) != 0)
		return fail("the shorter answer differs");
	if (stat_sized(fd, NEW, &other) || other.size_limit != now.size_limit)
		return fail("the longer answer differs");
	return pools_sized(fd, 80) || pools_sized(fd, sizeof(struct ztmpfs_pool_stat) + 64);
}
