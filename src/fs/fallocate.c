// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fallocate.c - fallocate(2): ranges are allocated, punched and zeroed, in rounds.
 *
 * Locks: the inode exclusive, for a round at a time (work.h).
 */
#include <errno.h>
#include <linux/falloc.h>

#include "fs/changed.h"
#include "fs/file.h"
#include "fs/work.h"
#include "fs/xattr_i.h"

/* One fallocate(2). */
struct falloc {
	const struct fs_cred *cred;
	ino_nr ino;
	int mode;
	uint64_t off, len;
	uint64_t owed; /* pages that are allocated, and not promised yet */
	unsigned cuts; /* of the inode's lock, when the round before had ended */
	struct work work; /* its at: how far it has come */
};

/*
 * What earlier rounds allocated behind the end is gone when something has cut the file meanwhile: a
 * write that failed.
 */
static void fallocate_look_back(struct falloc *falloc)
{
	const unsigned cuts = inode_lock_of(falloc->work.sb, falloc->ino)->cuts;

	if (cuts != falloc->cuts)
		falloc->work.round.at = falloc->off;
	falloc->cuts = cuts;
}

/*
 * A range that is to be zero is punched as a whole, then allocated. What is punched already is found
 * empty in the next round; what is allocated is not looked at again.
 */
static int fallocate_locked(struct falloc *falloc, struct inode_rec *rec)
{
	struct super *sb = falloc->work.sb;
	struct blkmap_file file = inode_file(rec);
	const uint64_t end = falloc->off + falloc->len;
	const bool is_new = falloc->work.round.at == falloc->off;
	uint64_t before;
	int err = 0, promised;

	file.round = work_round(&falloc->work);
	if (falloc->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && is_new)
		err = blkmap_punch(sb->map, &file, falloc->off, falloc->len);
	promise_keep(sb, falloc->ino, rec, rec_load(&rec->nr_pages));
	if (err || falloc->mode & FALLOC_FL_PUNCH_HOLE)
		return err;
	if (is_new && !blkmap_can_hold(sb->map, &file, falloc->off, falloc->len))
		return -ENOSPC;
	/* The tree's shape may be another after each round. */
	err = file_prepare(sb, rec, falloc->off, falloc->len, file.round);
	fallocate_look_back(falloc);
	if (err)
		return err;
	before = rec_load(&rec->nr_pages);
	err = blkmap_allocate(sb->map, &file, falloc->work.round.at, end - falloc->work.round.at);
	falloc->owed += rec_load(&rec->nr_pages) - before;
	promised = promise_add(sb, falloc->ino, rec, falloc->owed);
	if (promised)
		err = promised;
	else
		falloc->owed = 0;
	if (!err && !(falloc->mode & FALLOC_FL_KEEP_SIZE))
		inode_raise_size(rec, end);
	return err;
}

static int fallocate_once(struct falloc *falloc)
{
	struct super *sb = falloc->work.sb;
	struct inode_rec *rec;
	int err;

	inode_lock(sb, falloc->ino);
	err = file_open(sb, falloc->ino, &rec);
	if (!err && (inode_is_immutable(rec) ||
		     (inode_is_sealed(rec) && falloc->mode & ~FALLOC_FL_KEEP_SIZE)))
		err = -EPERM;
	if (!err) {
		content_changes(inode_lock_of(sb, falloc->ino), falloc->ino, falloc->off, falloc->len);
		err = fallocate_locked(falloc, rec);
	}
	if (!err) {
		xattr_remove(sb, rec, XATTR_CAPABILITY);
		inode_touch(rec, INODE_MTIME | INODE_CTIME);
		if (cred_kills_setid(falloc->cred, false))
			inode_clear_setid(rec, falloc->cred, false);
	}
	inode_unlock(sb, falloc->ino);
	return err;
}

static int fallocate_rounds(struct falloc *falloc)
{
	int err;

	do {
		err = fallocate_once(falloc);
	} while (err == -EAGAIN && (err = work_pause(&falloc->work, falloc->ino)) == -EAGAIN);
	return err;
}

int fs_fallocate(struct super *sb, const struct fs_cred *cred, ino_nr ino, int mode, uint64_t off,
		 uint64_t len)
{
	struct falloc falloc = { .cred = cred, .ino = ino, .mode = mode, .off = off, .len = len };
	struct super_retry retry = super_retry_begin();
	int err;

	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (len == 0)
		return -EINVAL;
	if (off > ZT_MAX_FILE_SIZE || len > ZT_MAX_FILE_SIZE - off)
		return -EFBIG;
	falloc.work = work_begin(sb);
	falloc.work.round.at = off;
	do {
		err = fallocate_rounds(&falloc);
	} while (super_retry(sb, err, &retry));
	/*
	 * What a failed allocation got so far must not keep the filesystem full, unseen. What an
	 * interrupted one got stays, as on other filesystems.
	 */
	if (err == -ENOSPC || err == -ENOMEM)
		file_cut_tail(sb, ino);
	return err;
}
