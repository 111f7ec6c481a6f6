// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_attr.c - requests about attributes and about the filesystem as a whole.
 *
 * On the data path: no. Locks: none here.
 */
#include <assert.h>
#include <stdatomic.h>

#include "fuse/ops.h"
#include "fuse/channel/proto.h"
#include "fuse/refused.h"
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

	full_wait(req, ino, fi != NULL);
	error = fs_getattr(req_super(req), ino, &attr);
	if (!ztfuse_req_is_statx(req)) {
		if (!error && fi)
			full_attr(&req_front(req)->full, &attr);
		reply_attr(req, error, &attr);
		return;
	}
	if (!error)
		error = fs_getbtime(req_super(req), ino, &btime);
	reply_statx(req, error, &attr, &btime);
}

static _Atomic uint64_t *capability_gone(fuse_req_t req)
{
	struct ztfuse *front = req_front(req);

	return &front->capability_gone[(uint32_t)fuse_req_ctx(req)->pid %
				       ARRAY_SIZE(front->capability_gone)];
}

/* Not 0. Inode numbers are multiples of 8, but for the root's, which has no capability. */
static uint64_t caller_and_inode(fuse_req_t req, fuse_ino_t ino)
{
	return ino * UINT64_C(0x9e3779b97f4a7c15) + (uint32_t)fuse_req_ctx(req)->pid + 1;
}

void attr_capability_gone(fuse_req_t req, fuse_ino_t ino)
{
	atomic_store_explicit(capability_gone(req), caller_and_inode(req, ino),
			      memory_order_relaxed);
}

/*
 * A write by root to a file with a capability takes only that away. The kernel has it removed, and
 * then sends a SETATTR that changes nothing, as for the other writes below. A caller other than
 * root loses set-ID bits in any case. chown(2) brings ctime where the kernel keeps it.
 *
 * Weakness: without cache=writeback a chown(2) by root that changes neither owner nor group looks
 * the same for a file with a capability, and leaves set-ID bits. The owner is the same, so no harm
 * is done.
 */
static bool takes_capability_alone(fuse_req_t req, fuse_ino_t ino, unsigned which)
{
	uint64_t seen = caller_and_inode(req, ino);

	return which == 0 && fuse_req_ctx(req)->uid == 0 && !ztfuse_req_kill_suidgid(req) &&
	       atomic_compare_exchange_strong_explicit(capability_gone(req), &seen, 0,
						       memory_order_relaxed, memory_order_relaxed);
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
	if (kills_setid(req, which) && !takes_capability_alone(req, ino, which))
		which |= FS_SET_KILL_SETID;
	if (fi != NULL)
		which |= FS_SET_BY_HANDLE;
	if (which & FS_SET_SIZE && full_mends(req)) {
		error = full_mend(req, ino, &result);
		reply_attr(req, error, &result);
		return;
	}
	error = fs_setattr(req_super(req), &cred, ino, attr, which, &result);
	if (!error && which & FS_SET_SIZE && result.st_size == 0)
		full_forget(&req_front(req)->full, ino);
	if (error && which & FS_SET_SIZE)
		refused_reply(req, &(struct refused_range){ ino, (uint64_t)attr->st_size, 0 },
			      error, 0);
	else
		reply_attr(req, error, &result);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	(void)ino;
	super_statfs(req_super(req), &st);
	(void)fuse_reply_statfs(req, &st);
}
