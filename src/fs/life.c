// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * life.c - how inodes are made, forgotten and freed.
 *
 * Locks: the inode's, as each function says; a new one has none until it is in the set of live ones.
 */
#include <errno.h>

#include "fs/inode_i.h"
#include "fs/livefile.h"
#include "fs/work.h"
#include "fs/xattr_i.h"

static int inode_count(struct super *sb)
{
	int err = inode_take_space(sb, INODE_SPACE);

	if (!err)
		__atomic_add_fetch(&sb->nr_inodes, 1, __ATOMIC_RELAXED);
	return err;
}

static void inode_uncount(struct super *sb)
{
	__atomic_sub_fetch(&sb->nr_inodes, 1, __ATOMIC_RELAXED);
	inode_give_space(sb, INODE_SPACE);
}

static void inode_fill(struct super *sb, const struct inode_init *init, struct inode_rec *rec)
{
	bool is_dir = S_ISDIR(init->mode);

	inode_touch(rec, INODE_ATIME | INODE_MTIME | INODE_CTIME | INODE_BTIME);
	rec_store(&rec->mode, init->mode);
	rec_store(&rec->uid, init->uid);
	rec_store(&rec->gid, init->gid);
	rec_store(&rec->nlink, is_dir ? 2 : !init->no_name);
	if (is_dir)
		rec_store(&rec->parent, init->parent);
	else if (S_ISCHR(init->mode) || S_ISBLK(init->mode))
		rec_store(&rec->rdev, (uint64_t)init->rdev);
	rec->generation = __atomic_fetch_add(&sb->rec->generation, 1, __ATOMIC_RELAXED);
	rec->cluster_order = (uint8_t)init->cluster_order;
	if (init->dir != NULL)
		rec_store(&rec->flags, init->dir->flags & INODE_INHERITED);
	if (init->linkable)
		rec_store(&rec->flags, rec->flags | INODE_LINKABLE);
	blkmap_setting_get(sb->map, inode_setting(rec));
}

/* What a new inode needs besides its record. */
static int inode_furnish(struct super *sb, const struct inode_init *init, struct inode_rec *rec)
{
	if (init->target != NULL)
		return symlink_store(sb, rec, init->target, init->target_len);
	if (init->dir != NULL && !init->is_copy && init->dir->flags & INODE_HAS_DEFAULT_ACL)
		return acl_inherit(sb, init->dir, rec);
	rec_store(&rec->mode, rec->mode & ~(init->umask & 0777));
	return 0;
}

int inode_alloc(struct super *sb, const struct inode_init *init, ino_nr *out_ino,
		struct inode_rec **out_rec)
{
	struct inode_rec *rec;
	ref_t ref;
	int err = inode_count(sb);

	if (err)
		return err;
	err = zs_malloc(sb->inodes, sizeof(struct inode_rec), &ref);
	if (err)
		goto err_count;
	err = inodeset_reserve(&sb->live, sb->arena, ref);
	if (err)
		goto err_record;
	rec = zs_data(sb->arena, ref);
	inode_fill(sb, init, rec);
	err = inode_furnish(sb, init, rec);
	if (err)
		goto err_xattr;
	inodeset_add(&sb->live, ref);
	*out_ino = ref;
	*out_rec = rec;
	return 0;

err_xattr:
	xattr_free(sb, rec);
	blkmap_setting_put(sb->map, inode_setting(rec));
err_record:
	zs_free(sb->inodes, ref);
err_count:
	inode_uncount(sb);
	return err;
}

/* Return: whether it is left to super_reap(), and the record with it. */
static bool free_content(struct super *sb, ino_nr ino, struct inode_rec *rec)
{
	struct blkmap_file file = inode_file(rec);
	const bool large = rec_load(&rec->nr_pages) >= INODE_LARGE_PAGES;
	int err;

	promise_keep(sb, ino, rec, 0);
	blkmap_uncharge(sb->map, &file);
	if (large && reap_leave(sb, ino, true))
		return true;
	file.nr_pages = NULL;
	err = blkmap_truncate(sb->map, &file, 0);
	ZT_ASSERT(err == 0); /* with nothing left to shorten */
	(void)err;
	return false;
}

void inode_free_record(struct super *sb, ino_nr ino, struct inode_rec *rec)
{
	xattr_free(sb, rec);
	blkmap_setting_put(sb->map, inode_setting(rec));
	zs_free(sb->inodes, ino);
	inode_uncount(sb);
}

void inode_free(struct super *sb, ino_nr ino, struct inode_rec *rec)
{
	livesave_forget(sb, ino);
	inodeset_remove(&sb->live, ino);
	switch (rec->mode & S_IFMT) {
	case S_IFREG:
		if (free_content(sb, ino, rec))
			return;
		break;
	case S_IFLNK:
		symlink_free(sb, rec);
		break;
	}
	inode_free_record(sb, ino, rec);
}

void inode_put_unused(struct super *sb, ino_nr ino, struct inode_rec *rec)
{
	if (rec->nlink == 0 && rec_load(&rec->nlookup) == 0)
		inode_free(sb, ino, rec);
}

void fs_forget(struct super *sb, ino_nr ino, uint64_t nlookup)
{
	struct inode_rec *rec = inode_get(sb, ino);
	uint64_t have;

	if (rec == NULL || nlookup == 0)
		return;
	/*
	 * As long as references stay, nothing can be freed and no lock is needed. Release here and
	 * acquire below: all that was done to the record while these references were held comes
	 * before it is freed.
	 */
	have = rec_load(&rec->nlookup);
	while (have > nlookup)
		if (__atomic_compare_exchange_n(&rec->nlookup, &have, have - nlookup, false,
						__ATOMIC_RELEASE, __ATOMIC_RELAXED))
			return;

	inode_lock(sb, ino);
	rec = inode_get(sb, ino);
	if (rec != NULL) {
		have = rec_load(&rec->nlookup);
		while (!__atomic_compare_exchange_n(&rec->nlookup, &have,
						    have > nlookup ? have - nlookup : 0, false,
						    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			;
		inode_put_unused(sb, ino, rec);
	}
	inode_unlock(sb, ino);
	super_reap(sb);
}
