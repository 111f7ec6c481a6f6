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

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	      struct fuse_file_info *fi, unsigned flags, const void *in_buf, size_t in_bufsz,
	      size_t out_bufsz)
{
	(void)ino;
	(void)arg;
	(void)fi;
	(void)flags;
	(void)in_buf;
	(void)in_bufsz;
	switch (cmd) {
	case ZTMPFS_IOC_STAT:
		ioctl_stat(req, out_bufsz);
		break;
	default:
		reply_error(req, -ENOTTY);
		break;
	}
}
