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

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int cmd, void *arg,
	      struct fuse_file_info *fi, unsigned flags, const void *in_buf, size_t in_bufsz,
	      size_t out_bufsz)
{
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
		ioctl_set_flags(req, ino, cmd == FS_IOC_FSSETXATTR, in_buf, in_bufsz);
		break;
	default:
		control_ioctl(req, ino, cmd,
			      &(struct control_bytes){ in_buf, in_bufsz, out_bufsz });
		break;
	}
}
