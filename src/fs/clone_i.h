/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clone_i.h - what the files that clone a tree share: clone.c walks it, clone_inode.c copies one inode,
 * clone_drop.c takes a copy down.
 */
#ifndef ZT_FS_CLONE_I_H
#define ZT_FS_CLONE_I_H

#include "fs/access.h"
#include "fs/work.h"

/* An inode of the original, as its directory showed it. Number and generation are never reused. */
struct clone_source {
	ino_nr ino;
	uint32_t generation;
};

/* One that nobody knows yet: its lock is not needed. */
struct clone_copy {
	ino_nr ino;
	struct inode_rec *rec;
	uint32_t source_links; /* names of the original */
};

/**
 * clone_inode() - copy an inode and what it contains, but for the entries of a directory
 * @parent: number of the directory that a directory will be in
 * @top: the copy will be renamed: the flags that forbid it are left out
 *
 * It has the link count of its first name.
 * Return: 0; -ESTALE: the original has gone; others as fs_clone().
 */
int clone_inode(struct work *work, const struct fs_asker *asker, const struct clone_source *source,
		ino_nr parent, bool top, struct clone_copy *out) ZT_MUST_CHECK;

/** clone_drop() - free a copy that has no name yet, with all that is in it */
void clone_drop(struct super *sb, const struct clone_copy *top);

#endif
