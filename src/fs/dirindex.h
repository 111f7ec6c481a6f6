/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirindex.h - the index of a large directory: where its names stand and which blocks have space.
 *
 * Volatile: it lives on the heap and is made from the blocks whenever it is missing. It knows
 * nothing of names or blocks but hashes, positions and lengths of gaps.
 *
 * Locks: the directory's inode lock; shared for dirindex_get(), dirindex_next() and the space
 * queries, exclusive for the rest.
 */
#ifndef ZT_FS_DIRINDEX_H
#define ZT_FS_DIRINDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/dirblock.h"
#include "fs/inode.h"
#include "util/compiler.h"

struct dirindex;

/* A position needs 9 bits within its block and 32 in all, one value kept for "nothing". */
#define DIRINDEX_MAX_BLOCKS ((1u << 23) - 1)

/** dirindex_get() - the index of directory @ino, NULL when there is none */
struct dirindex *dirindex_get(struct super *sb, ino_nr ino);

/**
 * dirindex_create() - an empty index for @nr_names names, not yet dirindex_get()'s
 * @arena: whose limit bounds it. Return: 0, -ENOSPC, -ENOMEM.
 */
int dirindex_create(struct arena *arena, ino_nr ino, uint64_t nr_names,
		    struct dirindex **out_index) ZT_MUST_CHECK;

/** dirindex_destroy() - for one that was never attached; NULL is allowed */
void dirindex_destroy(struct dirindex *index);

/** dirindex_attach() - from now on dirindex_get() finds it */
void dirindex_attach(struct super *sb, struct dirindex *index);

/** dirindex_drop() - forget the index of @ino, if there is one */
void dirindex_drop(struct super *sb, ino_nr ino);

/** dirindex_drop_all() - forget all of them; nobody uses the mount */
void dirindex_drop_all(struct super *sb);

/**
 * dirindex_reserve() - make sure that dirindex_add() can take one name more. Return: 0,
 * -ENOSPC, -ENOMEM.
 */
int dirindex_reserve(struct dirindex *index) ZT_MUST_CHECK;

void dirindex_add(struct dirindex *index, uint32_t hash, uint32_t pos);
void dirindex_remove(struct dirindex *index, uint32_t hash, uint32_t pos);

/**
 * dirindex_next() - positions of names with that hash, one after the other; @inout_cursor: 0 at
 * first
 */
bool dirindex_next(const struct dirindex *index, uint32_t hash, uint64_t *inout_cursor,
		   uint32_t *out_pos);

/** dirindex_nr_names() */
uint64_t dirindex_nr_names(const struct dirindex *index);

/**
 * dirindex_reserve_blocks() - memory for what is known of blocks 0 to @nr_blocks - 1. Return: 0,
 * -ENOMEM, -ENOSPC.
 */
int dirindex_reserve_blocks(struct dirindex *index, uint32_t nr_blocks) ZT_MUST_CHECK;

/**
 * dirindex_find_block() - the first block with a gap of @need units; maybe one that is yet to be
 * Return: 0, -ENOMEM, -ENOSPC (as many blocks as there can be).
 */
int dirindex_find_block(struct dirindex *index, unsigned need, uint32_t *out_block) ZT_MUST_CHECK;

/**
 * dirindex_get_space(), dirindex_set_space() - what is free in a block; one that does not exist is
 * all free
 */
struct dirblock_space dirindex_get_space(const struct dirindex *index, uint32_t block);
void dirindex_set_space(struct dirindex *index, uint32_t block, const struct dirblock_space *space);

#endif
