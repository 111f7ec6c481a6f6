// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * compact.c - ztmpfsctl compact and recompress: have a mount do now what it does when it is idle.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <time.h>

#include "ctl/ctl.h"
#include "ctl/progress.h"
#include "util/sizes.h"

#define POLL_NS 100000000L

static int complain(const char *path, int error)
{
	if (error != -EOPNOTSUPP)
		return ctl_fail(path, error);
	fprintf(stderr, "ztmpfsctl: %s: recompression is off\n", path);
	return CTL_EXIT_FAILED;
}

/* What the mount holds meanwhile. */
static void compact_text(void *path, char out[PROGRESS_TEXT])
{
	struct ztmpfs_stat stat;
	char held[CTL_HUMAN];

	if (ctl_get_stat(path, &stat) == 0)
		snprintf(out, PROGRESS_TEXT, "%s held", ctl_human(stat.mem_used_total, held));
}

static void recompress_text(void *path, char out[PROGRESS_TEXT])
{
	struct ztmpfs_stat stat;
	char saved[CTL_HUMAN];

	if (ctl_get_stat(path, &stat) == 0)
		snprintf(out, PROGRESS_TEXT, "%" PRIu64 " clusters tried, %s saved since the mount",
			 stat.recompressed + stat.recompress_kept,
			 ctl_human(stat.recompress_saved, saved));
}

static int run_compact(int argc, char *argv[])
{
	struct progress progress = { .what = "compacting",
				     .interrupted = "ztmpfsctl: the mount goes on compacting\n",
				     .text = compact_text };
	uint64_t freed = 0;
	int error;

	(void)ctl_switch(&ctl_compact, argc, argv, true);
	if (argc != optind + 1)
		return ctl_usage(&ctl_compact);
	progress.arg = argv[optind];
	progress_begin(&progress);
	error = ctl_ioctl(argv[optind], ZTMPFS_IOC_COMPACT, &freed);
	progress_end();
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

/* A pass begins, and is waited for. */
static int recompress(const char *path, uint64_t *out_saved)
{
	struct ztmpfs_stat stat = { 0 };
	uint64_t passes = 0, before;
	int error = ctl_get_stat(path, &stat);

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
	*out_saved = stat.recompress_saved - before;
	return error;
}

static int run_recompress(int argc, char *argv[])
{
	struct progress progress = { .what = "recompressing",
				     .interrupted = "ztmpfsctl: the mount goes on recompressing\n",
				     .text = recompress_text };
	uint64_t saved = 0;
	int error;

	(void)ctl_switch(&ctl_recompress, argc, argv, true);
	if (argc != optind + 1)
		return ctl_usage(&ctl_recompress);
	progress.arg = argv[optind];
	progress_begin(&progress);
	error = recompress(argv[optind], &saved);
	progress_end();
	if (error)
		return complain(argv[optind], error);
	printf("%" PRIu64 " bytes saved\n", saved);
	return 0;
}

const struct ctl_command ctl_recompress = {
	.name = "recompress",
	.operands = "MOUNTPOINT",
	.help = "Recompress all now, however recently it was used, and wait for the end.",
	.takes = CTL_MOUNTS,
	.run = run_recompress,
};
