// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * remount.c - what mount(2) does to a mount that is there already.
 *
 * The kernel passes no options of a FUSE filesystem on when it is mounted again, but changes its
 * flags; limits are changed by a request to the daemon. Its headers and libc's both have what is needed here and cannot be included together, so
 * the calls are made by number.
 *
 * Locks: none; no other thread exists, or it is of no concern.
 */
#include "daemon/remount.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/sizes.h"
#include "ztmpfs/control.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
/* Of statvfs(3), unknown to older headers. */
#define ST_NOSYMFOLLOW_BIT 0x2000ul

/* Flags by the names of options, and whether a set bit means off. */
static const struct {
	unsigned long bit;
	bool off;
} flags[MOUNT_NR_FLAGS] = {
	[MOUNT_RO] = { MS_RDONLY, false },
	[MOUNT_SUID] = { MS_NOSUID, true },
	[MOUNT_DEV] = { MS_NODEV, true },
	[MOUNT_EXEC] = { MS_NOEXEC, true },
	[MOUNT_SYNC] = { MS_SYNCHRONOUS, false },
	[MOUNT_DIRSYNC] = { MS_DIRSYNC, false },
	[MOUNT_ATIME] = { MS_NOATIME, true },
	[MOUNT_DIRATIME] = { MS_NODIRATIME, true },
	[MOUNT_SYMFOLLOW] = { MS_NOSYMFOLLOW, true },
};

/* The mount's counters, which only a ztmpfs has. */
static int get_stat(const char *path, struct ztmpfs_stat *out_stat, struct options_error *error)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int res = fd < 0 ? -errno : 0;

	if (!res && ioctl(fd, ZTMPFS_IOC_STAT, out_stat) != 0)
		res = -errno;
	if (fd >= 0)
		close(fd);
	if (res)
		ERR_PRINTF(error, "%s: cannot be mounted again: %s", path,
			   res == -ENOTTY ? "it is no ztmpfs" : strerror(-res));
	return res;
}

/* The first of the limits asked for that is below what is used. */
static void too_small(const struct options *options, const struct ztmpfs_set *set,
		      const struct ztmpfs_stat *st, struct options_error *error)
{
	if (set->which & ZTMPFS_SET_SIZE && set->size && set->size < st->orig_data_size)
		ERR_PRINTF(error, "%s: option size=: %" PRIu64 " bytes are used",
			   options->mountpoint, st->orig_data_size);
	else if (set->which & ZTMPFS_SET_INODES && set->nr_inodes &&
		 set->nr_inodes < st->inodes_used)
		ERR_PRINTF(error, "%s: option nr_inodes=: %" PRIu64 " are used",
			   options->mountpoint, st->inodes_used);
	else
		ERR_PRINTF(error, "%s: option %s=: %" PRIu64 " bytes of memory are used",
			   options->mountpoint, set->which & ZTMPFS_SET_MEM ? "mem_limit" : "size",
			   st->mem_counted);
}

/* Those that are asked for and differ; as ztmpfsctl set. */
static int set_limits(const struct options *options, const struct ztmpfs_stat *st,
		      struct options_error *error)
{
	const struct super_params *super = &options->super;
	struct ztmpfs_set set = { .version = ZTMPFS_STAT_VERSION,
				  .struct_size = sizeof(set),
				  .size = super->size,
				  .nr_inodes = super->nr_inodes,
				  .mem_limit = super->mem_limit };
	int fd, res = 0;

