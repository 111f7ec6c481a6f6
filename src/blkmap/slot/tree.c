// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tree.c - a sparse array of words in the arena. See tree.h for the shapes.
 *
 * No locks: the caller holds the tree shared or exclusive. Nodes are published by compare-and-swap,
 * so that two writers of one file may need the same new node at the same time.
 */
#include "blkmap/slot/tree.h"

#include <errno.h>
#include <string.h>

#define NODE_SHIFT  6u
#define NODE_WORDS  (1u << NODE_SHIFT)
#define NODE_MASK   (NODE_WORDS - 1)
#define SHAPE_LEAF  3u /* one leaf of NODE_WORDS; beyond it come levels of nodes */
#define SHAPE_NODES (TREE_SHAPE_MAX - SHAPE_LEAF + 1) /* most nodes on a path */

/* Words of the only leaf of a small shape; index: the shape. */
static const uint32_t leaf_words[SHAPE_LEAF + 1] = { 1, 4, 16, NODE_WORDS };

static inline uint64_t word_load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void word_store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline uint64_t *node_words(const struct arena *arena, ref_t node)
{
	return zs_data(arena, node);
}

static inline unsigned shape_levels(uint8_t shape)
{
	return shape > SHAPE_LEAF ? shape - SHAPE_LEAF : 0;
}

static inline uint32_t shape_leaf_words(uint8_t shape)
{
	return leaf_words[shape < SHAPE_LEAF ? shape : SHAPE_LEAF];
}

uint64_t tree_capacity(uint8_t shape)
{
	return (uint64_t)shape_leaf_words(shape) << (NODE_SHIFT * shape_levels(shape));
}

uint64_t *tree_slot(const struct arena *arena, const struct tree *tree, uint64_t idx)
{
	uint8_t shape = *tree->shape;
	unsigned level = shape_levels(shape);
	uint64_t ref;

	if (idx >= tree_capacity(shape))
		return NULL;
	if (shape == 0)
		return tree->word;
	ref = word_load(tree->word);
	for (; ref && level > 0; level--)
		ref = word_load(node_words(arena, ref) +
				((idx >> (NODE_SHIFT * level)) & NODE_MASK));
	return ref ? node_words(arena, ref) + (idx & NODE_MASK) : NULL;
}

static int node_alloc(struct arena *arena, struct zs_pool *pool, uint32_t nr_words, ref_t *out_node)
{
	int error = zs_malloc(pool, nr_words * (uint32_t)sizeof(uint64_t), out_node);

	if (!error)
		memset(zs_data(arena, *out_node), 0, nr_words * sizeof(uint64_t));
	return error;
}

