// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_ioctl.c - IOCTL: the flags of chattr(1); all else is for op_control.c.
 *
 * The kernel sends these for the calls of chattr and lsattr, after it has checked the caller (from
 * 5.13 on; see ztfuse.raw_chattr). To set flags it first asks for them in the form of FSGETXATTR.
 *
 * On the data path: no. Locks: none here.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>

#include "fs/fileattr.h"
#include "fuse/ops.h"
#include "fuse/reply.h"

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

static int flags_of_fsx(fuse_req_t req, fuse_ino_t ino, const struct control_bytes *in,
			uint32_t *out_flags)
{
	struct fsxattr fsx;
	int error;

	if (in->in_size < sizeof(fsx))
		return -EINVAL;
	memcpy(&fsx, in->in, sizeof(fsx));
	error = fs_get_flags(req_super(req), ino, out_flags);
	if (error)
		return error;
	/* These have no number here, and stay. */
	*out_flags &= FS_COMPR_FL | FS_NOCOMP_FL;
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

static void ioctl_set_flags(fuse_req_t req, fuse_ino_t ino, bool extended,
			    const struct control_bytes *in)
{
	const struct fs_cred cred = req_cred(req);
	uint32_t flags;
	int error = 0;

	if (extended)
		error = flags_of_fsx(req, ino, in, &flags);
	else if (in->in_size < sizeof(flags))
		error = -EINVAL;
	else
		memcpy(&flags, in->in, sizeof(flags));
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

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	      struct fuse_file_info *fi, unsigned flags, const void *in_buf, size_t in_bufsz,
	      size_t out_bufsz)
{
	const struct control_bytes in = { in_buf, in_bufsz, out_bufsz };

	(void)arg;
	(void)fi;
	(void)flags;
	switch (cmd) {
	case FS_IOC_GETFLAGS:
	case FS_IOC_FSGETXATTR:
		ioctl_get_flags(req, ino, cmd == FS_IOC_FSGETXATTR, out_bufsz);
		break;
	case FS_IOC_SETFLAGS:
	case FS_IOC_FSSETXATTR:
		ioctl_set_flags(req, ino, cmd == FS_IOC_FSSETXATTR, &in);
		break;
	default:
		control_ioctl(req, ino, cmd, &in);
		break;
	}
}
