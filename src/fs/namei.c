// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * namei.c - names: look up, create, link and remove. Renaming is in rename.c, listing in readdir.c.
 *
 * Locks: a lookup holds its directory shared: what a name leads to has a link and thus stays.
 * Everything else holds the directory, and the inode whose link count changes, exclusive. Every
 * step that can fail comes before the first change.
 */
#include "fs/namei.h"

#include <errno.h>
#include <string.h>

#include "fs/namei_i.h"
#include "fs/witness.h"

/* Places ----------------------------------------------------------------- */

int namei_open_dir(struct super *sb, ino_nr ino, struct dir *out_dir)
{
	int err = dir_open(sb, ino, out_dir);

	if (err)
		return err;
	if (out_dir->rec->nlink == 0)
		return -ENOENT;
	return dir_make_index(out_dir);
}

static int place_find(struct super *sb, struct namei_place *place)
{
	int err = namei_open_dir(sb, place->parent, &place->dir);

	if (err)
		return err;
	err = dir_find(&place->dir, &place->name, &place->entry);
	if (err == -ENOENT) {
		place->entry = (struct dir_entry){ 0 };
		place->rec = NULL;
		return 0;
	}
	if (!err)
		place->rec = inode_get(sb, place->entry.ino);
	return err;
}

/*
 * What a name leads to is known only under its directory's lock, but locks are taken in order. So
 * take the directories', look, and try for the rest; if somebody holds one of these, let go of all
 * and begin again with what was seen, in order.
 */
int namei_lock(struct super *sb, struct namei_place *places, unsigned nr,
	       struct inode_lock_set *set)
{
	ino_nr inos[INODE_LOCK_SET_MAX] = { 0 };
	bool all;

	for (unsigned i = 0; i < nr; i++)
		inos[i] = places[i].parent;
	do {
		inode_lock_set(sb, inos, 2 * nr, ZT_LOCK_DIR, set);
		all = true;
		for (unsigned i = 0; i < nr; i++) {
			int err = place_find(sb, &places[i]);

			if (err) {
				inode_unlock_set(set);
				return err;
			}
			inos[nr + i] = places[i].entry.ino;
			if (inos[nr + i] != 0 && !inode_lock_set_try(sb, inos[nr + i], set))
				all = false;
		}
		if (!all)
			inode_unlock_set(set);
	} while (!all);
	return 0;
}

/* Looking up ------------------------------------------------------------- */

/* "." of anything and ".." of a directory: how file handles are opened again. */
static int lookup_dots(struct super *sb, ino_nr ino, const char *name, struct fs_entry *out)
{
	struct inode_rec *rec = inode_get(sb, ino);

	if (rec == NULL)
		return -ESTALE;
	if (name[1] == '.') {
		if (!inode_is_dir(rec))
			return -ENOTDIR;
		if (rec->nlink == 0)
			return -ENOENT;
		/* It has a link as long as it has this child. */
		ino = rec_load(&rec->parent);
		rec = inode_get(sb, ino);
	}
	inode_add_lookup(rec);
	inode_fill_entry(ino, rec, out);
	return 0;
}

static int lookup_name(struct super *sb, ino_nr parent, const struct fs_name *name, bool make_index,
		       struct fs_entry *out)
{
	struct dir_entry entry;
	struct inode_rec *rec;
	struct dir dir;
	int err = dir_open(sb, parent, &dir);

	if (!err && make_index)
		err = dir_make_index(&dir);
	if (!err)
		err = dir_find(&dir, name, &entry);
	if (err)
		return err;
	rec = inode_get(sb, entry.ino);
	inode_add_lookup(rec);
	inode_fill_entry(entry.ino, rec, out);
	return 0;
}

int fs_lookup(struct super *sb, ino_nr parent, const char *text, struct fs_entry *out)
{
	struct fs_name name;
	int err = fs_name_init(sb, text, &name);
	bool dots = err == -EEXIST;

	if (err && !dots)
		return err;
	dir_lock_shared(sb, parent);
	err = dots ? lookup_dots(sb, parent, text, out)
		   : lookup_name(sb, parent, &name, false, out);
	inode_unlock(sb, parent);
	if (err == -EAGAIN) {
		dir_lock(sb, parent);
		err = lookup_name(sb, parent, &name, true, out);
		inode_unlock(sb, parent);
	}
	return err;
}

/* Creating --------------------------------------------------------------- */

struct inode_init namei_init(const struct fs_cred *cred, mode_t mode)
{
	return (struct inode_init){
		.mode = mode,
		.uid = cred->uid,
		.gid = cred->gid,
		.umask = cred->umask,
		.cred = cred,
	};
}

/*
 * A program that takes a group's rights is for members of that group to make. Kernels from 6.0 on
 * have looked already.
 */
static bool strips_sgid(const struct inode_init *init, gid_t gid)
{
	const mode_t rights = S_ISGID | S_IXGRP;
	const struct fs_cred *cred = init->cred;

	return cred->checks_sgid && !S_ISDIR(init->mode) && (init->mode & rights) == rights &&
	       cred->uid != 0 && gid != cred->gid && gid != cred->also_in;
}

