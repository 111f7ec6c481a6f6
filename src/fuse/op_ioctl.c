// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_ioctl.c - the control interface (ztmpfs/control.h), and the flags of chattr(1).
 *
 * The kernel sends these for the calls of chattr and lsattr, after it has checked who asks (from
 * 5.13 on; see ztfuse.raw_chattr). To set flags it first asks for them in the form of FSGETXATTR.
 *
 * On the data path: no. Locks: none here. Every other command is none of ours: ENOTTY.
 */
#include "ztmpfs/control.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <unistd.h>

#include "fs/fileattr.h"
#include "fs/settings.h"
#include "fs/xattr.h"
#include "fuse/ops.h"
#include "fuse/reply.h"

/*
 * What works on the whole mount, or tells what all files together hold, is for root, for the owner
 * of the root directory, and for the user whose daemon this is.
 */
static bool may_manage(fuse_req_t req)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	return uid == 0 || uid == super_owner(req_super(req)) || uid == geteuid();
}

static void ioctl_stat(fuse_req_t req, size_t out_bufsz)
{
	struct ztmpfs_stat stat;

	if (!may_manage(req)) {
		reply_error(req, -EPERM);
		return;
	}
	if (out_bufsz < sizeof(stat)) {
		reply_error(req, -EINVAL);
		return;
	}
	super_get_stat(req_super(req), &stat);
	(void)fuse_reply_ioctl(req, 0, &stat, sizeof(stat));
}

/* The same flags have other numbers in struct fsxattr. */
static const struct {
	uint32_t flag, xflag;
} xflags[] = {
	{ FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE },
	{ FS_APPEND_FL, FS_XFLAG_APPEND },
	{ FS_NODUMP_FL, FS_XFLAG_NODUMP },
	{ FS_NOATIME_FL, FS_XFLAG_NOATIME },
};

static void ioctl_get_flags(fuse_req_t req, fuse_ino_t ino, bool extended, size_t out_bufsz)
{
	struct fsxattr fsx = { 0 };
	uint32_t flags;
	int error = fs_get_flags(req_super(req), ino, &flags);

	if (!error && out_bufsz < (extended ? sizeof(fsx) : sizeof(flags)))
		error = -EINVAL;
	if (error) {
		reply_error(req, error);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(xflags); i++)
		if (flags & xflags[i].flag)
			fsx.fsx_xflags |= xflags[i].xflag;
	(void)fuse_reply_ioctl(req, 0, extended ? (void *)&fsx : (void *)&flags,
			       extended ? sizeof(fsx) : sizeof(flags));
}

static int flags_of_fsx(const void *in_buf, size_t in_bufsz, uint32_t *out_flags)
{
	struct fsxattr fsx;

	if (in_bufsz < sizeof(fsx))
		return -EINVAL;
	memcpy(&fsx, in_buf, sizeof(fsx));
	*out_flags = 0;
	for (size_t i = 0; i < ARRAY_SIZE(xflags); i++) {
		if (fsx.fsx_xflags & xflags[i].xflag)
			*out_flags |= xflags[i].flag;
		fsx.fsx_xflags &= ~xflags[i].xflag;
	}
	return fsx.fsx_xflags || fsx.fsx_extsize || fsx.fsx_projid || fsx.fsx_cowextsize
		       ? -EOPNOTSUPP
		       : 0;
}

/* Whether a file that may have dirty pages with the kernel is about to refuse what changes it. */
static bool seals(fuse_req_t req, fuse_ino_t ino, uint32_t flags)
{
	const uint32_t sealed = FS_APPEND_FL | FS_IMMUTABLE_FL;
	uint32_t old;

	return flags & sealed && fs_get_flags(req_super(req), ino, &old) == 0 && !(old & sealed);
}

static void ioctl_set_flags(fuse_req_t req, fuse_ino_t ino, bool extended, const void *in_buf,
			    size_t in_bufsz)
{
	const struct fs_cred cred = req_cred(req);
	uint32_t flags;
	int error = 0;

	if (extended)
		error = flags_of_fsx(in_buf, in_bufsz, &flags);
	else if (in_bufsz < sizeof(flags))
		error = -EINVAL;
	else
		memcpy(&flags, in_buf, sizeof(flags));
	if (!error && seals(req, ino, flags)) {
		seal(req, ino, flags);
		return;
	}
	if (!error)
		error = fs_set_flags(req_super(req), req_front(req)->raw_chattr ? &cred : NULL, ino,
				     flags);
	if (error) {
		reply_error(req, error);
		return;
	}
	/* How long the kernel keeps the attributes depends on the flags. */
	notify_attr(req, ino);
	(void)fuse_reply_ioctl(req, 0, NULL, 0);
}