	if (options->size_said && div_round_up_u64(super->size, ZT_PAGE_SIZE) !=
					  div_round_up_u64(st->size_limit, ZT_PAGE_SIZE))
		set.which |= ZTMPFS_SET_SIZE;
	if (options->nr_inodes_said && super->nr_inodes != st->inodes_limit)
		set.which |= ZTMPFS_SET_INODES;
	if (options->mem_limit_said && super->mem_limit != st->mem_limit)
		set.which |= ZTMPFS_SET_MEM;
	if (!set.which)
		return 0;
	fd = open(options->mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		res = -errno;
	/* What the kernel has not written yet counts; its errors are for those who have written. */
	if (!res && set.which & (ZTMPFS_SET_SIZE | ZTMPFS_SET_MEM))
		(void)syncfs(fd);
	if (!res && ioctl(fd, ZTMPFS_IOC_SET, &set) != 0)
		res = -errno;
	if (fd >= 0)
		close(fd);
	if (res == -EBUSY)
		too_small(options, &set, st, error);
	else if (res)
		ERR_PRINTF(error, "%s: its limits cannot be changed: %s", options->mountpoint,
			   res == -ENOTTY ? "its daemon is older" : strerror(-res));
	return res;
}

/* Those that the mount has now, as far as statvfs(3) tells. */
static int present_flags(const char *path, unsigned long *out_flags)
{
	static const struct {
		unsigned long st, ms;
	} bits[] = {
		{ ST_RDONLY, MS_RDONLY },
		{ ST_NOSUID, MS_NOSUID },
		{ ST_NODEV, MS_NODEV },
		{ ST_NOEXEC, MS_NOEXEC },
		{ ST_SYNCHRONOUS, MS_SYNCHRONOUS },
		{ ST_NOATIME, MS_NOATIME },
		{ ST_NODIRATIME, MS_NODIRATIME },
		{ ST_NOSYMFOLLOW_BIT, MS_NOSYMFOLLOW },
	};
	struct statvfs st;

	if (statvfs(path, &st) != 0)
		return -errno;
	*out_flags = 0;
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		*out_flags |= st.f_flag & bits[i].st ? bits[i].ms : 0;
	return 0;
}

int remount_run(const struct options *options, struct options_error *out_error)
{
	const char *path = options->mountpoint;
	unsigned long wanted = 0;
	struct ztmpfs_stat st;
	int error;

	error = get_stat(path, &st, out_error);
	if (!error && st.image_bytes && options->mount_flags[MOUNT_RO] == 0) {
		ERR_PRINTF(out_error,
			   "%s: option rw: what it holds stays in an image (unmount it, and mount the "
			   "image without ro)",
			   path);
		return -EROFS;
	}
	if (!error)
		error = set_limits(options, &st, out_error);
	if (error)
		return error;
	if (!options->helper)
		error = present_flags(path, &wanted);
	for (size_t i = 0; i < MOUNT_NR_FLAGS; i++) {
		if (options->mount_flags[i] < 0)
			continue;
		if ((options->mount_flags[i] == 0) == flags[i].off)
			wanted |= flags[i].bit;
		else
			wanted &= ~flags[i].bit;
	}
	if (!error &&
	    syscall(SYS_mount, options->fsname, path, "fuse", MS_REMOUNT | wanted, NULL) != 0)
		error = -errno;
	if (error)
		ERR_PRINTF(out_error, "%s: cannot be mounted again: %s", path, strerror(-error));
	return error;
}

static int set_attr(const struct options *options, uint64_t bit)
{
	struct mount_attr attr = { .attr_set = bit };

	return (int)syscall(SYS_mount_setattr, AT_FDCWD, options->mountpoint, 0, &attr,
			    sizeof(attr));
}

int remount_finish(const struct options *options, struct options_error *out_error)
{
	/* The daemon heeds it anyway; with this /proc/mounts shows it. */
	if (options->mount_flags[MOUNT_DIRATIME] == 0)
		(void)set_attr(options, MOUNT_ATTR_NODIRATIME);
	if (options->mount_flags[MOUNT_SYMFOLLOW] != 0 ||
	    set_attr(options, MOUNT_ATTR_NOSYMFOLLOW) == 0)
		return 0;
	ERR_PRINTF(out_error, "%s: option nosymfollow: the kernel refuses it: %s",
		   options->mountpoint, strerror(errno));
	return -EIO;
}
