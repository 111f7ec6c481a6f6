// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * compact.c - ztmpfsctl compact and recompress: have a mount do now what it does when it is idle.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <time.h>

#include "ctl/ctl.h"

#define POLL_NS 100000000L

static int complain(const char *path, int error)
{
	if (error != -EOPNOTSUPP)
		return ctl_fail(path, error);
	fprintf(stderr, "ztmpfsctl: %s: recompression is off\n", path);
	return CTL_EXIT_FAILED;
}

static int run_compact(int argc, char *argv[])
{
	uint64_t freed = 0;
	int error;

	(void)ctl_switch(&ctl_compact, argc, argv, true);
	if (argc != optind + 1)
		return ctl_usage(&ctl_compact);
	error = ctl_ioctl(argv[optind], ZTMPFS_IOC_COMPACT, &freed);
	if (error)
		return complain(argv[optind], error);
	printf("%" PRIu64 " bytes given back\n", freed);
	return 0;
}

const struct ctl_command ctl_compact = {
	.name = "compact",
	.operands = "MOUNTPOINT",
	.help = "Fold small changes, move objects together, and give memory back.",
	.takes = CTL_MOUNTS,
	.run = run_compact,
};

static int run_recompress(int argc, char *argv[])
{
	struct ztmpfs_stat stat = { 0 };
	uint64_t passes = 0, before;
	const char *path;
	int error;

	(void)ctl_switch(&ctl_recompress, argc, argv, true);
	if (argc != optind + 1)
		return ctl_usage(&ctl_recompress);
	path = argv[optind];
	error = ctl_get_stat(path, &stat);
	before = stat.recompress_saved;
	if (!error)
		error = ctl_ioctl(path, ZTMPFS_IOC_RECOMPRESS, &passes);
	while (!error && stat.recompress_passes <= passes) {
		nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
		error = ctl_get_stat(path, &stat);
		/* Switched off meanwhile: there will be no pass. */
		if (!error && stat.recompress[0] == '\0')
			error = -EOPNOTSUPP;
	}
	if (error)
		return complain(path, error);
	printf("%" PRIu64 " bytes saved\n", stat.recompress_saved - before);
	return 0;
}

const struct ctl_command ctl_recompress = {
	.name = "recompress",
	.operands = "MOUNTPOINT",
	.help = "Recompress all now, however recently it was used, and wait for the end.",
	.takes = CTL_MOUNTS,
	.run = run_recompress,
};