/* The node that @place names, made if there is none. Two callers may race: one node wins. */
static int node_get(struct arena *arena, struct zs_pool *pool, uint64_t *place, uint32_t nr_words,
		    ref_t *out_node)
{
	uint64_t seen = word_load(place);
	int error;

	if (seen) {
		*out_node = seen;
		return 0;
	}
	error = node_alloc(arena, pool, nr_words, out_node);
	if (error)
		return error;
	if (!__atomic_compare_exchange_n(place, &seen, *out_node, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		zs_free(pool, *out_node);
		*out_node = seen;
	}
	return 0;
}

int tree_slot_alloc(struct arena *arena, struct zs_pool *pool, const struct tree *tree,
		    uint64_t idx, uint64_t **out_slot)
{
	uint8_t shape = *tree->shape;
	unsigned level = shape_levels(shape);
	uint64_t *place = tree->word;
	ref_t node;
	int error;

	if (idx >= tree_capacity(shape))
		return -EFBIG;
	if (shape == 0) {
		*out_slot = tree->word;
		return 0;
	}
	for (; level > 0; level--) {
		error = node_get(arena, pool, place, NODE_WORDS, &node);
		if (error)
			return error;
		place = node_words(arena, node) + ((idx >> (NODE_SHIFT * level)) & NODE_MASK);
	}
	error = node_get(arena, pool, place, shape_leaf_words(shape), &node);
	if (error)
		return error;
	*out_slot = node_words(arena, node) + (idx & NODE_MASK);
	return 0;
}

static uint8_t shape_for(uint64_t idx)
{
	uint8_t shape = 0;

	while (shape < TREE_SHAPE_MAX && idx >= tree_capacity(shape))
		shape++;
	return shape;
}

static void words_move(uint64_t *to, uint64_t *from, uint32_t nr_words, tree_move_fn move,
		       void *arg)
{
	for (uint32_t i = 0; i < nr_words; i++) {
		if (!word_load(&from[i]))
			continue;
		if (move) {
			move(arg, &from[i], &to[i]);
		} else {
			word_store(&to[i], from[i]);
			word_store(&from[i], 0);
		}
	}
}

/*
 * Old content becomes the leftmost part of the new shape: a small leaf (or the single word) moves
 * into a larger leaf, a full one stays where it is; new levels stand above it.
 */
int tree_grow(struct arena *arena, struct zs_pool *pool, const struct tree *tree, uint64_t idx,
	      tree_move_fn move, void *arg)
{
	uint8_t old_shape = *tree->shape, shape = shape_for(idx);
	unsigned new_levels = shape_levels(shape) - shape_levels(old_shape);
	bool new_leaf = old_shape < SHAPE_LEAF;
	ref_t nodes[SHAPE_NODES];
	unsigned nr_nodes = 0;
	uint64_t below;
	int error;

	if (shape <= old_shape)
		return 0;
	if (!word_load(tree->word)) {
		*tree->shape = shape;
		return 0;
	}
	/* nodes[0] is the leaf if a new one is needed, the levels above it follow upwards. */
	for (; nr_nodes < new_levels + new_leaf; nr_nodes++) {
		bool leaf = new_leaf && nr_nodes == 0;

		error = node_alloc(arena, pool, leaf ? shape_leaf_words(shape) : NODE_WORDS,
				   &nodes[nr_nodes]);
		if (error)
			goto err_free;
	}
	below = word_load(tree->word);
	if (new_leaf) {
		if (old_shape == 0) {
			words_move(node_words(arena, nodes[0]), tree->word, 1, move, arg);
		} else {
			words_move(node_words(arena, nodes[0]), node_words(arena, below),
				   shape_leaf_words(old_shape), move, arg);
			zs_free(pool, below);
		}
		below = nodes[0];
	}
	for (unsigned i = new_leaf; i < nr_nodes; i++) {
		word_store(node_words(arena, nodes[i]), below);
		below = nodes[i];
	}
	word_store(tree->word, below);
	*tree->shape = shape;
	return 0;

err_free:
	while (nr_nodes-- > 0)
		zs_free(pool, nodes[nr_nodes]);
	return error;
}

/*
 * Down from the root towards *inout_idx. At a missing node the index moves behind what it would
 * cover, and the search starts again from the root.
 */
uint64_t *tree_next(const struct arena *arena, const struct tree *tree, uint64_t *inout_idx)
{
	uint8_t shape = *tree->shape;
	uint64_t idx = *inout_idx, capacity = tree_capacity(shape);

	if (shape == 0) {
		if (idx > 0 || !word_load(tree->word))
			return NULL;
		return tree->word;
	}
	while (idx < capacity) {
		unsigned level = shape_levels(shape);
		uint64_t ref = word_load(tree->word);
		uint64_t *words;

		if (!ref)
			return NULL;
		for (; level > 0; level--) {
			unsigned shift = NODE_SHIFT * level;

			ref = word_load(node_words(arena, ref) + ((idx >> shift) & NODE_MASK));
			if (!ref) {
				idx = ((idx >> shift) + 1) << shift;
				break;
			}
		}
		if (level > 0)
			continue;
		words = node_words(arena, ref);
		do {
			if (word_load(&words[idx & NODE_MASK])) {
				*inout_idx = idx;
				return &words[idx & NODE_MASK];
			}
			idx++;
		} while ((idx & NODE_MASK) != 0 && idx < capacity);
	}
	return NULL;
}

/* As tree_next(): at a missing node the index moves in front of what it would cover. */
uint64_t *tree_prev(const struct arena *arena, const struct tree *tree, uint64_t *inout_idx)
{
	const uint8_t shape = *tree->shape;
	uint64_t idx = *inout_idx;

	if (idx >= tree_capacity(shape))
		idx = tree_capacity(shape) - 1;
	for (;;) {
		unsigned level = shape_levels(shape), shift = 0;
		uint64_t ref = shape == 0 ? 0 : word_load(tree->word);
		uint64_t *word = tree->word;

		for (; ref && level > 0; level--) {
			shift = NODE_SHIFT * level;
			ref = word_load(node_words(arena, ref) + ((idx >> shift) & NODE_MASK));
		}
		if (ref) {
			shift = 0;
			word = node_words(arena, ref) + (idx & NODE_MASK);
		}
		if ((ref || shape == 0) && word_load(word)) {
			*inout_idx = idx;
			return word;
		}
		if (shape == 0 || !word_load(tree->word) || idx >> shift == 0)
			return NULL;
		idx = ((idx >> shift) << shift) - 1;
	}
}

struct prune {
	struct arena *arena;
	struct zs_pool *pool;
	uint64_t first, last; /* the range of indexes; everything for tree_clear() */
	uint32_t leaf_words;
	bool all; /* free nodes whatever they hold */
};

/* Frees the nodes under @ref that may go; true when @ref itself was freed. Depth: at most 10. */
static bool node_prune(const struct prune *prune, ref_t ref, unsigned level, uint64_t base)
{
	uint64_t *words = node_words(prune->arena, ref);
	uint32_t nr_words = level > 0 ? NODE_WORDS : prune->leaf_words;
	unsigned shift = NODE_SHIFT * level;
	bool empty = true;

	for (uint32_t i = 0; i < nr_words; i++) {
		uint64_t first = base + ((uint64_t)i << shift);
		uint64_t last = first + ((uint64_t)1 << shift) - 1;
		uint64_t word = word_load(&words[i]);

		if (word && level > 0 && last >= prune->first && first <= prune->last &&
		    node_prune(prune, word, level - 1, first)) {
			word_store(&words[i], 0);
			word = 0;
		}
		if (word && (level > 0 || !prune->all))
			empty = false;
	}
	if (empty)
		zs_free(prune->pool, ref);
	return empty;
}

static void tree_free_nodes(const struct prune *prune, const struct tree *tree)
{
	ref_t root = word_load(tree->word);

	if (*tree->shape == 0)
		return;
	if (root && !node_prune(prune, root, shape_levels(*tree->shape), 0))
		return;
	word_store(tree->word, 0);
	*tree->shape = 0;
}

void tree_prune(struct arena *arena, struct zs_pool *pool, const struct tree *tree, uint64_t first,
		uint64_t last)
{
	struct prune prune = { arena, pool, first, last, shape_leaf_words(*tree->shape), false };

	tree_free_nodes(&prune, tree);
}

void tree_clear(struct arena *arena, struct zs_pool *pool, const struct tree *tree)
{
	struct prune prune = { arena, pool, 0, UINT64_MAX, shape_leaf_words(*tree->shape), true };

	tree_free_nodes(&prune, tree);
	word_store(tree->word, 0);
}

static uint64_t nodes_visit(const struct arena *arena, ref_t ref, unsigned level,
			    void (*visit)(void *, ref_t), void *arg)
{
	const uint64_t *words = node_words(arena, ref);
	uint64_t nr_nodes = 1;

	if (visit)
		visit(arg, ref);
	for (uint32_t i = 0; level > 0 && i < NODE_WORDS; i++)
		if (word_load(&words[i]))
			nr_nodes += nodes_visit(arena, word_load(&words[i]), level - 1, visit, arg);
	return nr_nodes;
}

uint64_t tree_nr_nodes(const struct arena *arena, const struct tree *tree,
		       void (*visit)(void *arg, ref_t node), void *arg)
{
	ref_t root = word_load(tree->word);

	if (*tree->shape == 0 || !root)
		return 0;
	return nodes_visit(arena, root, shape_levels(*tree->shape), visit, arg);
}
