/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nameless.h - inodes without a name, which are there as long as the kernel has references.
 */
#ifndef ZT_FS_NAMELESS_H
#define ZT_FS_NAMELESS_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/inode.h"
#include "util/compiler.h"

struct super;

struct fs_nameless {
	ino_nr ino;
	uint32_t generation;
	uint64_t nlookup; /* references, at that moment */
};

/** fs_nameless_next() - the first one with the number @from or more. Return: false: there is none. */
bool fs_nameless_next(struct super *sb, ino_nr from, struct fs_nameless *out);

/**
 * fs_nameless_drop() - the kernel has no references to it: it goes
 * Only if it still has no name, and as many references as @inode says.
 * Return: whether it has gone.
 */
bool fs_nameless_drop(struct super *sb, const struct fs_nameless *inode);

#endif
