// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rename.c - rename: move, replace, exchange, leave a whiteout.
 *
 * Locks: super.rename_lock while a name goes from one directory to another, so that no directory
 * changes its parent but by us; then both directories and both inodes exclusive.
 */
#include <errno.h>
#include <linux/fs.h>

#include "fs/intent.h"
#include "fs/namei.h"
#include "fs/namei_i.h"
#include "fs/witness.h"

struct rename {
	struct super *sb;
	const struct fs_cred *cred;
	unsigned flags;
	struct namei_place from, to;
};

/*
 * Whether directory @above stands somewhere above @ino or is it. All these have links, so none of
 * them can go.
 */
static bool is_above(struct super *sb, ino_nr above, ino_nr ino)
{
	while (ino != above && ino != FS_ROOT_INO)
		ino = rec_load(&inode_get(sb, ino)->parent);
	return ino == above;
}

static bool place_is_dir(const struct namei_place *place)
{
	return place->rec != NULL && inode_is_dir(place->rec);
}

/* A directory must not come to stand below itself. */
static int rename_check_loop(const struct rename *rn)
{
	const struct namei_place *from = &rn->from, *to = &rn->to;

	if (from->parent == to->parent)
		return 0;
	if (place_is_dir(from) && is_above(rn->sb, from->entry.ino, to->parent))
		return -EINVAL;
	if (place_is_dir(to) && is_above(rn->sb, to->entry.ino, from->parent))
		return rn->flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return 0;
}

/* How many directories more each parent has afterwards: that many more links. */
static int rename_link_change(const struct rename *rn)
{
	if (rn->from.parent == rn->to.parent)
		return 0;
	if (rn->flags & RENAME_EXCHANGE)
		return place_is_dir(&rn->from) - place_is_dir(&rn->to);
	return place_is_dir(&rn->from);
}

/* chattr's flags: what takes a name away, and what makes one. */
static int rename_check_flags(const struct rename *rn)
{
	const struct inode_rec *dir = rn->to.dir.rec;

	if (inode_is_sealed(rn->from.dir.rec) || inode_is_sealed(rn->from.rec))
		return -EPERM;
	if (rn->to.rec == NULL)
		return inode_is_immutable(dir) ? -EPERM : 0;
	return inode_is_sealed(dir) || inode_is_sealed(rn->to.rec) ? -EPERM : 0;
}

static int rename_check(const struct rename *rn)
{
	int err;

	if (rn->from.rec == NULL)
		return -ENOENT;
	if (rn->to.rec == NULL && rn->flags & RENAME_EXCHANGE)
		return -ENOENT;
	if (rn->to.rec != NULL && rn->flags & RENAME_NOREPLACE)
		return -EEXIST;
	err = rename_check_loop(rn);
	if (!err && rn->to.rec != rn->from.rec)
		err = rename_check_flags(rn);
	if (err)
		return err;
	if (rn->to.rec != NULL && rn->to.rec != rn->from.rec && !(rn->flags & RENAME_EXCHANGE)) {
		err = namei_may_remove(rn->to.dir.rec, rn->to.rec, inode_is_dir(rn->from.rec));
		if (err)
			return err;
	}
	if ((rename_link_change(rn) > 0 && rn->to.dir.rec->nlink >= FS_LINK_MAX) ||
	    (rename_link_change(rn) < 0 && rn->from.dir.rec->nlink >= FS_LINK_MAX))
		return -EMLINK;
	return 0;
}

static void add_links(struct inode_rec *rec, int change)
{
	rec_store(&rec->nlink, rec->nlink + (uint32_t)change);
}

static void set_parent(const struct namei_place *place, ino_nr parent)
{
	if (inode_is_dir(place->rec))
		rec_store(&place->rec->parent, parent);
}

/* Return: the stamp that all of them have got. */
static fs_time rename_touch(const struct rename *rn)
{
	fs_time now = inode_touch(rn->from.dir.rec, INODE_MTIME | INODE_CTIME);

	inode_touch_at(rn->to.dir.rec, INODE_MTIME | INODE_CTIME, now);
	inode_touch_at(rn->from.rec, INODE_CTIME, now);
	return now;
}

/* Both names, or neither: @ino and @type are what the old name leads to afterwards, 0: nothing. */
static void rename_intend(const struct rename *rn, ino_nr ino, unsigned type)
	ZT_ACQUIRE(&rn->sb->intent_lock)
{
	const struct rename_intent intent = {
		.ino = rn->from.entry.ino,
		.to_parent = rn->to.parent,
		.to_pos = rn->to.rec != NULL ? rn->to.entry.pos : DIR_POS_END,
		.from_parent = rn->from.parent,
		.from_pos = rn->from.entry.pos,
		.then = ino != 0 ? ino | (uint64_t)type << INTENT_TYPE_SHIFT : 0,
	};

	intent_begin(rn->sb, &intent);
}

static void rename_exchange(const struct rename *rn)
{
	const struct namei_place *from = &rn->from, *to = &rn->to;
	int change = rename_link_change(rn);

	rename_intend(rn, to->entry.ino, to->entry.type);
	dir_replace(&to->dir, to->entry.pos, from->entry.ino, from->entry.type);
	dir_replace(&from->dir, from->entry.pos, to->entry.ino, to->entry.type);
	intent_end(rn->sb);
	set_parent(from, to->parent);
	set_parent(to, from->parent);
	add_links(to->dir.rec, change);
	add_links(from->dir.rec, -change);
	inode_touch_at(to->rec, INODE_CTIME, rename_touch(rn));
}

