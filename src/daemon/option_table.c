// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * option_table.c - the mount options: one line each, and how each one's value is read.
 *
 * Locks: none. It prints nothing.
 */
#include "daemon/option_table.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/sizes.h"
#include "zcomp/module.h"
#include "zcomp/registry.h"

/* The table's refusals name these. */
#define MAX_THREADS_LIMIT 1000
/* A day, in seconds. */
#define RECOMPRESS_IDLE_MAX 86400
/* The kernel's, and its negative. */
#define OOM_SCORE_MAX 1000

#define PARSE_ARGS                                                                                 \
	struct options *options, const struct option_desc *desc, const struct options_env *env,    \
		const char *value, struct options_error *error

/* Most readers need only some of their arguments. */
#define UNUSED_ARGS ((void)options, (void)desc, (void)env, (void)value, (void)error)

int option_text_set(char **inout_text, const char *text)
{
	const size_t len = strlen(text);
	char *copy = zt_zalloc(len + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, len);
	zt_free(*inout_text);
	*inout_text = copy;
	return 0;
}

/* Decimal digits and nothing else, min..max. */
static int parse_number(const char *text, unsigned long min, unsigned long max, unsigned long *out)
{
	uint64_t value = 0;

	if (*text == '\0')
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return -EINVAL;
	}
	if (value < min)
		return -EINVAL;
	*out = (unsigned long)value;
	return 0;
}

static int parse_size(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->size_said = true;
	return size_parse(value, env->ram, &options->super.size) ? -EINVAL : 0;
}

static int parse_nr_blocks(PARSE_ARGS)
{
	uint64_t nr;

	UNUSED_ARGS;
	if (size_parse(value, 0, &nr) || nr > UINT64_MAX / ZT_PAGE_SIZE)
		return -EINVAL;
	options->size_said = true;
	options->super.size = nr * ZT_PAGE_SIZE;
	return 0;
}

static int parse_mem_limit(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->mem_limit_said = true;
	return size_parse(value, env->ram, &options->super.mem_limit) ? -EINVAL : 0;
}

static int parse_nr_inodes(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->nr_inodes_said = true;
	return size_parse(value, 0, &options->super.nr_inodes) ? -EINVAL : 0;
}

static int parse_mode(PARSE_ARGS)
{
	unsigned long mode = 0;

	UNUSED_ARGS;
	if (*value == '\0')
		return -EINVAL;
	for (; *value != '\0'; value++) {
		if (*value < '0' || *value > '7')
			return -EINVAL;
		mode = mode * 8 + (unsigned long)(*value - '0');
		if (mode > 07777)
			return -EINVAL;
	}
	options->super.mode = (mode_t)mode;
	return 0;
}

static int parse_uid(PARSE_ARGS)
{
	const struct passwd *pw;
	unsigned long number;

	UNUSED_ARGS;
	if (parse_number(value, 0, UINT32_MAX - 1, &number) == 0) {
		options->super.uid = (uid_t)number;
		return 0;
	}
	pw = getpwnam(value);
	if (!pw)
		return -EINVAL;
	options->super.uid = pw->pw_uid;
	return 0;
}

static int parse_gid(PARSE_ARGS)
{
	const struct group *gr;
	unsigned long number;

	UNUSED_ARGS;
	if (parse_number(value, 0, UINT32_MAX - 1, &number) == 0) {
		options->super.gid = (gid_t)number;
		return 0;
	}
	gr = getgrnam(value);
	if (!gr)
		return -EINVAL;
	options->super.gid = gr->gr_gid;
	return 0;
}

/* "compress=x: allowed are lz4[:1..12], ..." from what is built in; more before and behind. */
static int refuse_algorithm(const char *option, const char *before, const char *value,
			    const char *behind, struct options_error *error)
{
	const struct zcomp_ops *ops;
	char *text = error->text;
	const size_t room = sizeof(error->text);
	size_t used;

	used = (size_t)snprintf(text, room, "option %s=%.64s: allowed are%s", option, value,
				before);
	for (size_t i = 0; (ops = zcomp_ops_at(i)) != NULL && used < room; i++) {
		used += (size_t)snprintf(text + used, room - used, "%s %s", i ? "," : "",
					 ops->name);
		if (ops->level_min != ops->level_max && used < room)
			used += (size_t)snprintf(text + used, room - used, "[:%d..%d]",
						 (int)ops->level_min, (int)ops->level_max);
	}
	if (used < room)
		snprintf(text + used, room - used, "%s", behind);
	return -EINVAL;
}

