// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_attr.c - requests about attributes and about the filesystem as a whole.
 *
 * On the data path: no. Locks: none here.
 */
#include <assert.h>

#include "fuse/ops.h"
#include "fuse/proto.h"
#include "fuse/reply.h"

/* The request's bits are handed down as they are. */
static_assert(FUSE_SET_ATTR_MODE == FS_SET_MODE && FUSE_SET_ATTR_UID == FS_SET_UID &&
		      FUSE_SET_ATTR_GID == FS_SET_GID && FUSE_SET_ATTR_SIZE == FS_SET_SIZE &&
		      FUSE_SET_ATTR_ATIME == FS_SET_ATIME && FUSE_SET_ATTR_MTIME == FS_SET_MTIME &&
		      FUSE_SET_ATTR_ATIME_NOW == FS_SET_ATIME_NOW &&
		      FUSE_SET_ATTR_MTIME_NOW == FS_SET_MTIME_NOW &&
		      FUSE_SET_ATTR_CTIME == FS_SET_CTIME &&
		      FATTR_KILL_SUIDGID == FS_SET_KILL_SETID,
	      "FS_SET_* are FUSE's numbers");

#define SET_ALL                                                                                    \
	(FS_SET_MODE | FS_SET_UID | FS_SET_GID | FS_SET_SIZE | FS_SET_ATIME | FS_SET_MTIME |       \
	 FS_SET_ATIME_NOW | FS_SET_MTIME_NOW | FS_SET_CTIME)

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct timespec btime;
	struct stat attr;
	int error;

	(void)fi;
	error = fs_getattr(req_super(req), ino, &attr);
	if (!ztfuse_req_is_statx(req)) {
		reply_attr(req, error, &attr);
		return;
	}
	if (!error)
		error = fs_getbtime(req_super(req), ino, &btime);
	reply_statx(req, error, &attr, &btime);
}

/*
 * What changes nothing (but ctime) was more, before the kernel left it to us to take set-ID bits
 * away: chown(2) to nobody, or an operation that takes them and has no place to say so.
 */
static bool kills_setid(fuse_req_t req, unsigned which)
{
	return req_front(req)->kills_setid &&
	       (ztfuse_req_kill_suidgid(req) || (which & ~FS_SET_CTIME) == 0);
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	const struct fs_cred cred = req_cred(req);
	unsigned which = (unsigned)to_set & SET_ALL;
	struct stat result;
	int error;

	/* The type is not to be set, and there are no other bits. */
	attr->st_mode &= 07777;
	if (kills_setid(req, which))
		which |= FS_SET_KILL_SETID;
	if (fi != NULL)
		which |= FS_SET_BY_HANDLE;
	error = fs_setattr(req_super(req), &cred, ino, attr, which, &result);
	reply_attr(req, error, &result);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	(void)ino;
	super_statfs(req_super(req), &st);
	(void)fuse_reply_statfs(req, &st);
}
