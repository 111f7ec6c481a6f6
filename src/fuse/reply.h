/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reply.h - from 0 or -errno to exactly one reply.
 *
 * The only place that turns an error's sign around. References that a reply would have given to the
 * kernel are taken back when the reply does not arrive.
 */
#ifndef ZT_FUSE_REPLY_H
#define ZT_FUSE_REPLY_H

#include <unistd.h>

#include "fs/inode.h"
#include "fuse/fuse_ops.h"
#include "fuse/request.h"

/*
 * Life time of attributes, names and absent names in the kernel, in seconds: without end.
 * Everything that changes them comes through the kernel. 2^30 s are 34 years, and fit every type on
 * the way to jiffies.
 */
#define ZTFUSE_FOREVER 1073741824.0

/*
 * The kernel knows nothing of immutable files, and would take writes into its pages that can only
 * be refused later. But it asks for attributes that it does not keep before each write(2), then
 * whether there is a capability to take away, and takes it away: REMOVEXATTR can be refused in
 * time. So attributes of immutable files are never kept.
 */
static inline double attr_lifetime(const struct ztfuse *front, mode_t mode, bool immutable)
{
	return immutable || full_asks(&front->full, mode) ? 0.0 : ZTFUSE_FOREVER;
}

/** reply_error() - @error: 0 or -errno */
void reply_error(fuse_req_t req, int error);

/** reply_entry() - an object with one reference, or -errno; -ENOENT too is an error here */
void reply_entry(fuse_req_t req, int error, const struct fs_entry *entry);

/** reply_lookup() - as reply_entry(), but -ENOENT is an answer the kernel keeps */
void reply_lookup(fuse_req_t req, int error, const struct fs_entry *entry);

/** reply_create() - as reply_entry(), with an open file */
void reply_create(fuse_req_t req, int error, const struct fs_entry *entry,
		  const struct fuse_file_info *fi);

/** reply_statx() - what STATX wants: the attributes, and when the inode was made */
void reply_statx(fuse_req_t req, int error, const struct stat *attr, const struct timespec *btime);

void reply_attr(fuse_req_t req, int error, const struct stat *attr);

/** reply_write() - @done bytes were stored, or -errno */
void reply_write(fuse_req_t req, int error, size_t done);

/**
 * notify_listing() - the kernel drops its listing of a directory
 * notify_attr() - the kernel drops the attributes and ACLs of an inode
 * Before the reply to a request that changed them, so that nobody sees the old ones after it. Lost
 * when the kernel does not know the inode, and when it does not listen any more.
 */
void notify_listing(fuse_req_t req, fuse_ino_t ino);
void notify_attr(fuse_req_t req, fuse_ino_t ino);

/** entry_param() - libfuse's form of an entry */
void entry_param(const struct ztfuse *front, const struct fs_entry *entry,
		 struct fuse_entry_param *out_param);

static inline struct ztfuse *req_front(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct super *req_super(fuse_req_t req)
{
	return req_front(req)->sb;
}

/* The caller may do all that this process may: root, and the user whose daemon this is. */
static inline bool req_is_trusted(fuse_req_t req)
{
	const uid_t uid = fuse_req_ctx(req)->uid;

	return uid == 0 || uid == geteuid();
}

/*
 * Where it was agreed on, the kernel says with each WRITE and SETATTR what becomes of set-ID bits.
 * FALLOCATE has no place for that.
 */
static inline enum fs_setid req_setid(fuse_req_t req)
{
	return req_front(req)->kills_setid ? ztfuse_req_setid(req) : FS_SETID_BY_UID;
}

#define REQ_GROUPS_MAX 256

/**
 * req_groups() - the caller's other groups, as many as fit
 * Return: how many; 0, too, when the caller is in another pid namespace, where they cannot be read.
 */
unsigned req_groups(fuse_req_t req, gid_t out_groups[REQ_GROUPS_MAX]);

/** req_in_group() - whether the caller is in the group, as its own or one of its other ones */
bool req_in_group(fuse_req_t req, gid_t gid);

/** req_maker() - req_cred() of a caller that makes something with this mode in a directory */
struct fs_cred req_maker(fuse_req_t req, fuse_ino_t parent, mode_t mode);

static inline struct fs_cred req_cred(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct fs_cred){
		.uid = ctx->uid,
		.gid = ctx->gid,
		.umask = ctx->umask,
		.setid = req_setid(req),
	};
}

#endif
