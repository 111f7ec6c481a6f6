// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_namei.c - requests about names.
 *
 * On the data path: no. Locks: none here; the fs layer takes its own.
 * The kernel has checked permissions (default_permissions) and applied the umask.
 */
#include "fs/namei.h"

#include "fuse/ops.h"
#include "fuse/reply.h"
#include "fuse/request.h"

/* A mode as a kernel sends it; others could not be stored. */
#define PERMISSIONS ((mode_t)07777)

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs_entry entry;
	int error = fs_lookup(req_super(req), parent, name, &entry);

	reply_lookup(req, error, &entry);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	if (ztfuse_forget_begins(req, 0))
		fs_forget(req_super(req), ino, nlookup);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct super *sb = req_super(req);

	for (size_t i = 0; i < count; i++)
		if (ztfuse_forget_begins(req, i))
			fs_forget(sb, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	const struct fs_cred cred = req_maker(req, parent, mode);
	struct fs_entry entry;
	int error = fs_mknod(req_super(req), &cred, parent, name, mode & (S_IFMT | PERMISSIONS),
			     rdev, &entry);

	reply_entry(req, error, &entry);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	const struct fs_cred cred = req_maker(req, parent, mode);
	struct fs_entry entry;
	int error = fs_mkdir(req_super(req), &cred, parent, name, mode & PERMISSIONS, &entry);

	reply_entry(req, error, &entry);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	const struct fs_cred cred = req_cred(req);
	struct fs_entry entry;
	int error = fs_symlink(req_super(req), &cred, parent, name, target, &entry);

	reply_entry(req, error, &entry);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	struct fs_entry entry;
	int error = fs_link(req_super(req), ino, new_parent, new_name, &entry);

	reply_entry(req, error, &entry);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_error(req, fs_unlink(req_super(req), parent, name));
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_error(req, fs_rmdir(req_super(req), parent, name));
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	       const char *new_name, unsigned int flags)
{
	const struct fs_cred cred = req_cred(req);
	struct fs_moved moved;
	int error =
		fs_rename(req_super(req), &cred, parent, name, new_parent, new_name, flags, &moved);

	/*
	 * The kernel keeps listings, with the number of ".." in them. While it waits for this reply
	 * it holds locks of the inodes, but none that dropping a directory's pages needs.
	 */
	for (size_t i = 0; !error && i < ARRAY_SIZE(moved.dirs); i++)
		if (moved.dirs[i] != 0)
			notify_listing(req, moved.dirs[i]);
	reply_error(req, error);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[FS_SYMLINK_MAX + 1];
	int error = fs_readlink(req_super(req), ino, target);

	if (error)
		reply_error(req, error);
	else
		(void)fuse_reply_readlink(req, target);
}
