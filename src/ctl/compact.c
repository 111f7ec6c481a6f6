// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * compact.c - ztmpfsctl compact and recompress: have a mount do now what it does when it is idle.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl.h"

#define POLL_NS 100000000L

static int complain(const char *path, int error)
{
	fprintf(stderr, "ztmpfsctl: %s: %s\n", path,
		error == -ENOTTY       ? "not a ztmpfs"
		: error == -EOPNOTSUPP ? "mounted with recompress=off"
				       : strerror(-error));
	return CTL_EXIT_FAILED;
}

static int run_compact(int argc, char *argv[])
{
	uint64_t freed = 0;
	int error;

	if (argc != 2 || argv[1][0] == '-')
		return ctl_usage(&ctl_compact);
	error = ctl_ioctl(argv[1], ZTMPFS_IOC_COMPACT, &freed);
	if (error)
		return complain(argv[1], error);
	printf("%" PRIu64 " bytes given back\n", freed);
	return 0;
}

const struct ctl_command ctl_compact = {
	.name = "compact",
	.synopsis = "MOUNTPOINT",
	.help = "Give memory back: fold small changes, move objects together, free what is cached.",
	.run = run_compact,
};

static int run_recompress(int argc, char *argv[])
{
	struct ztmpfs_stat stat = { 0 };
	uint64_t passes = 0, before;
	int error;

	if (argc != 2 || argv[1][0] == '-')
		return ctl_usage(&ctl_recompress);
	error = ctl_get_stat(argv[1], &stat);
	before = stat.recompress_saved;
	if (!error)
		error = ctl_ioctl(argv[1], ZTMPFS_IOC_RECOMPRESS, &passes);
	while (!error && stat.recompress_passes <= passes) {
		nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
		error = ctl_get_stat(argv[1], &stat);
	}
	if (error)
		return complain(argv[1], error);
	printf("%" PRIu64 " bytes saved\n", stat.recompress_saved - before);
	return 0;
}

const struct ctl_command ctl_recompress = {
	.name = "recompress",
	.synopsis = "MOUNTPOINT",
	.help = "Recompress all that was not yet, however recently it was used, and wait for the "
		"end.",
	.run = run_recompress,
};
