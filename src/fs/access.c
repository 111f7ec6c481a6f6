// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * access.c - whether somebody may do something with an inode. See access.h.
 *
 * Locks: none here.
 */
#include "fs/access.h"

#include "fs/xattr_i.h"

bool asker_in_group(const struct fs_asker *asker, gid_t gid)
{
	if (asker->gid == gid)
		return true;
	for (unsigned i = 0; i < asker->nr_groups; i++)
		if (asker->groups[i] == gid)
			return true;
	return false;
}

bool inode_allows(struct super *sb, const struct inode_rec *rec, const struct fs_asker *asker,
		  unsigned want)
{
	const mode_t mode = rec_load(&rec->mode);
	struct xattr_view acl;

	if (asker->privileged)
		return true;
	if (asker->uid == rec_load(&rec->uid))
		return (mode >> 6 & want) == want;
	if (rec_load(&rec->flags) & INODE_HAS_ACL && xattr_find(sb, rec, XATTR_ACL_ACCESS, &acl))
		return acl_allows(acl.value, acl.size, rec, asker, want);
	if (asker_in_group(asker, rec_load(&rec->gid)))
		return (mode >> 3 & want) == want;
	return (mode & want) == want;
}
