// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * inode.c - inode records: what they count, their attributes.
 *
 * A record is freed under its exclusive lock. So it stays for a thread that holds the lock and
 * found the record live.
 */
#include "fs/inode_i.h"

#include <errno.h>

#include "fs/changed.h"
#include "fs/dir.h"
#include "fs/work.h"

struct inode_rec *inode_get(struct super *sb, ino_nr ino)
{
	if (ino == FS_ROOT_INO)
		return zs_data(sb->arena, sb->rec->root);
	return inodeset_has(&sb->live, ino) ? zs_data(sb->arena, ino) : NULL;
}

int inode_take_space(struct super *sb, uint64_t bytes)
{
	uint64_t max = rec_load(&sb->max_inodes), used = rec_load(&sb->space);

	/* So many that none can be counted are as good as no limit. */
	if (max == 0 || max > UINT64_MAX / INODE_SPACE)
		max = UINT64_MAX / INODE_SPACE;
	do {
		if (used + bytes > max * INODE_SPACE)
			return -ENOSPC;
	} while (!__atomic_compare_exchange_n(&sb->space, &used, used + bytes, false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return 0;
}

void inode_give_space(struct super *sb, uint64_t bytes)
{
	__atomic_sub_fetch(&sb->space, bytes, __ATOMIC_RELAXED);
}

int inode_cut(struct super *sb, struct inode_rec *rec, uint64_t size, struct zt_round *round)
{
	const ino_nr ino = zs_ref_of(sb->arena, rec);
	struct inode_lock *lock = inode_lock_of(sb, ino);
	struct blkmap_file file = inode_file(rec);
	int err;

	file.round = round;
	lock->cuts++;
	content_changes(lock, ino, min_u64(size, rec->size), CHANGED_ALL);
	/* Whoever finds it half cut, maybe in another life, knows by these where to go on. */
	inode_set_flag(rec, INODE_TAIL_DIRTY);
	zt_stored("inode: its end is to be cut");
	if (size < rec->size)
		rec_store(&rec->size, size);
	err = blkmap_truncate(sb->map, &file, size);

	promise_keep(sb, ino, rec, rec_load(&rec->nr_pages));
	if (!err)
		rec_store(&rec->flags, rec->flags & (uint16_t)~INODE_TAIL_DIRTY);
	return err;
}

/* Attributes ------------------------------------------------------------- */

void inode_fill_attr(ino_nr ino, const struct inode_rec *rec, struct stat *out_attr)
{
	uint64_t count = rec_load(&rec->nr_pages);
	mode_t mode = rec_load(&rec->mode);

	*out_attr = (struct stat){
		.st_ino = ino,
		.st_mode = mode,
		.st_nlink = rec_load(&rec->nlink),
		.st_uid = rec_load(&rec->uid),
		.st_gid = rec_load(&rec->gid),
		.st_size = (off_t)inode_size(rec),
		.st_blksize = ZT_PAGE_SIZE,
		.st_atim = fs_time_decode(rec_load(&rec->times[FS_ATIME])),
		.st_mtim = fs_time_decode(rec_load(&rec->times[FS_MTIME])),
		.st_ctim = fs_time_decode(rec_load(&rec->times[FS_CTIME])),
	};
	if (S_ISREG(mode))
		out_attr->st_blocks = (blkcnt_t)(count << (ZT_PAGE_SHIFT - 9));
	else if (S_ISDIR(mode))
		out_attr->st_size = (off_t)((count + 2) * DIR_ENTRY_STAT_SIZE);
	else if (S_ISCHR(mode) || S_ISBLK(mode))
		out_attr->st_rdev = (dev_t)rec_load(&rec->rdev);
}

void inode_fill_entry(ino_nr ino, const struct inode_rec *rec, struct fs_entry *out)
{
	out->ino = ino;
	out->generation = rec->generation;
	out->immutable = inode_is_immutable(rec);
	inode_fill_attr(ino, rec, &out->attr);
}

bool fs_is_large(struct super *sb, ino_nr ino)
{
	const struct inode_rec *rec = inode_get(sb, ino);

	return rec && inode_is_reg(rec) && rec_load(&rec->nr_pages) >= INODE_LARGE_PAGES * 1024;
}

int fs_getattr(struct super *sb, ino_nr ino, struct stat *out_attr)
{
	const struct inode_rec *rec = inode_get(sb, ino);

	if (rec == NULL)
		return -ESTALE;
	inode_fill_attr(ino, rec, out_attr);
	return 0;
}

int fs_peek(struct super *sb, ino_nr ino, struct fs_peek *out)
{
	const struct inode_rec *rec;
	int err = -ESTALE;

	inode_lock_shared(sb, ino);
	rec = inode_get(sb, ino);
	if (rec != NULL) {
		*out = (struct fs_peek){ .generation = rec_load(&rec->generation),
					 .size = inode_size(rec) };
		err = 0;
	}
	inode_unlock(sb, ino);
	return err;
}

int fs_getbtime(struct super *sb, ino_nr ino, struct timespec *out_btime)
{
	const struct inode_rec *rec = inode_get(sb, ino);

	if (rec == NULL)
		return -ESTALE;
	*out_btime = fs_time_decode(rec_load(&rec->times[FS_BTIME]));
	return 0;
}

void inode_clear_setid(struct inode_rec *rec, const struct fs_cred *cred, bool privileged)
{
	uint32_t mode = rec_load(&rec->mode), bits = S_ISUID;

	/*
	 * Set-group-ID without group execution is no right; it stays for members of the group.
	 * Weakness: requests do not tell the caller's other groups.
	 */
	if ((mode & S_IXGRP) || (!privileged && cred->gid != rec_load(&rec->gid)))
		bits |= S_ISGID;
	if (!S_ISDIR(mode) && (mode & bits))
		__atomic_fetch_and(&rec->mode, ~bits, __ATOMIC_RELAXED);
}
