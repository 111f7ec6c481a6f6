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

static int print_one(const char *path)
{
	struct ztmpfs_file_attr attr = { 0 };
	int error = ctl_ask(path, ZTMPFS_IOC_GET_ATTR, &attr);

	if (error)
		return complain(path, error);
	printf("cluster=%" PRIu64 "k compress=%.*s", attr.cluster_size / 1024,
	       (int)sizeof(attr.compress), attr.compress);
	if (strcmp(attr.compress, "default") != 0 && strcmp(attr.compress, "none") != 0)
		printf(":%" PRId32, attr.level);
	printf(" %s\n", path);
	return 0;
}

/* 1: @text is no setting, but the first path. */
static int parse_setting(const char *text, struct ztmpfs_file_attr *attr)
{
	int error;

	if (strncmp(text, "cluster=", 8) == 0) {
		error = ctl_parse_cluster(text + 8, &attr->cluster_size);
		attr->which |= ZTMPFS_ATTR_CLUSTER;
	} else if (strncmp(text, "compress=", 9) == 0) {
		error = ctl_parse_codec(text + 9, attr->compress, sizeof(attr->compress),
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
	struct ztmpfs_file_attr attr = { .version = ZTMPFS_STAT_VERSION };
	int first, status = 0, rest;

	(void)ctl_switch(&ctl_attr, argc, argv, true);
	first = optind;
	for (; first < argc && (rest = parse_setting(argv[first], &attr)) <= 0; first++)
		if (rest < 0)
			return CTL_EXIT_USAGE;
	if (attr.which && first == argc)
		return ctl_usage(&ctl_attr);
	for (int i = first; i < argc || i == first; i++) {
		const char *path = i < argc ? argv[i] : ".";
		int failed = 0;

		if (attr.which) {
			int error = ctl_ask(path, ZTMPFS_IOC_SET_ATTR, &attr);

			failed = error ? complain_set(path, error, &attr) : 0;
		} else {
			failed = print_one(path);
		}
		status = failed ? failed : status;
	}
	if (fflush(stdout) != 0) {
		fprintf(stderr, "ztmpfsctl: output: %s\n", strerror(errno));
		return CTL_EXIT_FAILED;
	}
	return status;
}

const struct ctl_command ctl_attr = {
	.name = "attr",
	.operands = "[cluster=SIZE] [compress=ALG[:LEVEL]] [PATH...]",
	.help = "Print or change how files and folders are to be compressed.",
	.words = "cluster= compress=",
	.takes = CTL_PATHS,
	.run = run,
};
