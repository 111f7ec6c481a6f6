/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tree.h - a sparse array of 8-byte words in the arena, indexed from 0.
 *
 * A file keeps its cluster slots in one, a directory the refs of its blocks. 0 is the empty word.
 * One word costs nothing beyond the tree's own 8 bytes (a small file), few words a small leaf, many
 * a radix tree of 64-way nodes:
 *
 *     shape 0: the word itself           shape 1, 2, 3: one leaf of 4, 16, 64 words
 *     shape 3 + k: k levels of 64-way nodes over leaves of 64 words
 *
 * Words stand still except when tree_grow() leaves shapes 0 to 2.
 *
 * The tree's own word holds shape and root together, so that one store exchanges both:
 *
 *     shape 0: the word of index 0       others: TREE_KIND (3 bits), ref of the root (38), shape (4)
 *
 * So no word that a caller stores has TREE_KIND in its three lowest bits. What another process finds
 * in the arena when this one is killed is the tree as it was before tree_grow() or after it, and
 * never leads to a node that was freed.
 *
 * Concurrency: lookups and tree_slot_alloc() may run side by side (nodes are published by
 * compare-and-swap); tree_grow(), tree_prune() and tree_clear() need the tree alone. The
 * caller's inode lock, shared or exclusive, says so.
 */
#ifndef ZT_BLKMAP_SLOT_TREE_H
#define ZT_BLKMAP_SLOT_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "arena/arena.h"
#include "util/compiler.h"
#include "zsmalloc/pool.h"

/*
 * A view of one tree: its canonical word stands in an inode record. Zero: an empty tree. Passed by
 * pointer, kept by nobody.
 */
struct tree {
	uint64_t *word;
};

#define TREE_KIND      6u /* beside the kinds of slot words; see above */
#define TREE_SHAPE_MAX 12u /* 2^60 words: every 4 KiB cluster of 8 EiB */

/** tree_shape() - as the tree's word has it */
uint8_t tree_shape(const struct tree *tree);

/** tree_is_sound() - nothing stands in the tree's word but a shape and a root, if it is a tree's */
bool tree_is_sound(const struct tree *tree);

/** tree_root() - the ref of the root node; 0: there is none, or the shape is 0 */
ref_t tree_root(const struct tree *tree);

/** tree_capacity() - how many indexes @shape covers (UINT64_MAX when all) */
uint64_t tree_capacity(uint8_t shape);

/**
 * tree_slot() - the place of the word @idx
 * Return: NULL when its leaf does not exist (the word is 0). Valid while the tree is held.
 */
uint64_t *tree_slot(const struct arena *arena, const struct tree *tree, uint64_t idx);

/**
 * tree_slot_alloc() - the place of the word @idx, its nodes made if need be
 * @pool: metadata pool
 * Return: 0; -EFBIG when the shape does not cover @idx (tree_grow() first); errors of zs_malloc().
 */
int tree_slot_alloc(struct arena *arena, struct zs_pool *pool, const struct tree *tree,
		    uint64_t idx, uint64_t **out_slot) ZT_MUST_CHECK;

/*
 * Whoever keeps more about a word than the tree does is told that it moves; called for every non-zero
 * word, in the thread that calls tree_grow().
 */
struct tree_mover {
	/* The word at @from is about to be copied to @to: it stays as it is until it has settled. */
	void (*lift)(void *arg, uint64_t *from, uint64_t *to);
	/* The tree leads to the word at @to; the memory at @from is there for the last time. */
	void (*settle)(void *arg, uint64_t *from, uint64_t *to);
	void *arg;
};

/**
 * tree_grow() - make the shape cover @idx; exclusive
 * @mover: NULL: words may be copied as they are
 * Return: 0 or an error of zs_malloc(); on error nothing has changed, and nothing was lifted.
 */
int tree_grow(struct arena *arena, struct zs_pool *pool, const struct tree *tree, uint64_t idx,
	      const struct tree_mover *mover) ZT_MUST_CHECK;

/**
 * tree_next() - the first non-zero word at or behind @inout_idx
 * Return: its place and its index in @inout_idx, or NULL when there is none.
 */
uint64_t *tree_next(const struct arena *arena, const struct tree *tree, uint64_t *inout_idx);

/**
 * tree_prev() - the last non-zero word at or before @inout_idx
 * Return: its place and its index in @inout_idx, or NULL when there is none.
 */
uint64_t *tree_prev(const struct arena *arena, const struct tree *tree, uint64_t *inout_idx);

/**
 * tree_prune() - free nodes without words in the range @first..@last; exclusive
 * Nodes that the range touches only in part stay unless they are empty. An empty tree becomes shape
 * 0.
 */
void tree_prune(struct arena *arena, struct zs_pool *pool, const struct tree *tree, uint64_t first,
		uint64_t last);

/** tree_clear() - free all nodes of a tree whose words are all 0 or no longer matter; exclusive */
void tree_clear(struct arena *arena, struct zs_pool *pool, const struct tree *tree);

/**
 * tree_nr_nodes() - for walkers: nodes the tree owns; @visit, if any, is called with each one's
 * ref
 */
uint64_t tree_nr_nodes(const struct arena *arena, const struct tree *tree,
		       void (*visit)(void *arg, ref_t node), void *arg);

/**
 * tree_attach_fn - a non-zero word of a tree that is found again
 * Return: 0 or an error, which ends the walk.
 */
typedef int (*tree_attach_fn)(void *arg, uint64_t idx, uint64_t *word);

/**
 * tree_attach() - for a process that attaches: claim the nodes of a tree (zsmalloc/attach.h) and visit
 * its words
 * Return: 0, -EUCLEAN a node is none, or what @visit says.
 */
int tree_attach(struct arena *arena, struct zs_pool *meta, const struct tree *tree,
		tree_attach_fn visit, void *arg) ZT_MUST_CHECK;

#endif
