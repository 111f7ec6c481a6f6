// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nameless.c - inodes without a name. See nameless.h.
 *
 * Locks: the inode's.
 */
#include "fs/nameless.h"

#include "fs/inode_i.h"
#include "fs/work.h"

/* With the lock held. */
static bool is_nameless(const struct inode_rec *rec)
{
	return rec != NULL && rec_load(&rec->nlink) == 0 && rec_load(&rec->nlookup) > 0;
}

bool fs_nameless_next(struct super *sb, ino_nr from, struct fs_nameless *out)
{
	bool found = false;

	for (ino_nr ino = from; !found && inodeset_next(&sb->live, ino, &ino); ino++) {
		const struct inode_rec *rec;

		inode_lock_shared(sb, ino);
		rec = inode_get(sb, ino);
		found = is_nameless(rec);
		if (found)
			*out = (struct fs_nameless){ ino, rec->generation, rec_load(&rec->nlookup) };
		inode_unlock(sb, ino);
	}
	return found;
}

bool fs_nameless_drop(struct super *sb, const struct fs_nameless *inode)
{
	uint64_t have = inode->nlookup;
	struct inode_rec *rec;
	bool drops;

	inode_lock(sb, inode->ino);
	rec = inode_get(sb, inode->ino);
	drops = is_nameless(rec) && rec->generation == inode->generation &&
		/* Others lower it without the lock. */
		__atomic_compare_exchange_n(&rec->nlookup, &have, 0, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED);
	if (drops)
		inode_put_unused(sb, inode->ino, rec);
	inode_unlock(sb, inode->ino);
	if (drops)
		super_reap(sb);
	return drops;
}