void namei_inherit(struct inode_init *init, const struct dir *dir)
{
	if (dir->rec->mode & S_ISGID) {
		init->gid = dir->rec->gid;
		if (S_ISDIR(init->mode))
			init->mode |= S_ISGID;
		else if (strips_sgid(init, init->gid))
			init->mode &= ~(mode_t)S_ISGID;
	}
	init->cluster_order = dir->rec->cluster_order;
	init->parent = dir->ino;
	init->dir = dir->rec;
}

static int create_locked(struct super *sb, const struct inode_init *wanted, ino_nr parent,
			 const struct fs_name *name, struct fs_entry *out)
{
	struct inode_init init = *wanted;
	struct dir_entry entry;
	struct inode_rec *rec;
	struct dir dir;
	ino_nr ino;
	int err = namei_open_dir(sb, parent, &dir);

	if (err)
		return err;
	err = dir_find(&dir, name, &entry);
	if (err != -ENOENT)
		return err ? err : -EEXIST;
	if (inode_is_immutable(dir.rec))
		return -EPERM;
	if (S_ISDIR(init.mode) && dir.rec->nlink >= FS_LINK_MAX)
		return -EMLINK;
	namei_inherit(&init, &dir);
	err = inode_alloc(sb, &init, &ino, &rec);
	if (err)
		return err;
	witness_intend(ino);
	err = dir_add(&dir, name, ino, init.mode >> 12);
	if (err) {
		witness_intend(0);
		inode_free(sb, ino, rec);
		return err;
	}
	if (S_ISDIR(init.mode))
		rec_store(&dir.rec->nlink, dir.rec->nlink + 1);
	inode_touch_at(dir.rec, INODE_MTIME | INODE_CTIME, rec_load(&rec->times[FS_CTIME]));
	inode_add_lookup(rec);
	witness_done();
	inode_fill_entry(ino, rec, out);
	return 0;
}

static int create(struct super *sb, const struct inode_init *init, ino_nr parent, const char *text,
		  struct fs_entry *out)
{
	struct super_retry retry = super_retry_begin();
	struct fs_name name;
	int err = fs_name_init(sb, text, &name);

	if (err)
		return err;
	do {
		dir_lock(sb, parent);
		err = create_locked(sb, init, parent, &name, out);
		inode_unlock(sb, parent);
	} while (super_retry(sb, err, &retry));
	return err;
}

int fs_mknod(struct super *sb, const struct fs_cred *cred, ino_nr parent, const char *name,
	     mode_t mode, dev_t rdev, struct fs_entry *out)
{
	struct inode_init init = namei_init(cred, mode & (S_IFMT | 07777));

	switch (mode & S_IFMT) {
	case S_IFCHR:
	case S_IFBLK:
		init.rdev = rdev;
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return -EINVAL;
	}
	return create(sb, &init, parent, name, out);
}

static int tmpfile_locked(struct super *sb, const struct inode_init *wanted, ino_nr parent,
			  struct fs_entry *out)
{
	struct inode_init init = *wanted;
	struct inode_rec *rec;
	struct dir dir;
	ino_nr ino;
	int err = dir_open(sb, parent, &dir);

	if (!err && dir.rec->nlink == 0)
		err = -ENOENT;
	if (err)
		return err;
	namei_inherit(&init, &dir);
	err = inode_alloc(sb, &init, &ino, &rec);
	if (err)
		return err;
	witness_intend(ino);
	inode_add_lookup(rec);
	witness_done();
	inode_fill_entry(ino, rec, out);
	return 0;
}

int fs_tmpfile(struct super *sb, const struct fs_cred *cred, ino_nr parent, mode_t mode,
	       bool linkable, struct fs_entry *out)
{
	struct inode_init init = namei_init(cred, S_IFREG | (mode & 07777));
	struct super_retry retry = super_retry_begin();
	int err;

	init.no_name = true;
	init.linkable = linkable;
	do {
		dir_lock_shared(sb, parent);
		err = tmpfile_locked(sb, &init, parent, out);
		inode_unlock(sb, parent);
	} while (super_retry(sb, err, &retry));
	return err;
}

int fs_mkdir(struct super *sb, const struct fs_cred *cred, ino_nr parent, const char *name,
	     mode_t mode, struct fs_entry *out)
{
	const struct inode_init init = namei_init(cred, (mode & 07777) | S_IFDIR);

	return create(sb, &init, parent, name, out);
}

int fs_symlink(struct super *sb, const struct fs_cred *cred, ino_nr parent, const char *name,
	       const char *target, struct fs_entry *out)
{
	struct inode_init init = namei_init(cred, S_IFLNK | 0777);

	init.target = target;
	init.target_len = strnlen(target, FS_SYMLINK_MAX + 1);
	if (init.target_len == 0)
		return -ENOENT;
	if (init.target_len > FS_SYMLINK_MAX)
		return -ENAMETOOLONG;
	return create(sb, &init, parent, name, out);
}

