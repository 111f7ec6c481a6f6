// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tree.c - a sparse array of words in the arena. See tree.h for the shapes.
 *
 * No locks: the caller holds the tree shared or exclusive. Nodes are published by compare-and-swap,
 * so that two writers of one file may need the same new node at the same time.
 */
#include "blkmap/slot/tree.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "util/hook.h"
#include "util/store.h"

#define NODE_SHIFT  6u
#define NODE_WORDS  (1u << NODE_SHIFT)
#define NODE_MASK   (NODE_WORDS - 1)
#define SHAPE_LEAF  3u /* one leaf of NODE_WORDS; beyond it come levels of nodes */
#define SHAPE_NODES (TREE_SHAPE_MAX - SHAPE_LEAF + 1) /* most nodes on a path */

#define TREE_KIND_BITS   3u
#define TREE_KIND_MASK   UINT64_C(7)
#define ROOT_SHAPE_SHIFT (TREE_KIND_BITS + ARENA_REF_BITS)
#define ROOT_REF_MASK    (((UINT64_C(1) << ARENA_REF_BITS) - 1) << TREE_KIND_BITS)
static_assert(TREE_SHAPE_MAX < 1u << (64 - ROOT_SHAPE_SHIFT), "a shape fits the tree's word");

/* Words of the only leaf of a small shape; index: the shape. */
static const uint32_t leaf_words[SHAPE_LEAF + 1] = { 1, 4, 16, NODE_WORDS };

static inline uint64_t word_load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void word_store(uint64_t *word, uint64_t value, const char *point)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	zt_stored(point);
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

/* What stands in tree->word for a tree of @shape, which is not 0; @ref: its root node, 0: none. */
static inline uint64_t root_make(uint8_t shape, ref_t ref)
{
	return (uint64_t)shape << ROOT_SHAPE_SHIFT | ref << TREE_KIND_BITS | TREE_KIND;
}

static inline uint8_t root_shape(uint64_t root)
{
	if ((root & TREE_KIND_MASK) != TREE_KIND)
		return 0;
	return (uint8_t)(root >> ROOT_SHAPE_SHIFT);
}

/* Of a shape that is not 0. */
static inline ref_t root_ref(uint64_t root)
{
	return (root & ROOT_REF_MASK) >> TREE_KIND_BITS;
}

uint8_t tree_shape(const struct tree *tree)
{
	return root_shape(word_load(tree->word));
}

ref_t tree_root(const struct tree *tree)
{
	uint64_t root = word_load(tree->word);

	return root_shape(root) ? root_ref(root) : 0;
}

bool tree_is_sound(const struct tree *tree)
{
	const uint64_t root = word_load(tree->word);

	return (root & TREE_KIND_MASK) != TREE_KIND ||
	       root == root_make(root_shape(root), root_ref(root));
}

uint64_t tree_capacity(uint8_t shape)
{
	return (uint64_t)shape_leaf_words(shape) << (NODE_SHIFT * shape_levels(shape));
}

