// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * readdir.c - listing a directory.
 *
 * A cookie is 0 for the beginning, 1 behind ".", 2 behind "..", else 3 plus the position (dir.h) of
 * the name behind which it stands. Positions stay entries' own, so a listing goes on where it
 * stopped, whatever has come and gone meanwhile.
 *
 * Names come from the highest position down. New ones take the lowest gap that is large enough, or
 * stand above all others. So a program that makes a name for each one that it is given meets only
 * those that fit into gaps, and comes to an end.
 *
 * Locks: the directory's, shared, also while the callback runs.
 */
#include <errno.h>

#include "fs/dir.h"
#include "fs/namei.h"

enum { COOKIE_DOT = 0, COOKIE_DOTDOT = 1, COOKIE_NAMES = 2, COOKIE_NAME = 3 };

struct listing {
	struct super *sb;
	bool plus;
	fs_dir_emit_fn emit;
	void *arg;
};

static bool emit_dots(const struct listing *list, const struct dir *dir, uint64_t cookie)
{
	static const char dots[] = "..";
	bool is_parent = cookie == COOKIE_DOTDOT;
	ino_nr ino = is_parent ? rec_load(&dir->rec->parent) : dir->ino;

	return list->emit(list->arg, &(struct fs_dirent){ .name = dots,
							  .name_len = is_parent ? 2 : 1,
							  .ino = ino,
							  .type = S_IFDIR,
							  .next_cookie = cookie + 1 });
}

static bool emit_name(void *arg, const struct dir_entry *found, const char *name, unsigned name_len)
{
	const struct listing *list = arg;
	struct fs_dirent entry = {
		.name = name,
		.name_len = name_len,
		.ino = found->ino,
		.type = (mode_t)found->type << 12,
		.next_cookie = COOKIE_NAME + found->pos,
	};
	struct inode_rec *rec;
	struct fs_entry attributes;

	if (!list->plus)
		return list->emit(list->arg, &entry);
	rec = inode_get(list->sb, found->ino);
	inode_fill_entry(found->ino, rec, &attributes);
	entry.attributes = &attributes;
	if (!list->emit(list->arg, &entry))
		return false;
	/* It has this name, and the kernel hears of it only after we return. */
	inode_add_lookup(rec);
	return true;
}

int fs_readdir(struct super *sb, ino_nr ino, uint64_t cookie, bool plus, fs_dir_emit_fn emit,
	       void *arg)
{
	struct listing list = { sb, plus, emit, arg };
	struct dir dir;
	int err;

	dir_lock_shared(sb, ino);
	err = dir_open(sb, ino, &dir);
	if (err)
		goto out;
	inode_touch_read(sb, dir.rec);
	for (; cookie < COOKIE_NAMES; cookie++)
		if (!emit_dots(&list, &dir, cookie))
			goto out;
	dir_walk(&dir, cookie == COOKIE_NAMES ? DIR_POS_END : cookie - COOKIE_NAME, emit_name,
		 &list);
out:
	inode_unlock(sb, ino);
	return err;
}
