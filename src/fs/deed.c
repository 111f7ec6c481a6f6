// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * deed.c - looking whether something was done. See deed.h.
 *
 * Locks: those of lookups, while nobody else is there.
 */
#include "fs/deed.h"

#include <errno.h>
#include <stddef.h>

#include "fs/inode_i.h"
#include "fs/namei.h"
#include "fs/xattr.h"

static bool leads_to(struct super *sb, const struct fs_deed *deed)
{
	struct fs_entry entry;

	if (fs_lookup(sb, deed->parent, deed->name, &entry) != 0)
		return false;
	fs_forget(sb, entry.ino, 1);
	return entry.ino == deed->witness.ino;
}

static bool has_xattr(struct super *sb, const struct fs_deed *deed)
{
	size_t len;

	return fs_getxattr(sb, deed->witness.ino, deed->name, NULL, 0, &len) == 0;
}

/* The walk has freed it if the kernel was not to have it. */
static bool is_nameless(struct super *sb, ino_nr ino)
{
	const struct inode_rec *rec = inode_get(sb, ino);

	return rec != NULL && rec->nlink == 0 && rec_load(&rec->nlookup) > 0;
}

/* A new inode had none that anybody could give back. */
static void count_reference(struct super *sb, const struct fs_deed *deed)
{
	struct inode_rec *rec = inode_get(sb, deed->witness.ino);

	if (deed->kind == FS_DEED_LINK || rec_load(&rec->nlookup) == 0)
		inode_add_lookup(rec);
}

bool fs_deed_is_done(struct super *sb, const struct fs_deed *deed)
{
	if (deed->witness.done || deed->witness.ino == 0)
		return deed->witness.done;
	switch (deed->kind) {
	case FS_DEED_NAME:
	case FS_DEED_LINK:
		if (!leads_to(sb, deed))
			return false;
		count_reference(sb, deed);
		return true;
	case FS_DEED_NAMELESS:
		return is_nameless(sb, deed->witness.ino);
	case FS_DEED_REMOVE:
		return !leads_to(sb, deed);
	case FS_DEED_RENAME:
	case FS_DEED_CLONE:
		return leads_to(sb, deed);
	case FS_DEED_SET_XATTR:
		return has_xattr(sb, deed);
	case FS_DEED_REMOVE_XATTR:
		return !has_xattr(sb, deed);
	}
	return false;
}

int fs_entry_of(struct super *sb, ino_nr ino, struct fs_entry *out)
{
	const struct inode_rec *rec;
	int err = -ESTALE;

	inode_lock_shared(sb, ino);
	rec = inode_get(sb, ino);
	if (rec != NULL) {
		inode_fill_entry(ino, rec, out);
		err = 0;
	}
	inode_unlock(sb, ino);
	return err;
}