uint64_t *tree_slot(const struct arena *arena, const struct tree *tree, uint64_t idx)
{
	uint64_t root = word_load(tree->word), ref;
	uint8_t shape = root_shape(root);
	unsigned level = shape_levels(shape);

	if (idx >= tree_capacity(shape))
		return NULL;
	if (shape == 0)
		return tree->word;
	ref = root_ref(root);
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

/*
 * The node that @place names, made if there is none. Two callers may race: one node wins.
 * @tag: what @place holds beside the ref, 0 inside a node.
 */
static int node_get(struct arena *arena, struct zs_pool *pool, uint64_t *place, uint64_t tag,
		    uint32_t nr_words, ref_t *out_node)
{
	const unsigned shift = tag ? TREE_KIND_BITS : 0;
	uint64_t seen = word_load(place);
	int error;

	if (seen != tag) {
		*out_node = (seen ^ tag) >> shift;
		return 0;
	}
	error = node_alloc(arena, pool, nr_words, out_node);
	if (error)
		return error;
	zt_hook("tree: a node is made", *out_node);
	if (__atomic_compare_exchange_n(place, &seen, *out_node << shift | tag, false,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		zt_stored("tree: a new node is named");
	} else {
		zs_free(pool, *out_node);
		*out_node = (seen ^ tag) >> shift;
	}
	return 0;
}

int tree_slot_alloc(struct arena *arena, struct zs_pool *pool, const struct tree *tree,
		    uint64_t idx, uint64_t **out_slot)
{
	uint8_t shape = tree_shape(tree);
	unsigned level = shape_levels(shape);
	uint64_t *place = tree->word, tag = root_make(shape, 0);
	ref_t node;
	int error;

	if (idx >= tree_capacity(shape))
		return -EFBIG;
	if (shape == 0) {
		*out_slot = tree->word;
		return 0;
	}
	for (; level > 0; level--) {
		error = node_get(arena, pool, place, tag, NODE_WORDS, &node);
		if (error)
			return error;
		place = node_words(arena, node) + ((idx >> (NODE_SHIFT * level)) & NODE_MASK);
		tag = 0;
	}
	error = node_get(arena, pool, place, tag, shape_leaf_words(shape), &node);
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

/* The words of a small shape: in its leaf, or in the tree's own word. NULL: there are none. */
static uint64_t *small_words(const struct arena *arena, const struct tree *tree)
{
	uint64_t root = word_load(tree->word);

	if (root_shape(root) == 0)
		return root ? tree->word : NULL;
	return root_ref(root) ? node_words(arena, root_ref(root)) : NULL;
}

/*
 * The words of a leaf that goes have been copied, and the copies are what the tree's word leads to.
 */
static void words_settle(uint64_t *from, uint64_t *to, uint32_t nr_words,
			 const struct tree_mover *mover)
{
	for (uint32_t i = 0; mover && i < nr_words; i++)
		if (word_load(&to[i]))
			mover->settle(mover->arg, &from[i], &to[i]);
}

static void words_copy(uint64_t *from, uint64_t *to, uint32_t nr_words,
		       const struct tree_mover *mover)
{
	for (uint32_t i = 0; i < nr_words; i++) {
		if (!word_load(&from[i]))
			continue;
		if (mover)
			mover->lift(mover->arg, &from[i], &to[i]);
		word_store(&to[i], word_load(&from[i]), "tree: a word is copied");
	}
}

/* @nodes: the leaf first if a new one is needed, the levels above it follow upwards. */
static int nodes_alloc(struct arena *arena, struct zs_pool *pool, uint32_t first_words,
		       ref_t nodes[SHAPE_NODES], unsigned nr_nodes)
{
	unsigned i;
	int error;

	for (i = 0; i < nr_nodes; i++) {
		error = node_alloc(arena, pool, i == 0 ? first_words : NODE_WORDS, &nodes[i]);
		if (error)
			goto err_free;
	}
	return 0;

err_free:
	while (i-- > 0)
		zs_free(pool, nodes[i]);
	return error;
}

/*
 * Old content becomes the leftmost part of the new shape: a small leaf (or the single word) is copied
 * into a larger leaf, a full one stays where it is; new levels stand above it. One store of the
 * tree's word exchanges the shape and what it leads to. Only then does the old leaf go.
 */
int tree_grow(struct arena *arena, struct zs_pool *pool, const struct tree *tree, uint64_t idx,
	      const struct tree_mover *mover)
{
	const uint64_t root = word_load(tree->word);
	const uint8_t old_shape = root_shape(root), shape = shape_for(idx);
	const bool new_leaf = old_shape < SHAPE_LEAF;
	const uint32_t nr_words = new_leaf ? shape_leaf_words(old_shape) : 0;
	uint64_t *old = small_words(arena, tree), *leaf = NULL;
	ref_t nodes[SHAPE_NODES], below;
	unsigned nr_nodes = shape_levels(shape) - shape_levels(old_shape) + new_leaf;
	int error;

	if (shape <= old_shape)
		return 0;
	if (!old) {
		word_store(tree->word, root_make(shape, 0), "tree: an empty one grows");
		return 0;
	}
	error = nodes_alloc(arena, pool, new_leaf ? shape_leaf_words(shape) : NODE_WORDS, nodes,
			    nr_nodes);
	if (error)
		return error;
	below = new_leaf ? nodes[0] : root_ref(root);
	if (new_leaf) {
		leaf = node_words(arena, nodes[0]);
		words_copy(old, leaf, nr_words, mover);
	}
	for (unsigned i = new_leaf; i < nr_nodes; i++) {
		word_store(node_words(arena, nodes[i]), below, "tree: a level stands above");
		below = nodes[i];
	}
	word_store(tree->word, root_make(shape, below), "tree: it has grown");
	words_settle(old, leaf, nr_words, mover);
	if (new_leaf && old_shape > 0)
		zs_free(pool, root_ref(root));
	return 0;
}

/*
 * Down from the root towards *inout_idx. At a missing node the index moves behind what it would
 * cover, and the search starts again from the root.
 */
uint64_t *tree_next(const struct arena *arena, const struct tree *tree, uint64_t *inout_idx)
{
	uint8_t shape = tree_shape(tree);
	uint64_t idx = *inout_idx, capacity = tree_capacity(shape);

	if (shape == 0) {
		if (idx > 0 || !word_load(tree->word))
			return NULL;
		return tree->word;
	}
	while (idx < capacity) {
		unsigned level = shape_levels(shape);
		uint64_t ref = root_ref(word_load(tree->word));
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
	const uint8_t shape = tree_shape(tree);
	uint64_t idx = *inout_idx;

	if (idx >= tree_capacity(shape))
		idx = tree_capacity(shape) - 1;
	for (;;) {
		unsigned level = shape_levels(shape), shift = 0;
		const uint64_t root = word_load(tree->word);
		uint64_t ref = shape == 0 ? 0 : root_ref(root);
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
		if (shape == 0 || !root_ref(root) || idx >> shift == 0)
			return NULL;
		idx = ((idx >> shift) << shift) - 1;
	}
}

struct prune {
	struct arena *arena;
	struct zs_pool *pool;
	uint64_t first, last; /* the range of indexes */
	uint32_t leaf_words;
	bool all; /* free nodes whatever they hold */
};

/*
 * Frees the nodes below @ref that may go. True when @ref itself is to be freed: by the caller, when
 * nothing names it any more. Depth: at most 10.
 */
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
			word_store(&words[i], 0, "tree: an empty node is no longer named");
			zs_free(prune->pool, word);
			word = 0;
		}
		if (word && (level > 0 || !prune->all))
			empty = false;
	}
	return empty;
}

void tree_prune(struct arena *arena, struct zs_pool *pool, const struct tree *tree, uint64_t first,
		uint64_t last)
{
	const uint64_t root = word_load(tree->word);
	const uint8_t shape = root_shape(root);
	const struct prune prune = { arena, pool, first, last, shape_leaf_words(shape), false };

	if (shape == 0 ||
	    (root_ref(root) && !node_prune(&prune, root_ref(root), shape_levels(shape), 0)))
		return;
	word_store(tree->word, 0, "tree: it is empty");
	if (root_ref(root))
		zs_free(pool, root_ref(root));
}

void tree_clear(struct arena *arena, struct zs_pool *pool, const struct tree *tree)
{
	const uint64_t root = word_load(tree->word);
	const uint8_t shape = root_shape(root);
	const struct prune prune = { arena, pool, 0, UINT64_MAX, shape_leaf_words(shape), true };

	word_store(tree->word, 0, "tree: it is cleared");
	if (shape == 0 || !root_ref(root))
		return;
	(void)node_prune(&prune, root_ref(root), shape_levels(shape), 0); /* all of them go */
	zs_free(pool, root_ref(root));
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
	const ref_t root = tree_root(tree);

	return root ? nodes_visit(arena, root, shape_levels(tree_shape(tree)), visit, arg) : 0;
}