static int refuse_compress(const char *value, struct options_error *error)
{
	char behind[PATH_MAX];

	snprintf(behind, sizeof(behind), ", or a module in %s or its absolute path",
		 zcomp_module_dir);
	return refuse_algorithm("compress", " none,", value, behind, error);
}

/* ALG[:LEVEL] */
static int parse_algorithm(const char *value, char name[OPTION_ALGORITHM_MAX], int32_t *out_level)
{
	const char *colon = strchr(value, ':');
	const size_t len = colon ? (size_t)(colon - value) : strlen(value);
	const struct zcomp_ops *ops;
	char *end;
	long number;

	if (len >= OPTION_ALGORITHM_MAX)
		return -EINVAL;
	memcpy(name, value, len);
	name[len] = '\0';
	ops = zcomp_find_ops(name);
	if (!ops)
		return -EINVAL;
	*out_level = ZCOMP_LEVEL_DEFAULT;
	if (!colon)
		return 0;
	errno = 0;
	number = strtol(colon + 1, &end, 10);
	if (errno || end == colon + 1 || *end != '\0' || number < ops->level_min ||
	    number > ops->level_max || ops->level_min == ops->level_max)
		return -EINVAL;
	*out_level = (int32_t)number;
	return 0;
}

/* A whole number that is some algorithm's level. */
static bool parse_level(const char *text, int32_t *out_level)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || *end != '\0' || number <= ZCOMP_LEVEL_DEFAULT ||
	    number > INT32_MAX)
		return false;
	*out_level = (int32_t)number;
	return true;
}

/* What a module says of its levels is asked when it is loaded, to be used. */
static bool module_exists(const char *name)
{
	char path[PATH_MAX];

	return zcomp_module_path(name, path, sizeof(path)) == 0 && access(path, F_OK) == 0;
}

static int parse_compress(PARSE_ARGS)
{
	const char *colon = strrchr(value, ':');
	int32_t level = ZCOMP_LEVEL_DEFAULT;
	const struct zcomp_ops *ops;
	char *name = NULL;
	int error_code;

	UNUSED_ARGS;
	options->compress_none = strcmp(value, "none") == 0 || strcmp(value, "off") == 0;
	error_code = option_text_set(&name, options->compress_none ? "null" : value);
	if (error_code)
		return error_code;
	/* A path may have colons of its own. */
	if (colon && parse_level(colon + 1, &level))
		name[colon - value] = '\0';
	ops = zcomp_find_ops(name);
	if (ops ? level != ZCOMP_LEVEL_DEFAULT &&
			    (level < ops->level_min || level > ops->level_max ||
			     ops->level_min == ops->level_max)
		: !module_exists(name)) {
		zt_free(name);
		return refuse_compress(value, error);
	}
	zt_free(options->compress_name);
	options->compress_name = name;
	options->super.level = level;
	return 0;
}

/* off, or ALG[:LEVEL][@IDLE] */
static int parse_recompress(PARSE_ARGS)
{
	unsigned long idle = options->super.recompress_idle;
	char copy[64], name[OPTION_ALGORITHM_MAX], *at;
	int32_t level;

	UNUSED_ARGS;
	options->recompress_asked = true;
	if (strcmp(value, "off") == 0) {
		options->super.recompress = NULL;
		return 0;
	}
	if (strlen(value) >= sizeof(copy))
		goto refuse;
	strcpy(copy, value);
	at = strchr(copy, '@');
	if (at) {
		*at = '\0';
		if (parse_number(at + 1, 1, RECOMPRESS_IDLE_MAX, &idle) != 0)
			goto refuse;
	}
	if (parse_algorithm(copy, name, &level) != 0)
		goto refuse;
	strcpy(options->recompress_name, name);
	options->super.recompress = options->recompress_name;
	options->super.recompress_level = level;
	options->super.recompress_idle = (uint32_t)idle;
	return 0;

refuse:
	return refuse_algorithm("recompress", " off,", value, "; with @1..86400 seconds", error);
}

static int parse_on_off(const char *value, bool *out_on)
{
	*out_on = strcmp(value, "on") == 0;
	return *out_on || strcmp(value, "off") == 0 ? 0 : -EINVAL;
}

static int parse_dicts(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->dicts_said = true;
	return parse_on_off(value, &options->super.dicts);
}

static int parse_dedup(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->dedup_said = true;
	return parse_on_off(value, &options->super.dedup);
}

static int parse_dict(PARSE_ARGS)
{
	UNUSED_ARGS;
	return *value == '\0' ? -EINVAL : option_text_set(&options->dict_path, value);
}

