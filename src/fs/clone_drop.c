// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clone_drop.c - a copy that is not to be is taken down again. See clone_i.h.
 *
 * Nobody knows the copy. It takes no memory, since its directories have their indexes from being
 * filled.
 *
 * Locks: one inode at a time, since indexes and others' directories hang together.
 */
#include <string.h>

#include "fs/clone_i.h"
#include "fs/namei.h"
#include "fs/namei_i.h"
#include "util/alloc.h"

struct last_entry {
	ino_nr parent; /* of its directory */
	struct dir_entry entry;
	char name[FS_NAME_MAX + 1];
	bool found;
};

/* dir_visit_fn */
static bool take_one(void *arg, const struct dir_entry *entry, const char *name, unsigned name_len)
{
	struct last_entry *last = arg;

	last->found = true;
	last->entry = *entry;
	memcpy(last->name, name, name_len);
	last->name[name_len] = '\0';
	return false;
}

/* An entry of a directory; its index is there, or it is made anew. Return: 0, -ENOMEM. */
static int find_last(struct super *sb, ino_nr ino, struct last_entry *out)
{
	struct dir dir;
	int err;

	out->found = false;
	dir_lock(sb, ino);
	err = namei_open_dir(sb, ino, &dir);
	if (!err) {
		dir_walk(&dir, DIR_POS_END, take_one, out);
		out->parent = dir.rec->parent;
	}
	inode_unlock(sb, ino);
	return err;
}

static void remove_last(struct super *sb, ino_nr ino, const struct last_entry *last)
{
	struct fs_name name;
	struct dir dir;
	int err = fs_name_init(sb, last->name, &name);

	dir_lock(sb, ino);
	if (!err)
		err = namei_open_dir(sb, ino, &dir);
	ZT_ASSERT(err == 0); /* it was found a moment ago, and nobody else knows the directory */
	(void)err;
	dir_remove(&dir, &name, last->entry.pos);
	inode_unlock(sb, ino);
	inode_lock(sb, last->entry.ino);
	namei_drop_link(sb, last->entry.ino, inode_get(sb, last->entry.ino), fs_time_now());
	inode_unlock(sb, last->entry.ino);
}

/* From the leaves up. */
static void drop_entries(struct super *sb, ino_nr top)
{
	struct last_entry last;
	ino_nr ino = top;

	while (find_last(sb, ino, &last) == 0) {
		const struct inode_rec *rec = last.found ? inode_get(sb, last.entry.ino) : NULL;

		if (!rec && ino == top)
			return;
		if (!rec)
			ino = last.parent;
		else if (inode_is_dir(rec) && rec->nr_pages > 0)
			ino = last.entry.ino;
		else
			remove_last(sb, ino, &last);
	}
}

void clone_drop(struct super *sb, const struct clone_copy *top)
{
	if (inode_is_dir(top->rec))
		drop_entries(sb, top->ino);
	inode_lock(sb, top->ino);
	inode_free(sb, top->ino, top->rec);
	inode_unlock(sb, top->ino);
}
