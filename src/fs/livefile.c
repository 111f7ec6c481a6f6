// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * livefile.c - which file a snapshot of the mount is read by. See livefile.h.
 *
 * Locks: none; one atomic word, which is cleared before the inode can be another file's.
 */
#include "fs/livefile.h"

#include "arena/snapshot.h"
#include "blkmap/spilled.h"
#include "fs/super_i.h"

bool livesave_is_of(const struct super *sb, ino_nr ino)
{
	/* 0: there is none. A request may name any inode. */
	return ino != 0 &&
	       ino == atomic_load_explicit(&sb->livesave_ino, memory_order_acquire);
}

void livesave_forget(struct super *sb, ino_nr ino)
{
	if (likely(!livesave_is_of(sb, ino)))
		return;
	atomic_store(&sb->livesave_ino, 0);
	blkmap_keep_end(sb->map);
	arena_snapshot_give_up(sb->arena);
}

void livesave_end(struct super *sb)
{
	if (sb->map)
		blkmap_keep_end(sb->map);
	if (sb->arena)
		arena_snapshot_end(sb->arena);
}