static int parse_cluster(PARSE_ARGS)
{
	uint64_t size;

	UNUSED_ARGS;
	if (size_parse(value, 0, &size) != 0)
		return -EINVAL;
	for (unsigned order = 0; order <= BLKMAP_MAX_ORDER; order++) {
		if (size == (uint64_t)ZT_PAGE_SIZE << order) {
			options->super.cluster_order = order;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_accel(PARSE_ARGS)
{
	UNUSED_ARGS;
	return option_parse_accel(value, &options->super, error);
}

static int parse_cache(PARSE_ARGS)
{
	UNUSED_ARGS;
	if (strcmp(value, "writeback") == 0)
		options->cache = ZTFUSE_CACHE_WRITEBACK;
	else if (strcmp(value, "through") == 0)
		options->cache = ZTFUSE_CACHE_THROUGH;
	else if (strcmp(value, "never") == 0)
		options->cache = ZTFUSE_CACHE_NEVER;
	else
		return -EINVAL;
	return 0;
}

static int parse_max_threads(PARSE_ARGS)
{
	unsigned long number;

	UNUSED_ARGS;
	if (parse_number(value, 1, MAX_THREADS_LIMIT, &number) != 0)
		return -EINVAL;
	options->max_threads = (unsigned)number;
	return 0;
}

static int parse_clone_fd(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->clone_fd = true;
	return 0;
}

static int parse_swap(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->swap = true;
	return 0;
}

static int parse_swap_reserve(PARSE_ARGS)
{
	uint64_t size;

	UNUSED_ARGS;
	if (size_parse(value, env->ram, &size) != 0 || size < MIB)
		return -EINVAL;
	options->super.swap_reserve = size;
	return 0;
}

static int parse_io_uring(PARSE_ARGS)
{
	UNUSED_ARGS;
	if (strcmp(value, "on") == 0)
		options->uring = CHANNEL_URING_ON;
	else if (strcmp(value, "auto") == 0)
		options->uring = CHANNEL_URING_AUTO;
	else if (strcmp(value, "off") == 0)
		options->uring = CHANNEL_URING_OFF;
	else
		return -EINVAL;
	return 0;
}

static int parse_cpu_latency(PARSE_ARGS)
{
	UNUSED_ARGS;
	if (strcmp(value, "auto") != 0 && strcmp(value, "off") != 0)
		return -EINVAL;
	options->cpu_latency = value[0] == 'a';
	return 0;
}

static int parse_oom(PARSE_ARGS)
{
	const bool negative = *value == '-';
	unsigned long number;

	UNUSED_ARGS;
	options->oom_said = true;
	options->oom = OPTION_OOM_KEEP;
	if (strcmp(value, "keep") == 0)
		return 0;
	if (parse_number(value + negative, 0, OOM_SCORE_MAX, &number) != 0)
		return -EINVAL;
	options->oom = negative ? -(int)number : (int)number;
	return 0;
}

static int parse_allow_other(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->allow_other = desc->flag_value;
	return 0;
}

/* Always on: the fs layer checks no permissions. */
static int parse_default_permissions(PARSE_ARGS)
{
	UNUSED_ARGS;
	return 0;
}

static int parse_acl(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->super.acl = desc->flag_value;
	return 0;
}

static int parse_xattr(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->xattr = desc->flag_value;
	return 0;
}

static int parse_fsname(PARSE_ARGS)
{
	UNUSED_ARGS;
	return *value == '\0' ? -EINVAL : option_text_set(&options->fsname, value);
}

static int parse_subtype(PARSE_ARGS)
{
	UNUSED_ARGS;
	return option_text_set(&options->subtype, value);
}

/* SELinux's words are the kernel's; where it is off mount(8) drops them, and so does this. */
static int parse_context(PARSE_ARGS)
{
	UNUSED_ARGS;
	if (*value == '\0')
		return -EINVAL;
	if (!env->selinux)
		return option_note(options, "option %s= has no effect: SELinux is not on",
				   desc->name);
	return option_text_set(&options->contexts[desc->flag], value);
}

static int parse_noswap(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->noswap = true;
	return 0;
}

static int parse_remount(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->remount = true;
	return 0;
}

static int parse_flag(PARSE_ARGS)
{
	UNUSED_ARGS;
	options->mount_flags[desc->flag] = desc->flag_value;
	return 0;
}

static const struct option_desc table[] = {
	{ "size", "SIZE",
	  "a number of bytes, with suffix k, m, g, t, p or e or as a % of RAM; 0: no limit", "50%",
	  "Most bytes of file content, counted uncompressed; 0: no limit", parse_size, 0, 0 },
	{ "nr_blocks", "N",
	  "a number, with suffix k, m, g, t, p or e, at most 4503599627370495; 0: no limit", NULL,
	  "The same as size=, in pages of 4096 bytes; whichever comes last holds", parse_nr_blocks,
	  0, 0 },
	{ "nr_inodes", "N", "a number, with suffix k, m, g, t, p or e; 0: no limit",
	  "one for every 8 KiB of RAM", "Most files, directories and other inodes; 0: no limit",
	  parse_nr_inodes, 0, 0 },
	{ "mem_limit", "SIZE",
	  "a number of bytes, with suffix k, m, g, t, p or e or as a % of RAM; 0: no limit",
	  "50% with allow_other, else 0",
	  "Most bytes of memory that the mount takes, all told; 0: no limit", parse_mem_limit, 0,
	  0 },
	{ "mode", "OCTAL", "octal permissions from 0 to 7777", "1777",
	  "Permissions of the root directory", parse_mode, 0, 0 },
	{ "uid", "USER", "a user's number or name", "the caller's", "Owner of the root directory",
	  parse_uid, 0, 0 },
	{ "gid", "GROUP", "a group's number or name", "the caller's", "Group of the root directory",
	  parse_gid, 0, 0 },
	{ "compress", "ALG[:LEVEL]", NULL, "lz4",
	  "Compression algorithm or module, with a level in its own scale", parse_compress, 0, 0 },
	{ "recompress", "off|ALG[:LEVEL][@SECONDS]", NULL, "zstd:8@30",
	  "Compress better, in the background, what was not used for so long", parse_recompress, 0,
	  0 },
	{ "dicts", "WHEN", "on, off", "on without allow_other",
	  "Have recompression make dictionaries out of what all files hold", parse_dicts, 0, 0 },
	{ "dedup", "WHEN", "on, off", "on without allow_other",
	  "Store once, in the background, what recompression finds to be alike", parse_dedup, 0,
	  0 },
	{ "dict", "FILE", "a file that is not empty", "none",
	  "Dictionary that the algorithm starts from, as ztmpfsctl train makes it", parse_dict, 0,
	  0 },
	{ "cluster", "SIZE", "4k, 8k, 16k, 32k, 64k, 128k", "64k",
	  "Bytes of a new file that are compressed together, a power of two", parse_cluster, 0, 0 },
	{ "accel", "WHEN[:NAME=N]...", NULL, "auto",
	  "Compress by engines with a queue: off, auto or on; with parameters, see ztmpfs(8)",
	  parse_accel, 0, 0 },
	{ "cache", "MODE", "writeback, through, never", "writeback",
	  "Whether the kernel keeps file content, and writes it later or at once", parse_cache, 0,
	  0 },
	{ "max_threads", "N", "a number from 1 to 1000", "two for each CPU, at least 4",
	  "Threads that serve requests", parse_max_threads, 0, 0 },
	{ "clone_fd", NULL, NULL, "off", "Give each thread its own channel to the kernel",
	  parse_clone_fd, 0, 0 },
	{ "swap", NULL, NULL, "off",
	  "Be fit to carry swap: everything allocated and locked in memory beforehand", parse_swap,
	  0, 0 },
	{ "swap_reserve", "SIZE",
	  "a number of bytes, with suffix k, m, g, t, p or e or as a % of RAM, at least 1m",
	  "a 16th of RAM, 8m to 64m", "With swap: free memory to hold ready for writes",
	  parse_swap_reserve, 0, 0 },
	{ "io_uring", "WHEN", "on, off, auto", "auto",
	  "Exchange requests with the kernel through rings, where it offers them", parse_io_uring,
	  0, 0 },
	{ "cpu_latency", "WHEN", "auto, off", "auto",
	  "Keep idle CPUs awake while small requests come one upon another, where root may",
	  parse_cpu_latency, 0, 0 },
	{ "oom", "SCORE", "a number from -1000 to 1000, keep", "-900, where allowed",
	  "How soon the OOM killer takes the daemon; keep: as the caller", parse_oom, 0, 0 },
	{ "allow_other", NULL, NULL, "for root only", "Let all users in, as permissions allow",
	  parse_allow_other, 0, 1 },
	{ "no_allow_other", NULL, NULL, NULL, "Let in the mounting user alone", parse_allow_other,
	  0, 0 },
	{ "default_permissions", NULL, NULL, "always", "Let the kernel check permissions",
	  parse_default_permissions, 0, 0 },
	{ "acl", NULL, NULL, "on", "Have POSIX access control lists", parse_acl, 0, 1 },
	{ "noacl", NULL, NULL, NULL, "Have none", parse_acl, 0, 0 },
	{ "xattr", NULL, NULL, "on", "Have extended attributes", parse_xattr, 0, 1 },
	{ "noxattr", NULL, NULL, NULL, "Have none, nor access control lists: saves a request",
	  parse_xattr, 0, 0 },
	{ "fsname", "NAME", "a name that is not empty", "SOURCE, or ztmpfs",
	  "First word of the mount's line in /proc/mounts", parse_fsname, 0, 0 },
	{ "subtype", "NAME", NULL, "ztmpfs", "Show the type as fuse.NAME; empty: as fuse",
	  parse_subtype, 0, 0 },
	{ "noswap", NULL, NULL, NULL, "Lock what files hold in memory, so that it is never swapped",
	  parse_noswap, 0, 0 },
	{ "context", "LABEL", "a label of SELinux that is not empty", NULL,
	  "SELinux: the label of all files, handed to the kernel", parse_context, CONTEXT_ALL, 0 },
	{ "fscontext", "LABEL", "a label of SELinux that is not empty", NULL,
	  "SELinux: the label of the filesystem, handed to the kernel", parse_context, CONTEXT_FS,
	  0 },
	{ "defcontext", "LABEL", "a label of SELinux that is not empty", NULL,
	  "SELinux: the label of files without one, handed to the kernel", parse_context,
	  CONTEXT_DEFAULT, 0 },
	{ "rootcontext", "LABEL", "a label of SELinux that is not empty", NULL,
	  "SELinux: the label of the root directory, handed to the kernel", parse_context,
	  CONTEXT_ROOT, 0 },
	{ "remount", NULL, NULL, NULL, "Change the flags below of a mount that is there",
	  parse_remount, 0, 0 },
	{ "ro", NULL, NULL, NULL, "Mount for reading only", parse_flag, MOUNT_RO, 1 },
	{ "rw", NULL, NULL, "on", "Mount for reading and writing", parse_flag, MOUNT_RO, 0 },
	{ "suid", NULL, NULL, "for root only", "Let set-user-ID and set-group-ID bits act",
	  parse_flag, MOUNT_SUID, 1 },
	{ "nosuid", NULL, NULL, "unless root", "Do not let them act", parse_flag, MOUNT_SUID, 0 },
	{ "dev", NULL, NULL, "for root only", "Let device nodes work", parse_flag, MOUNT_DEV, 1 },
	{ "nodev", NULL, NULL, "unless root", "Do not let them work", parse_flag, MOUNT_DEV, 0 },
	{ "exec", NULL, NULL, "on", "Let programs be executed", parse_flag, MOUNT_EXEC, 1 },
	{ "noexec", NULL, NULL, NULL, "Do not let them be executed", parse_flag, MOUNT_EXEC, 0 },
	{ "symfollow", NULL, NULL, "on", "Let symbolic links be followed", parse_flag,
	  MOUNT_SYMFOLLOW, 1 },
	{ "nosymfollow", NULL, NULL, NULL, "Do not let them be followed; for root only",
	  parse_flag, MOUNT_SYMFOLLOW, 0 },
	{ "sync", NULL, NULL, NULL, "Write everything at once", parse_flag, MOUNT_SYNC, 1 },
	{ "async", NULL, NULL, "on", "Write as cache= says", parse_flag, MOUNT_SYNC, 0 },
	{ "dirsync", NULL, NULL, NULL, "Change directories at once", parse_flag, MOUNT_DIRSYNC, 1 },
	{ "atime", NULL, NULL, "on", "Do not forbid access times", parse_flag, MOUNT_ATIME, 1 },
	{ "noatime", NULL, NULL, NULL, "Forbid changes of access times", parse_flag, MOUNT_ATIME,
	  0 },
	{ "diratime", NULL, NULL, "on", "Do not forbid access times of directories", parse_flag,
	  MOUNT_DIRATIME, 1 },
	{ "nodiratime", NULL, NULL, NULL, "Forbid changes of access times of directories",
	  parse_flag, MOUNT_DIRATIME, 0 },
};

const struct option_desc *option_at(size_t idx)
{
	return idx < ARRAY_SIZE(table) ? &table[idx] : NULL;
}

const struct option_desc *option_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}
