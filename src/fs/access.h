/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * access.h - whether somebody may do something with an inode, by its mode bits and its ACL.
 *
 * For what the kernel cannot check, since it does not see which inodes a request is about. The rules
 * are acl(5)'s, and those of the kernel's generic_permission().
 */
#ifndef ZT_FS_ACCESS_H
#define ZT_FS_ACCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "fs/inode_i.h"

#define ACCESS_READ  4u
#define ACCESS_WRITE 2u
#define ACCESS_EXEC  1u /* of a directory: search it */

/** asker_in_group() - whether @gid is one of the asker's groups */
bool asker_in_group(const struct fs_asker *asker, gid_t gid);

/**
 * inode_allows() - whether @asker may do all of @want (ACCESS_...)
 * The inode's lock is held, shared at least.
 */
bool inode_allows(struct super *sb, const struct inode_rec *rec, const struct fs_asker *asker,
		  unsigned want) ZT_MUST_CHECK;

/** acl_allows() - what an ACL says of somebody who is not the owner. @value: has passed acl_check() */
bool acl_allows(const void *value, size_t size, const struct inode_rec *rec,
		const struct fs_asker *asker, unsigned want) ZT_MUST_CHECK;

#endif