/* What an overlay leaves where a lower layer's name must not show. */
static int whiteout_alloc(const struct rename *rn, ino_nr *out_ino)
{
	struct inode_init init = namei_init(rn->cred, S_IFCHR);
	struct inode_rec *rec;

	namei_inherit(&init, &rn->from.dir);
	return inode_alloc(rn->sb, &init, out_ino, &rec);
}

/* The name goes from one place to the other. @whiteout: what takes its old place, or 0. */
static int rename_names(const struct rename *rn, ino_nr whiteout)
{
	const struct namei_place *from = &rn->from, *to = &rn->to;
	struct dir to_dir = to->dir;
	int err = 0;

	rename_intend(rn, whiteout, S_IFCHR >> 12);
	to_dir.announce = &rn->sb->rec->rename.to_pos;
	if (to->rec != NULL)
		dir_replace(&to->dir, to->entry.pos, from->entry.ino, from->entry.type);
	else
		err = dir_add(&to_dir, &to->name, from->entry.ino, from->entry.type);
	if (!err && whiteout != 0)
		dir_replace(&from->dir, from->entry.pos, whiteout, S_IFCHR >> 12);
	else if (!err)
		dir_remove(&from->dir, &from->name, from->entry.pos);
	intent_end(rn->sb);
	return err;
}

static int rename_move(const struct rename *rn)
{
	const struct namei_place *from = &rn->from, *to = &rn->to;
	ino_nr whiteout = 0;
	int change = rename_link_change(rn);
	fs_time now;
	int err = 0;

	if (rn->flags & RENAME_WHITEOUT)
		err = whiteout_alloc(rn, &whiteout);
	if (err)
		return err;
	err = rename_names(rn, whiteout);
	if (err)
		goto err_whiteout;
	set_parent(from, to->parent);
	add_links(to->dir.rec, change);
	add_links(from->dir.rec, -change);
	now = rename_touch(rn);
	if (to->rec != NULL) {
		/* A replaced directory was one of the new parent's already. */
		if (inode_is_dir(to->rec))
			add_links(to->dir.rec, -1);
		namei_drop_link(rn->sb, to->entry.ino, to->rec, now);
	}
	return 0;

err_whiteout:
	if (whiteout != 0)
		inode_free(rn->sb, whiteout, inode_get(rn->sb, whiteout));
	return err;
}

static int rename_flags_check(unsigned flags)
{
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if (flags & RENAME_EXCHANGE && flags & (RENAME_NOREPLACE | RENAME_WHITEOUT))
		return -EINVAL;
	return 0;
}

static ino_nr moved_dir(const struct rename *rn, const struct namei_place *place)
{
	return rn->from.parent != rn->to.parent && place_is_dir(place) ? place->entry.ino : 0;
}

static int rename_locked(const struct rename *rn, struct fs_moved *out_moved)
{
	struct fs_moved moved = { { 0, 0 } };
	int err = rename_check(rn);

	/* Two names of one inode: both stay, says POSIX. */
	if (err || rn->from.rec == rn->to.rec)
		goto out;
	witness_intend(rn->from.entry.ino);
	moved.dirs[0] = moved_dir(rn, &rn->from);
	if (rn->flags & RENAME_EXCHANGE) {
		moved.dirs[1] = moved_dir(rn, &rn->to);
		rename_exchange(rn);
	} else {
		err = rename_move(rn);
	}
	if (err)
		witness_intend(0);
	else
		witness_done();
out:
	if (!err)
		*out_moved = moved;
	return err;
}

/* With the names of both places. */
static int rename_once(struct rename *rn, struct namei_place places[2], struct fs_moved *out_moved)
	ZT_NO_LOCK_CHECK /* rename_lock is taken by moves alone */
{
	bool moves = places[0].parent != places[1].parent;
	struct super *sb = rn->sb;
	struct inode_lock_set set;
	int err;

	if (moves)
		mutex_lock_counted(&sb->rename_lock, ZT_LOCK_RENAME);
	err = namei_lock(sb, places, 2, &set);
	if (!err) {
		rn->from = places[0];
		rn->to = places[1];
		err = rename_locked(rn, out_moved);
		inode_unlock_set(&set);
	}
	if (moves)
		mutex_unlock(&sb->rename_lock);
	return err;
}

int fs_rename(struct super *sb, const struct fs_cred *cred, ino_nr parent, const char *name,
	      ino_nr new_parent, const char *new_name, unsigned flags, struct fs_moved *out_moved)
{
	struct rename rn = { .sb = sb, .cred = cred, .flags = flags };
	struct namei_place places[2] = { { .parent = parent }, { .parent = new_parent } };
	struct super_retry retry = super_retry_begin();
	int err = rename_flags_check(flags);

	if (!err)
		err = fs_name_init(sb, name, &places[0].name);
	if (!err)
		err = fs_name_init(sb, new_name, &places[1].name);
	if (err)
		return err == -EEXIST ? -EBUSY : err;
	do {
		err = rename_once(&rn, places, out_moved);
	} while (super_retry(sb, err, &retry));
	return err;
}
