/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * deed.h - whether a killed process has done what its thread's witness says it was about to do.
 */
#ifndef ZT_FS_DEED_H
#define ZT_FS_DEED_H

#include "fs/inode.h"
#include "fs/witness.h"
#include "util/compiler.h"

struct super;

/* What a killed process was about to do. */
struct fs_deed {
	enum fs_deed_kind {
		FS_DEED_NAME, /* a name for a new inode, or one more for an old one */
		FS_DEED_LINK, /* the latter */
		FS_DEED_NAMELESS, /* a new inode without a name */
		FS_DEED_REMOVE,
		FS_DEED_RENAME,
		FS_DEED_SET_XATTR, /* one that was not there */
		FS_DEED_REMOVE_XATTR,
		FS_DEED_CLONE, /* a name that the kernel has not asked for */
	} kind;
	ino_nr parent; /* of the name that is new or goes */
	const char *name; /* or of an attribute of witness.ino */
	struct fs_witness witness;
};

/**
 * fs_deed_is_done() - when attached, before requests are served: whether it was done
 * What it gives to the kernel is counted then.
 */
bool fs_deed_is_done(struct super *sb, const struct fs_deed *deed);

/** fs_entry_of() - number, generation and attributes, without a reference. Return: 0 or -ESTALE. */
int fs_entry_of(struct super *sb, ino_nr ino, struct fs_entry *out) ZT_MUST_CHECK;

#endif
