/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clone_i.h - what the files that clone a tree share: clone.c walks it, clone_inode.c copies one inode,
 * clone_content.c what a file contains, clone_drop.c takes a copy down.
 */
#ifndef ZT_FS_CLONE_I_H
#define ZT_FS_CLONE_I_H

#include "fs/access.h"
#include "fs/changed.h"
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

/* The copying of what a file contains. Guarded by the original's lock, exclusive. */
struct clone_content {
	struct super *sb;
	ino_nr ino; /* the original */
	struct inode_rec *to;
	struct changed changed; /* of the original, since the first round */
	bool watches; /* changed has begun */
	bool clear; /* what the copy has from at to end is cut away first */
	uint64_t at, end; /* what is shared now */
	uint64_t shared; /* up to here all of the original was shared */
	unsigned units; /* of the round, for what is shared now */
};

static inline struct clone_content clone_content_begin(struct super *sb, ino_nr ino,
						       struct inode_rec *to)
{
	return (struct clone_content){ .sb = sb, .ino = ino, .to = to, .end = CHANGED_ALL };
}

/**
 * clone_content() - a round of it
 * Return: 0: the copy contains what the original does at this moment; -EAGAIN the round is over;
 *         -ENOSPC, -ENOMEM, -EIO, -EREMOTE.
 */
int clone_content(struct clone_content *c, struct inode_rec *from,
		  struct zt_round *round) ZT_MUST_CHECK;

/** clone_content_watch() - others may change the original until the next round. Return: 0, -ENOMEM. */
int clone_content_watch(struct clone_content *c, const struct inode_rec *from) ZT_MUST_CHECK;

/** clone_content_end() - there is no next round */
void clone_content_end(struct clone_content *c);

/** clone_drop() - free a copy that has no name yet, with all that is in it */
void clone_drop(struct super *sb, const struct clone_copy *top);

#endif
