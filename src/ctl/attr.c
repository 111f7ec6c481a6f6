// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attr.c - ztmpfsctl attr: how files and folders want to be compressed.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/walk.h"
#include "util/codecname.h"
#include "ztmpfs/zcomp.h"

static int complain(const char *path, int error)
{
	if (error == -EPROTO)
		return ctl_fail(path, error);
	fprintf(stderr, "ztmpfsctl: %s: %s\n", path,
		error == -ENOTTY      ? "not a file or folder of a ztmpfs"
		: error == -ENOTEMPTY ? "cluster=: the file is not empty"
		: error == -EDQUOT
			? "compress=: you have asked for as many different ones as a user may"
		: error == -ENOSPC ? "compress=: the mount has as many different ones as it takes"
				   : strerror(-error));
	return CTL_EXIT_FAILED;
}

static int complain_set(const char *path, int error, const struct ztmpfs_file_attr *attr)
{
	if (error == -ENOENT && attr->which & ZTMPFS_ATTR_COMPRESS)
		fprintf(stderr, "ztmpfsctl: %s: compress=%s: no such algorithm is built in\n", path,
			attr->compress);
	else if (error == -EINVAL && attr->which & ZTMPFS_ATTR_COMPRESS)
		fprintf(stderr, "ztmpfsctl: %s: compress=%s: no level %" PRId32 "\n", path,
			attr->compress, attr->level);
	else
		return complain(path, error);
	return CTL_EXIT_FAILED;
}

static void print_one(const char *path, const struct ztmpfs_file_attr *from)
{
	const struct ztmpfs_file_attr attr = *from;

	printf("cluster=%" PRIu64 "k compress=%.*s", attr.cluster_size / 1024,
	       (int)sizeof(attr.compress), attr.compress);
	if (strcmp(attr.compress, "default") != 0 && strcmp(attr.compress, "none") != 0)
		printf(":%" PRId32, attr.level);
	printf(" %s\n", path);
}

struct job {
	struct ctl_walk walk; /* first */
	struct ztmpfs_file_attr attr; /* to be set, where which is not 0 */
	bool all; /* what is below folders, too */
	int failed; /* exit status so far */
};

static void done(struct job *job, const char *path, int error, const struct ztmpfs_file_attr *got)
{
	if (error)
		job->failed = job->attr.which ? complain_set(path, error, &job->attr)
					      : complain(path, error);
	else if (!job->attr.which)
		print_one(path, got);
}

static void each(struct ctl_walk *walk, int fd, const struct stat *st, const char *path)
{
	struct job *job = (struct job *)walk;
	struct ztmpfs_file_attr attr = job->attr;
	int error;

	/* A file that has contents keeps its clusters. What else is asked for is done. */
	if (S_ISREG(st->st_mode) && st->st_size > 0)
		attr.which &= ~ZTMPFS_ATTR_CLUSTER;
	if (job->attr.which && !attr.which)
		return;
	error = ctl_ask_fd(fd, attr.which ? ZTMPFS_IOC_SET_ATTR : ZTMPFS_IOC_GET_ATTR, &attr);
	done(job, path, error, &attr);
	walk->stop |= error == -ENOTTY || error == -EPROTO;
}

static void failed(struct ctl_walk *walk, const char *path, int error)
{
	((struct job *)walk)->failed = complain(path, error);
}

static void do_path(struct job *job, const char *path)
{
	struct ztmpfs_file_attr attr = job->attr;

	if (job->all) {
		job->walk = (struct ctl_walk){ .each = each, .failed = failed };
		ctl_walk(&job->walk, path);
	} else {
		int error = ctl_ask(path, attr.which ? ZTMPFS_IOC_SET_ATTR : ZTMPFS_IOC_GET_ATTR,
				    &attr);

		done(job, path, error, &attr);
	}
}

/* 1: @text is no setting, but the first path. */
static int parse_setting(const char *text, struct ztmpfs_file_attr *attr)
{
	int error;

	if (strncmp(text, "cluster=", 8) == 0) {
		error = ctl_parse_cluster(text + 8, &attr->cluster_size);
		attr->which |= ZTMPFS_ATTR_CLUSTER;
	} else if (strncmp(text, "compress=", 9) == 0) {
		attr->level = ZCOMP_LEVEL_DEFAULT;
		error = codecname_parse(text + 9, attr->compress, sizeof(attr->compress),
					&attr->level);
		attr->which |= ZTMPFS_ATTR_COMPRESS;
	} else {
		return 1;
	}
	if (error)
		fprintf(stderr,
			"ztmpfsctl: %s: allowed: cluster=4k to 128k, a power of two; "
			"compress=ALG[:LEVEL], none or default\n",
			text);
	return error;
}

static int run(int argc, char *argv[])
{
	struct job job = { .attr.version = ZTMPFS_STAT_VERSION };
	int first, rest;

	for (bool again = true; ctl_switch(&ctl_attr, argc, argv, again) == 'R'; again = false)
		job.all = true;
	first = optind;
	for (; first < argc && (rest = parse_setting(argv[first], &job.attr)) <= 0; first++)
		if (rest < 0)
			return CTL_EXIT_USAGE;
	if (job.attr.which && first == argc)
		return ctl_usage(&ctl_attr);
	for (int i = first; i < argc || i == first; i++)
		do_path(&job, i < argc ? argv[i] : ".");
	return ctl_end(job.failed);
}

static const struct ctl_switch switches[] = {
	{ .letter = 'R',
	  .brief = true,
	  .name = "recursive",
	  .help = "files and folders below, too; full files keep clusters" },
	{ 0 },
};

const struct ctl_command ctl_attr = {
	.name = "attr",
	.operands = "[cluster=SIZE] [compress=ALG] [PATH...]",
	.help = "Print or change how files and folders are to be compressed.",
	.switches = switches,
	.words = "cluster= compress=",
	.takes = CTL_PATHS,
	.run = run,
};
