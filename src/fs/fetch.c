// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fetch.c - what is out in the spill file, asked for by hand: to go there, and to come back.
 *
 * Locks: the inode's, shared, for one round at a time.
 */
#include <errno.h>

#include "blkmap/spilled.h"
#include "fs/file.h"
#include "fs/work.h"

int super_spill(struct super *sb, uint64_t *out_passes)
{
	if (!blkmap_spills(sb->map))
		return -EOPNOTSUPP;
	*out_passes = blkmap_spill_kick(sb->map);
	return 0;
}

static int fetch_once(struct work *work, ino_nr ino)
{
	struct super *sb = work->sb;
	struct blkmap_file file;
	struct inode_rec *rec;
	int err;

	inode_lock_shared(sb, ino);
	err = file_open(sb, ino, &rec);
	if (!err) {
		file = inode_file(rec);
		file.round = work_round(work);
		err = blkmap_fetch(sb->map, &file, work->round.at, &work->round.at);
	}
	inode_unlock(sb, ino);
	return err;
}

int fs_fetch(struct super *sb, ino_nr ino)
{
	struct super_retry retry = super_retry_begin();
	struct work work = work_begin(sb);
	int err;

	if (!blkmap_spills(sb->map))
		return -EOPNOTSUPP;
	do {
		do {
			err = fetch_once(&work, ino);
		} while (err == -EAGAIN && (err = work_pause(&work, ino)) == -EAGAIN);
	} while (super_retry(sb, err, &retry));
	return err;
}
