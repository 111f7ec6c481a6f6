// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * inodeset.c - which numbers are live inodes. See inodeset.h for the picture.
 *
 * Nodes are published by compare-and-swap, and read with acquire, so that a thread that sees a node
 * sees it zeroed.
 */
#include "fs/inodeset.h"

#include <errno.h>

#define LEVELS     3u
#define LEAF_BITS  (1u << INODESET_LEAF_SHIFT)
#define LEAF_WORDS (LEAF_BITS / 64)

static_assert(LEVELS * INODESET_NODE_SHIFT + INODESET_LEAF_SHIFT == ARENA_REF_BITS,
	      "the levels cover every ref");

/* Which pointer of the node at @level leads on; level 0 points to leaves. */
static inline unsigned node_index(ref_t ref, unsigned level)
{
	return (ref >> (INODESET_LEAF_SHIFT + level * INODESET_NODE_SHIFT)) &
	       (INODESET_NODE_SIZE - 1);
}

/* The word of the bitmap with the bit of @ref, NULL when there is none. */
static uint64_t *word_of(const struct inodeset *set, ref_t ref)
{
	void *const *nodes = set->nodes;

	for (unsigned level = LEVELS; level-- > 0;) {
		nodes = __atomic_load_n(&nodes[node_index(ref, level)], __ATOMIC_ACQUIRE);
		if (nodes == NULL)
			return NULL;
	}
	return (uint64_t *)nodes + (ref & (LEAF_BITS - 1)) / 64;
}

static inline uint64_t bit_of(ref_t ref)
{
	return UINT64_C(1) << (ref & 63);
}

static int node_get(struct arena *arena, void **place, size_t size, void **out_node)
{
	void *node = __atomic_load_n(place, __ATOMIC_ACQUIRE), *mine;

	if (node == NULL) {
		int err = arena_heap_alloc(arena, size, &mine);

		if (err)
			return err;
		if (__atomic_compare_exchange_n(place, &node, mine, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			node = mine;
		else
			arena_heap_free(arena, mine, size);
	}
	*out_node = node;
	return 0;
}

/* Of a node at @level; level 0 is a leaf's parent. */
static size_t child_size(unsigned level)
{
	return level > 0 ? sizeof(struct inodeset) : LEAF_WORDS * sizeof(uint64_t);
}

int inodeset_reserve(struct inodeset *set, struct arena *arena, ref_t ref)
{
	void **nodes = set->nodes;

	for (unsigned level = LEVELS; level-- > 0;) {
		void *next;
		int err = node_get(arena, &nodes[node_index(ref, level)], child_size(level), &next);

		if (err)
			return err;
		nodes = next;
	}
	return 0;
}

void inodeset_add(struct inodeset *set, ref_t ref)
{
	__atomic_fetch_or(word_of(set, ref), bit_of(ref), __ATOMIC_RELEASE);
}

void inodeset_remove(struct inodeset *set, ref_t ref)
{
	__atomic_fetch_and(word_of(set, ref), ~bit_of(ref), __ATOMIC_RELAXED);
}

bool inodeset_has(const struct inodeset *set, uint64_t ref)
{
	const uint64_t *word;

	if (ref >> ARENA_REF_BITS)
		return false;
	word = word_of(set, ref);
	return word != NULL && (__atomic_load_n(word, __ATOMIC_ACQUIRE) & bit_of(ref));
}

/* How many numbers around @ref lead to the same missing node. */
static uint64_t step_of(const struct inodeset *set, ref_t ref)
{
	void *const *nodes = set->nodes;
	unsigned level = LEVELS;

	while (level > 0 && nodes != NULL) {
		level--;
		nodes = __atomic_load_n(&nodes[node_index(ref, level)], __ATOMIC_ACQUIRE);
	}
	return UINT64_C(1) << (INODESET_LEAF_SHIFT + level * INODESET_NODE_SHIFT);
}

bool inodeset_next(const struct inodeset *set, uint64_t ref, uint64_t *out_ref)
{
	while (ref >> ARENA_REF_BITS == 0) {
		const uint64_t *place = word_of(set, ref);
		uint64_t word;

		if (place == NULL) {
			ref = (ref | (step_of(set, ref) - 1)) + 1;
			continue;
		}
		word = __atomic_load_n(place, __ATOMIC_ACQUIRE) & (UINT64_MAX << (ref & 63));
		if (word) {
			*out_ref = (ref & ~UINT64_C(63)) + (unsigned)__builtin_ctzll(word);
			return true;
		}
		ref = (ref | 63) + 1;
	}
	return false;
}

static void nodes_free(struct arena *arena, void **nodes, unsigned level)
{
	for (unsigned i = 0; i < INODESET_NODE_SIZE; i++) {
		if (nodes[i] != NULL && level > 0)
			nodes_free(arena, nodes[i], level - 1);
		arena_heap_free(arena, nodes[i], child_size(level));
	}
}

void inodeset_exit(struct inodeset *set, struct arena *arena)
{
	nodes_free(arena, set->nodes, LEVELS - 1);
}
