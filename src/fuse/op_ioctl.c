// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_ioctl.c - the control interface (ztmpfs/control.h).
 *
 * On the data path: no. Locks: none here. Every other command is none of ours: ENOTTY.
 */
#include "ztmpfs/control.h"

#include <errno.h>

#include "fuse/ops.h"
#include "fuse/reply.h"

static void ioctl_stat(fuse_req_t req, size_t out_bufsz)
{
	struct ztmpfs_stat stat;

	if (out_bufsz < sizeof(stat)) {
		reply_error(req, -EINVAL);
		return;
	}
	super_get_stat(req_super(req), &stat);
	(void)fuse_reply_ioctl(req, 0, &stat, sizeof(stat));
}

/* What works on the whole mount is for root and for the owner of the root directory. */
static bool may_manage(fuse_req_t req)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	return uid == 0 || uid == super_owner(req_super(req));
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

static void ioctl_file_stat(fuse_req_t req, fuse_ino_t ino, size_t out_bufsz)
{
	struct ztmpfs_file_stat stat;
	int error = -EINVAL;

	if (out_bufsz >= sizeof(stat))
		error = fs_file_stat(req_super(req), ino, &stat);
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_ioctl(req, 0, &stat, sizeof(stat));
}

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	      struct fuse_file_info *fi, unsigned flags, const void *in_buf, size_t in_bufsz,
	      size_t out_bufsz)
{
	(void)arg;
	(void)fi;
	(void)flags;
	(void)in_buf;
	(void)in_bufsz;
	switch (cmd) {
	case ZTMPFS_IOC_STAT:
		ioctl_stat(req, out_bufsz);
		break;
	case ZTMPFS_IOC_COMPACT:
	case ZTMPFS_IOC_RECOMPRESS:
		ioctl_manage(req, cmd, out_bufsz);
		break;
	case ZTMPFS_IOC_FILE_STAT:
		ioctl_file_stat(req, ino, out_bufsz);
		break;
	default:
		reply_error(req, -ENOTTY);
		break;
	}
}