/* Linking ---------------------------------------------------------------- */

static bool may_get_first_name(const struct inode_rec *rec)
{
	return inode_is_reg(rec) && (rec_load(&rec->flags) & INODE_LINKABLE);
}

static int link_locked(struct super *sb, ino_nr ino, ino_nr parent, const struct fs_name *name,
		       struct fs_entry *out)
{
	struct inode_rec *rec = inode_get(sb, ino);
	struct dir_entry entry;
	struct dir dir;
	int err;

	if (rec == NULL)
		return -ESTALE;
	if (inode_is_dir(rec) || inode_is_sealed(rec))
		return -EPERM;
	/* Unlinked for good: what has no name any more gets none again. */
	if (rec->nlink == 0 && !may_get_first_name(rec))
		return -ENOENT;
	if (rec->nlink >= FS_LINK_MAX)
		return -EMLINK;
	err = namei_open_dir(sb, parent, &dir);
	if (err)
		return err;
	err = dir_find(&dir, name, &entry);
	if (err != -ENOENT)
		return err ? err : -EEXIST;
	if (inode_is_immutable(dir.rec))
		return -EPERM;
	/* As in tmpfs each name but the first takes the space of an inode. */
	err = rec->nlink > 0 ? inode_take_space(sb, INODE_SPACE) : 0;
	if (err)
		return err;
	witness_intend(ino);
	err = dir_add(&dir, name, ino, rec->mode >> 12);
	if (err) {
		witness_intend(0);
		inode_give_space(sb, rec->nlink > 0 ? INODE_SPACE : 0);
		return err;
	}
	if (may_get_first_name(rec))
		rec_store(&rec->flags, rec->flags & (uint16_t)~INODE_LINKABLE);
	rec_store(&rec->nlink, rec->nlink + 1);
	inode_touch_at(dir.rec, INODE_MTIME | INODE_CTIME, inode_touch(rec, INODE_CTIME));
	inode_add_lookup(rec);
	witness_done();
	inode_fill_entry(ino, rec, out);
	return 0;
}

int fs_link(struct super *sb, ino_nr ino, ino_nr new_parent, const char *text, struct fs_entry *out)
{
	struct super_retry retry = super_retry_begin();
	ino_nr inos[] = { ino, new_parent };
	struct inode_lock_set set;
	struct fs_name name;
	int err = fs_name_init(sb, text, &name);

	if (err)
		return err;
	do {
		inode_lock_set(sb, inos, ARRAY_SIZE(inos), ZT_LOCK_DIR, &set);
		err = link_locked(sb, ino, new_parent, &name, out);
		inode_unlock_set(&set);
	} while (super_retry(sb, err, &retry));
	return err;
}

/* Removing --------------------------------------------------------------- */

void namei_drop_link(struct super *sb, ino_nr ino, struct inode_rec *rec, fs_time now)
{
	if (!inode_is_dir(rec) && rec->nlink > 1)
		inode_give_space(sb, INODE_SPACE);
	rec_store(&rec->nlink, inode_is_dir(rec) ? 0 : rec->nlink - 1);
	inode_touch_at(rec, INODE_CTIME, now);
	inode_put_unused(sb, ino, rec);
}

int namei_may_remove(const struct inode_rec *dir, const struct inode_rec *rec, bool want_dir)
{
	if (inode_is_sealed(dir) || inode_is_sealed(rec))
		return -EPERM;
	if (inode_is_dir(rec) != want_dir)
		return want_dir ? -ENOTDIR : -EISDIR;
	return want_dir && rec->nr_pages > 0 ? -ENOTEMPTY : 0;
}

static int remove_name(struct super *sb, ino_nr parent, const char *text, bool want_dir)
{
	struct namei_place place = { .parent = parent };
	struct inode_lock_set set;
	int err = fs_name_init(sb, text, &place.name);
	fs_time now;

	if (err == -EEXIST)
		return !want_dir ? -EISDIR : text[1] == '.' ? -ENOTEMPTY : -EINVAL;
	if (err)
		return err;
	err = namei_lock(sb, &place, 1, &set);
	if (err)
		return err;
	err = place.rec == NULL ? -ENOENT : namei_may_remove(place.dir.rec, place.rec, want_dir);
	if (!err) {
		witness_intend(place.entry.ino);
		dir_remove(&place.dir, &place.name, place.entry.pos);
		if (want_dir)
			rec_store(&place.dir.rec->nlink, place.dir.rec->nlink - 1);
		now = inode_touch(place.dir.rec, INODE_MTIME | INODE_CTIME);
		witness_done();
		namei_drop_link(sb, place.entry.ino, place.rec, now);
	}
	inode_unlock_set(&set);
	return err;
}

int fs_unlink(struct super *sb, ino_nr parent, const char *name)
{
	return remove_name(sb, parent, name, false);
}

int fs_rmdir(struct super *sb, ino_nr parent, const char *name)
{
	return remove_name(sb, parent, name, true);
}
