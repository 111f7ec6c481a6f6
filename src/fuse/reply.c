// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reply.c - from 0 or -errno to exactly one reply.
 *
 * A reply fails when its request was interrupted or the connection has gone. No caller is left to
 * tell, so most results are dropped. But a reference that the reply was to give is taken back.
 */
#include "fuse/reply.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "fs/fileattr.h"
#include "fuse/channel/proto.h"
#include "fuse/request.h"

unsigned req_groups(fuse_req_t req, gid_t out_groups[REQ_GROUPS_MAX])
{
	const int nr = fuse_req_getgroups(req, REQ_GROUPS_MAX, out_groups);

	return nr > 0 ? (unsigned)(nr < REQ_GROUPS_MAX ? nr : REQ_GROUPS_MAX) : 0;
}

bool req_in_group(fuse_req_t req, gid_t gid)
{
	gid_t groups[REQ_GROUPS_MAX];
	unsigned nr;

	if (fuse_req_ctx(req)->gid == gid)
		return true;
	nr = req_groups(req, groups);
	for (unsigned i = 0; i < nr; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

/* Only on kernels that have not looked, and for what takes rights: reading groups takes a while. */
struct fs_cred req_maker(fuse_req_t req, fuse_ino_t parent, mode_t mode)
{
	struct fs_cred cred = req_cred(req);
	struct stat dir;

	cred.checks_sgid = req_front(req)->raw_sgid;
	cred.also_in = cred.gid;
	if (cred.checks_sgid && (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
	    fs_getattr(req_super(req), parent, &dir) == 0 && req_in_group(req, dir.st_gid))
		cred.also_in = dir.st_gid;
	return cred;
}

void reply_error(fuse_req_t req, int error)
{
	if (error == -ENOSPC && retry_defer(req))
		return;
	(void)fuse_reply_err(req, -error);
}

void entry_param(const struct ztfuse *front, const struct fs_entry *entry,
		 struct fuse_entry_param *out_param)
{
	memset(out_param, 0, sizeof(*out_param));
	out_param->ino = entry->ino;
	out_param->generation = entry->generation;
	out_param->attr = entry->attr;
	out_param->attr_timeout = attr_lifetime(front, entry->attr.st_mode, entry->immutable);
	out_param->entry_timeout = ZTFUSE_FOREVER;
}

void reply_entry(fuse_req_t req, int error, const struct fs_entry *entry)
{
	struct super *sb = req_super(req);
	struct fuse_entry_param param;

	if (error) {
		reply_error(req, error);
		return;
	}
	entry_param(req_front(req), entry, &param);
	if (fuse_reply_entry(req, &param) != 0)
		fs_forget(sb, entry->ino, 1);
}

void reply_lookup(fuse_req_t req, int error, const struct fs_entry *entry)
{
	struct fuse_entry_param absent;

	if (error != -ENOENT) {
		reply_entry(req, error, entry);
		return;
	}
	memset(&absent, 0, sizeof(absent));
	absent.entry_timeout = ZTFUSE_FOREVER;
	(void)fuse_reply_entry(req, &absent);
}

void reply_create(fuse_req_t req, int error, const struct fs_entry *entry,
		  const struct fuse_file_info *fi)
{
	struct super *sb = req_super(req);
	struct fuse_entry_param param;

	if (error) {
		reply_error(req, error);
		return;
	}
	entry_param(req_front(req), entry, &param);
	if (fuse_reply_create(req, &param, fi) != 0)
		fs_forget(sb, entry->ino, 1);
}

void reply_attr(fuse_req_t req, int error, const struct stat *attr)
{
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_attr(req, attr,
				      attr_lifetime(req_front(req), attr->st_mode,
						    fs_is_immutable(req_super(req), attr->st_ino)));
}

static struct proto_sx_time sx_time(struct timespec ts)
{
	return (struct proto_sx_time){ .tv_sec = ts.tv_sec, .tv_nsec = (uint32_t)ts.tv_nsec };
}

void reply_statx(fuse_req_t req, int error, const struct stat *attr, const struct timespec *btime)
{
	struct proto_statx_out out = { .attr_valid = 0 };
	struct proto_statx *sx = &out.stat;

	if (error) {
		reply_error(req, error);
		return;
	}
	out.attr_valid = (uint64_t)attr_lifetime(req_front(req), attr->st_mode,
						 fs_is_immutable(req_super(req), attr->st_ino));
	sx->mask = STATX_BASIC_STATS | STATX_BTIME;
	sx->blksize = (uint32_t)attr->st_blksize;
	sx->nlink = (uint32_t)attr->st_nlink;
	sx->uid = attr->st_uid;
	sx->gid = attr->st_gid;
	sx->mode = (uint16_t)attr->st_mode;
	sx->ino = attr->st_ino;
	sx->size = (uint64_t)attr->st_size;
	sx->blocks = (uint64_t)attr->st_blocks;
	sx->atime = sx_time(attr->st_atim);
	sx->btime = sx_time(*btime);
	sx->ctime = sx_time(attr->st_ctim);
	sx->mtime = sx_time(attr->st_mtim);
	sx->rdev_major = major(attr->st_rdev);
	sx->rdev_minor = minor(attr->st_rdev);
	(void)fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

void reply_write(fuse_req_t req, int error, size_t done)
{
	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_write(req, done);
}

void notify_listing(fuse_req_t req, fuse_ino_t ino)
{
	ztfuse_req_may_wait(req); /* for the directory's pages */
	(void)fuse_lowlevel_notify_inval_inode(req_front(req)->se, ino, 0, 0);
}

void notify_attr(fuse_req_t req, fuse_ino_t ino)
{
	(void)fuse_lowlevel_notify_inval_inode(req_front(req)->se, ino, -1, 0);
}
