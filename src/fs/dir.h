/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dir.h - a directory as a set of names, each at a position of its own.
 *
 * A directory's entries stand in blocks (dirblock.h), the blocks' refs in the tree of its inode.
 * Block 0 begins small and doubles; the others are full-grown. A block without entries is given
 * back. A position is the block's number times DIR_POS_BLOCK plus the unit in the block, and stays
 * an entry's own as long as it exists. One block is searched from end to end; more have an index
 * (dirindex.h), made when it is missing.
 *
 *     inode_rec.tree_word --- tree --+-- block 0: 7 .. 511 units, entries
 *                                    +-- block 1: 511 units
 *                                    +-- (0: none)
 *     index (heap): hash -> position; gaps
 *
 * Locks: the directory's inode lock; shared for dir_find() and dir_walk(), exclusive for the rest.
 */
#ifndef ZT_FS_DIR_H
#define ZT_FS_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/inode_i.h"

/* What tmpfs adds to a directory's size for each entry, "." and ".." included. */
#define DIR_ENTRY_STAT_SIZE 20u

#define DIR_POS_SHIFT 9
#define DIR_POS_BLOCK (1u << DIR_POS_SHIFT)
/* Behind every position; see DIRINDEX_MAX_BLOCKS. */
#define DIR_POS_END (UINT64_C(1) << 32)

/*
 * What stands in the tree for a block: its ref above three bits that are 0, so that none of these words
 * can be taken for that of a tree with nodes (TREE_KIND).
 */
#define DIR_WORD_SHIFT 3u

static inline uint64_t dir_word_make(ref_t block)
{
	return block << DIR_WORD_SHIFT;
}

static inline ref_t dir_word_ref(uint64_t word)
{
	return word >> DIR_WORD_SHIFT;
}

/* A view of one directory; made per call. */
struct dir {
	struct super *sb;
	ino_nr ino;
	struct inode_rec *rec;
	uint64_t *announce; /* NULL, or where dir_add() stores the position before the name is there */
};

/* A name from outside, 1 to 255 bytes, neither "." nor "..". */
struct fs_name {
	const char *text;
	unsigned len;
	uint32_t hash;
};

struct dir_entry {
	ino_nr ino;
	unsigned type; /* mode >> 12 */
	uint64_t pos;
};

/** dir_open() - look at inode @ino as a directory. Return: 0, -ESTALE, -ENOTDIR. */
int dir_open(struct super *sb, ino_nr ino, struct dir *out_dir) ZT_MUST_CHECK;

/**
 * fs_name_init() - take @text for a name. Return: 0, -EINVAL, -ENAMETOOLONG; -EEXIST for "." and
 * "..".
 */
int fs_name_init(const struct super *sb, const char *text, struct fs_name *out_name) ZT_MUST_CHECK;

static inline uint64_t dir_nr_entries(const struct dir *dir)
{
	return dir->rec->nr_pages;
}

/** dir_find() - Return: 0, -ENOENT, or -EAGAIN when dir_make_index() has to come first. */
int dir_find(const struct dir *dir, const struct fs_name *name,
	     struct dir_entry *out) ZT_MUST_CHECK;

/** dir_make_index() - if the directory needs one and has none. Return: 0, -ENOMEM. */
int dir_make_index(const struct dir *dir) ZT_MUST_CHECK;

/**
 * dir_add() - a new name for inode @ino; it is not there yet; the index is made
 * Return: 0, -ENOSPC, -ENOMEM; then nothing has changed.
 */
int dir_add(const struct dir *dir, const struct fs_name *name, ino_nr ino,
	    unsigned type) ZT_MUST_CHECK;

/** dir_remove() - the name that dir_find() found at @pos; cannot fail; the index is made */
void dir_remove(const struct dir *dir, const struct fs_name *name, uint64_t pos);

/** dir_replace() - let the name at @pos lead to another inode; cannot fail */
void dir_replace(const struct dir *dir, uint64_t pos, ino_nr ino, unsigned type);

/** dir_visit_fn - one entry. Return: false to stop. */
typedef bool (*dir_visit_fn)(void *arg, const struct dir_entry *entry, const char *name,
			     unsigned name_len);

/**
 * dir_walk() - visit all entries at positions below @below, the highest first
 * Downwards, so that a walk in many calls ends: what is added meanwhile stands above, or in one of
 * the gaps below, and these are finite.
 */
void dir_walk(const struct dir *dir, uint64_t below, dir_visit_fn visit, void *arg);

/**
 * dir_check() - walker: blocks, positions, count of entries and index agree, no name stands twice
 * @inout_objects: counts blocks and tree nodes
 * Return: 0, -EUCLEAN after a line on the log, -ENOMEM.
 */
int dir_check(const struct dir *dir, uint64_t *inout_objects) ZT_MUST_CHECK;

#endif
