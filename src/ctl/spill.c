// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spill.c - ztmpfsctl spill and fetch: what goes out to the spill file, and what comes back.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <time.h>

#include "ctl/ctl.h"
#include "ctl/progress.h"

#define POLL_NS 100000000L

static int complain(const char *path, int error)
{
	if (error == -EOPNOTSUPP)
		return ctl_failed(path, "it was mounted without spill=");
	if (error == -ENOSPC)
		return ctl_failed(path, "the mount has no memory for more");
	return ctl_fail(path, error);
}

static void spill_text(void *path, char out[PROGRESS_TEXT])
{
	struct ztmpfs_stat stat;
	char held[CTL_HUMAN];

	if (ctl_get_stat(path, &stat) == 0)
		snprintf(out, PROGRESS_TEXT, "%s out", ctl_human(stat.spill_bytes, held));
}

/* A round begins, and is waited for. */
static int spill(const char *path, struct ztmpfs_stat *out_stat)
{
	uint64_t passes = 0;
	int error = ctl_ioctl(path, ZTMPFS_IOC_SPILL, &passes);

	*out_stat = (struct ztmpfs_stat){ 0 };
	if (!error)
		error = ctl_get_stat(path, out_stat);
	while (!error && out_stat->spill_passes <= passes) {
		nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
		error = ctl_get_stat(path, out_stat);
	}
	return error;
}

static int run_spill(int argc, char *argv[])
{
	struct progress progress = { .what = "spilling",
				     .interrupted = "ztmpfsctl: the mount goes on spilling\n",
				     .text = spill_text };
	struct ztmpfs_stat stat;
	int error;

	(void)ctl_switch(&ctl_spill, argc, argv, true);
	if (argc != optind + 1)
		return ctl_usage(&ctl_spill);
	progress.arg = argv[optind];
	progress_begin(&progress);
	error = spill(argv[optind], &stat);
	progress_end();
	if (error)
		return complain(argv[optind], error);
	printf("%" PRIu64 " bytes out\n", stat.spill_bytes);
	return 0;
}

const struct ctl_command ctl_spill = {
	.name = "spill",
	.operands = "MOUNTPOINT",
	.help = "Have all that can go out to the spill file go there now.",
	.takes = CTL_MOUNTS,
	.run = run_spill,
};

static int run_fetch(int argc, char *argv[])
{
	uint64_t unused = 0;
	int status = 0;

	(void)ctl_switch(&ctl_fetch, argc, argv, true);
	if (argc == optind)
		return ctl_usage(&ctl_fetch);
	for (int i = optind; i < argc; i++) {
		const int error = ctl_ioctl(argv[i], ZTMPFS_IOC_FETCH, &unused);

		if (error)
			status = complain(argv[i], error);
	}
	return status;
}

const struct ctl_command ctl_fetch = {
	.name = "fetch",
	.operands = "FILE...",
	.help = "Bring what is out of files in the spill file back into memory.",
	.takes = CTL_PATHS,
	.run = run_fetch,
};
