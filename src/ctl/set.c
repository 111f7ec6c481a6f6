// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * set.c - ztmpfsctl set: limits and ways of storing of a mount, while it is in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "util/codecname.h"
#include "util/sizes.h"
#include "ztmpfs/zcomp.h"

static int refuse(const char *setting, const char *allowed)
{
	fprintf(stderr, "ztmpfsctl: %s: allowed: %s\n", setting, allowed);
	return -EINVAL;
}

static uint64_t ram_bytes(void)
{
	const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

/* @whole: what 100% means; 0: it means nothing. */
static int parse_number(const char *setting, const char *text, uint64_t whole, uint64_t *out)
{
	if (size_parse(text, whole, out) == 0 && *out <= INT64_MAX)
		return 0;
	return refuse(setting,
		      whole ? "a size, with suffix k, m, g, t, p or e or as a % of RAM; 0: "
			      "no limit"
			    : "a number, with suffix k, m, g, t, p or e; 0: no limit");
}

/* ALG[:LEVEL], none or default. */
static int parse_compress(const char *setting, const char *text, struct ztmpfs_set *set)
{
	set->level = ZCOMP_LEVEL_DEFAULT;
	if (codecname_parse(text, set->compress, sizeof(set->compress), &set->level) == 0)
		return 0;
	return refuse(setting, "ALG[:LEVEL], none or default");
}

/* off, on, and how long something must lie. */
static int parse_recompress(const char *setting, const char *text, struct ztmpfs_set *set)
{
	static const char allowed[] =
		"off, on, @SECONDS, on@SECONDS; another algorithm needs a new "
		"mount";
	uint64_t idle;

	set->which |= ZTMPFS_SET_RECOMPRESS;
	set->recompress = strcmp(text, "off") != 0;
	if (!set->recompress)
		return 0;
	if (strncmp(text, "on", 2) == 0)
		text += 2;
	if (*text == '\0')
		return 0;
	if (*text != '@' || size_parse(text + 1, 0, &idle) != 0 || idle > UINT32_MAX)
		return refuse(setting, allowed);
	set->which |= ZTMPFS_SET_IDLE;
	set->idle = (uint32_t)idle;
	return 0;
}

static int parse_dedup(const char *setting, const char *text, struct ztmpfs_set *set)
{
	set->dedup = strcmp(text, "on") == 0;
	return set->dedup || strcmp(text, "off") == 0 ? 0 : refuse(setting, "on, off");
}

static int parse_setting(const char *setting, struct ztmpfs_set *set)
{
	const size_t name = strcspn(setting, "=");
	const char *text = setting + name + (setting[name] == '=');

#define IS(word) (setting[name] == '=' && name == strlen(word) && strncmp(setting, word, name) == 0)
	if (IS("size")) {
		set->which |= ZTMPFS_SET_SIZE;
		return parse_number(setting, text, ram_bytes(), &set->size);
	}
	if (IS("nr_inodes")) {
		set->which |= ZTMPFS_SET_INODES;
		return parse_number(setting, text, 0, &set->nr_inodes);
	}
	if (IS("mem_limit")) {
		set->which |= ZTMPFS_SET_MEM;
		return parse_number(setting, text, ram_bytes(), &set->mem_limit);
	}
	if (IS("compress")) {
		set->which |= ZTMPFS_SET_COMPRESS;
		return parse_compress(setting, text, set);
	}
	if (IS("recompress"))
		return parse_recompress(setting, text, set);
	if (IS("dedup")) {
		set->which |= ZTMPFS_SET_DEDUP;
		return parse_dedup(setting, text, set);
	}
#undef IS
	return refuse(setting, "size=, nr_inodes=, mem_limit=, compress=, recompress=, dedup=");
}

/* What is used of the limits that were to be set, so that it is known what would do. */
static int busy(const char *path, const struct ztmpfs_set *set)
{
	struct ztmpfs_stat stat;

	if (ctl_get_stat(path, &stat) != 0)
		return ctl_fail(path, -EBUSY);
	fprintf(stderr, "ztmpfsctl: %s: below what is used:", path);
	if (set->which & ZTMPFS_SET_SIZE)
		fprintf(stderr, " size=%" PRIu64 " of %" PRIu64 " bytes used", set->size,
			stat.orig_data_size);
	if (set->which & ZTMPFS_SET_INODES)
		fprintf(stderr, " nr_inodes=%" PRIu64 " of %" PRIu64 " used", set->nr_inodes,
			stat.inodes_used);
	if (set->which & ZTMPFS_SET_MEM)
		fprintf(stderr,
			" mem_limit=%" PRIu64 " of %" PRIu64 " bytes counted, and 1 MiB more",
			set->mem_limit, stat.mem_counted);
	fputc('\n', stderr);
	return CTL_EXIT_FAILED;
}

static int complain(const char *path, int error, const struct ztmpfs_set *set)
{
	if (error == -EBUSY)
		return busy(path, set);
	if (error == -EOPNOTSUPP)
		fprintf(stderr, "ztmpfsctl: %s: mounted with %s=off\n", path,
			set->which & ZTMPFS_SET_DEDUP ? "dedup" : "recompress");
	else if (set->which & ZTMPFS_SET_COMPRESS && (error == -ENOENT || error == -EINVAL))
		fprintf(stderr, "ztmpfsctl: %s: compress=%s: no such %s is built in\n", path,
			set->compress, error == -ENOENT ? "algorithm" : "level");
	else if (set->which & ZTMPFS_SET_COMPRESS && error == -ENOSPC)
		fprintf(stderr,
			"ztmpfsctl: %s: compress=%s: the mount has as many different ones "
			"as it takes\n",
			path, set->compress);
	else
		return ctl_fail(path, error);
	return CTL_EXIT_FAILED;
}

/* What the kernel has not written yet counts, too. */
static void flush(const char *path)
{
	const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)syncfs(fd); /* its error is for those who have written */
	close(fd);
}

static int run(int argc, char *argv[])
{
	struct ztmpfs_set set = { .struct_size = sizeof(set) };
	const char *path;
	int error;

	(void)ctl_switch(&ctl_set, argc, argv, true);
	if (argc - optind < 2)
		return ctl_usage(&ctl_set);
	path = argv[optind];
	for (int i = optind + 1; i < argc; i++)
		if (parse_setting(argv[i], &set) != 0)
			return CTL_EXIT_USAGE;
	if (set.which & (ZTMPFS_SET_SIZE | ZTMPFS_SET_MEM))
		flush(path);
	error = ctl_ask(path, ZTMPFS_IOC_SET, &set);
	return error ? complain(path, error, &set) : 0;
}

const struct ctl_command ctl_set = {
	.name = "set",
	.operands = "MOUNTPOINT NAME=VALUE...",
	.help = "Change limits and ways of storing while the mount is in use.",
	.words = "size= nr_inodes= mem_limit= compress= recompress= dedup=",
	.takes = CTL_MOUNTS,
	.run = run,
};