static void ioctl_manage(fuse_req_t req, unsigned int cmd, size_t out_bufsz)
{
	struct super *sb = req_super(req);
	uint64_t out = 0;
	int error = 0;

	if (!may_manage(req))
		error = -EPERM;
	else if (out_bufsz < sizeof(out))
		error = -EINVAL;
	else if (cmd == ZTMPFS_IOC_COMPACT)
		out = super_compact(sb);
	else
		error = super_recompress(sb, &out);
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_ioctl(req, 0, &out, sizeof(out));
}

/*
 * How well a file compresses tells of its content, so it is for those who may read that. The kernel
 * lets any descriptor ask, also one that is open for writing only, and does not say which it is.
 * When in doubt, no: where a named user or group may be meant, and where the group may do less than
 * all others.
 */
static int may_see_content(fuse_req_t req, fuse_ino_t ino)
{
	struct super *sb = req_super(req);
	struct stat attr;
	size_t len;
	int error = fs_getattr(sb, ino, &attr);

	if (error || !S_ISREG(attr.st_mode) || may_manage(req) ||
	    fuse_req_ctx(req)->uid == attr.st_uid)
		return error;
	if (!(attr.st_mode & S_IRGRP) ||
	    fs_getxattr(sb, ino, "system.posix_acl_access", NULL, 0, &len) == 0)
		return -EACCES;
	return attr.st_mode & S_IROTH || req_in_group(req, attr.st_gid) ? 0 : -EACCES;
}

static void ioctl_file_stat(fuse_req_t req, fuse_ino_t ino, size_t out_bufsz)
{
	struct ztmpfs_file_stat stat;
	int error = may_see_content(req, ino);

	if (!error && out_bufsz < sizeof(stat))
		error = -EINVAL;
	if (!error)
		error = fs_file_stat(req_super(req), ino, &stat);
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_ioctl(req, 0, &stat, sizeof(stat));
}

static void ioctl_pool_stat(fuse_req_t req, const void *in_buf, size_t in_bufsz, size_t out_bufsz)
{
	struct ztmpfs_pool_stat stat;
	int error = may_manage(req) ? -EINVAL : -EPERM;

	if (error != -EPERM && in_bufsz >= sizeof(stat) && out_bufsz >= sizeof(stat)) {
		memcpy(&stat, in_buf, sizeof(stat));
		if (stat.version == ZTMPFS_STAT_VERSION)
			error = super_get_pool_stat(req_super(req), &stat);
	}
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_ioctl(req, 0, &stat, sizeof(stat));
}

static void ioctl_get_attr(fuse_req_t req, fuse_ino_t ino, size_t out_bufsz)
{
	struct ztmpfs_file_attr attr;
	int error = -EINVAL;

	if (out_bufsz >= sizeof(attr))
		error = fs_get_settings(req_super(req), ino, &attr);
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_ioctl(req, 0, &attr, sizeof(attr));
}

static void ioctl_set_attr(fuse_req_t req, fuse_ino_t ino, const void *in_buf, size_t in_bufsz)
{
	struct fs_cred cred = { .uid = fuse_req_ctx(req)->uid };
	struct ztmpfs_file_attr attr;
	int error = -EINVAL;

	if (in_bufsz >= sizeof(attr)) {
		memcpy(&attr, in_buf, sizeof(attr));
		if (attr.version == ZTMPFS_STAT_VERSION)
			error = fs_set_settings(req_super(req), &cred, ino, &attr);
	}
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_ioctl(req, 0, NULL, 0);
}

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	      struct fuse_file_info *fi, unsigned flags, const void *in_buf, size_t in_bufsz,
	      size_t out_bufsz)
{
	(void)arg;
	(void)fi;
	(void)flags;
	switch (cmd) {
	case ZTMPFS_IOC_STAT:
		ioctl_stat(req, out_bufsz);
		break;
	case FS_IOC_GETFLAGS:
	case FS_IOC_FSGETXATTR:
		ioctl_get_flags(req, ino, cmd == FS_IOC_FSGETXATTR, out_bufsz);
		break;
	case FS_IOC_SETFLAGS:
	case FS_IOC_FSSETXATTR:
		ioctl_set_flags(req, ino, cmd == FS_IOC_FSSETXATTR, in_buf, in_bufsz);
		break;
	case ZTMPFS_IOC_COMPACT:
	case ZTMPFS_IOC_RECOMPRESS:
		ioctl_manage(req, cmd, out_bufsz);
		break;
	case ZTMPFS_IOC_FILE_STAT:
		ioctl_file_stat(req, ino, out_bufsz);
		break;
	case ZTMPFS_IOC_POOL_STAT:
		ioctl_pool_stat(req, in_buf, in_bufsz, out_bufsz);
		break;
	case ZTMPFS_IOC_GET_ATTR:
		ioctl_get_attr(req, ino, out_bufsz);
		break;
	case ZTMPFS_IOC_SET_ATTR:
		ioctl_set_attr(req, ino, in_buf, in_bufsz);
		break;
	default:
		reply_error(req, -ENOTTY);
		break;
	}
}
