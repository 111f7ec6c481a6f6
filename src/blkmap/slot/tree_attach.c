// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tree_attach.c - a tree found again by a process that attaches: each node is claimed before it is
 * looked into.
 *
 * Context: one thread; see zsmalloc/attach.h.
 */
#include <errno.h>

#include "blkmap/slot/slots.h"
#include "blkmap/slot/tree.h"
#include "zsmalloc/attach.h"

#define NODE_WORDS 64u

struct tree_walk {
	struct arena *arena;
	struct zs_pool *meta;
	tree_attach_fn visit;
	void *arg;
	uint32_t leaf_words;
};

/* Depth: the levels of the largest shape. */
static int node_attach(const struct tree_walk *walk, ref_t ref, unsigned level, uint64_t base)
{
	uint32_t nr_words = level > 0 ? NODE_WORDS : walk->leaf_words;
	uint64_t *words;
	int error = 0;

	if (!zs_claim_sized(walk->meta, ref, nr_words * (uint32_t)sizeof(*words)))
		return -EUCLEAN;
	words = zs_data(walk->arena, ref);
	for (uint32_t i = 0; i < nr_words && !error; i++) {
		uint64_t idx = base + ((uint64_t)i << (6 * level)), word = word_get(&words[i]);

		if (word)
			error = level > 0 ? node_attach(walk, word, level - 1, idx)
					  : walk->visit(walk->arg, idx, &words[i]);
	}
	return error;
}

int tree_attach(struct arena *arena, struct zs_pool *meta, const struct tree *tree,
		tree_attach_fn visit, void *arg)
{
	struct tree_walk walk = { .arena = arena, .meta = meta, .visit = visit, .arg = arg };
	uint8_t shape = tree_shape(tree);
	unsigned levels = shape > 3 ? shape - 3u : 0;

	/* Bits above the shape would be taken for a ref's where a node is made. */
	if (shape > TREE_SHAPE_MAX || !tree_is_sound(tree))
		return -EUCLEAN;
	if (shape == 0)
		return word_get(tree->word) ? visit(arg, 0, tree->word) : 0;
	if (!tree_root(tree))
		return 0;
	walk.leaf_words = (uint32_t)(tree_capacity(shape) >> (6 * levels));
	return node_attach(&walk, tree_root(tree), levels, 0);
}
