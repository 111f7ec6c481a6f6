// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dirindex.c - the index of a large directory. See dirindex.h for its locks.
 *
 * Names: an open-addressing table with linear probing, 8 bytes a slot, at most three quarters full.
 * The hash stands in the slot, so that growing reads no names, and a removal shifts back what
 * follows instead of leaving a mark.
 *
 * Gaps: a binary tree in an array; leaf i is the largest gap of block i, an inner node the larger
 * of its two children. Going down from the root finds the first block whose gap is large enough.
 */
#include "fs/dirindex.h"

#include <errno.h>
#include <string.h>

#include "fs/inode_i.h"

#define DIRINDEX_MIN_SLOTS  256u
#define DIRINDEX_MIN_LEAVES 8u

struct dirindex_slot {
	uint32_t hash;
	uint32_t pos; /* position + 1; 0: the slot is empty */
};

/* What the leaf does not say about a block. */
struct dirindex_block {
	uint16_t free;
	uint16_t gap_at;
};

struct dirindex {
	struct dirindex *next; /* on the same inode lock */
	struct arena *arena; /* whose limit bounds it */
	ino_nr ino;
	uint64_t nr_names;
	uint64_t nr_slots; /* a power of two */
	struct dirindex_slot *slots;
	uint32_t nr_leaves; /* a power of two */
	uint16_t *gaps; /* 2 * nr_leaves; the root is 1, leaf i is nr_leaves + i */
	struct dirindex_block *blocks; /* nr_leaves */
};

/* Where ------------------------------------------------------------------ */

struct dirindex *dirindex_get(struct super *sb, ino_nr ino)
{
	struct dirindex *index = inode_lock_of(sb, ino)->indexes;

	while (index != NULL && index->ino != ino)
		index = index->next;
	return index;
}

void dirindex_attach(struct super *sb, struct dirindex *index)
{
	struct inode_lock *lock = inode_lock_of(sb, index->ino);

	index->next = lock->indexes;
	lock->indexes = index;
}

void dirindex_drop(struct super *sb, ino_nr ino)
{
	struct dirindex **link = &inode_lock_of(sb, ino)->indexes;
	struct dirindex *index;

	while (*link != NULL && (*link)->ino != ino)
		link = &(*link)->next;
	index = *link;
	if (index == NULL)
		return;
	*link = index->next;
	dirindex_destroy(index);
}

void dirindex_drop_all(struct super *sb)
{
	for (unsigned i = 0; i < INODE_NR_LOCKS; i++)
		while (sb->locks[i].indexes != NULL)
			dirindex_drop(sb, sb->locks[i].indexes->ino);
}

/* The bytes of the arrays. */
static size_t slots_size(uint64_t nr_slots)
{
	return nr_slots * sizeof(struct dirindex_slot);
}

static size_t gaps_size(uint32_t nr_leaves)
{
	return 2 * (size_t)nr_leaves * sizeof(uint16_t);
}

static size_t blocks_size(uint32_t nr_leaves)
{
	return nr_leaves * sizeof(struct dirindex_block);
}

int dirindex_create(struct arena *arena, ino_nr ino, uint64_t nr_names, struct dirindex **out_index)
{
	struct dirindex *index;
	void *space;
	int err = arena_heap_alloc(arena, sizeof(*index), &space);

	if (err)
		return err;
	index = space;
	index->arena = arena;
	index->ino = ino;
	index->nr_slots = DIRINDEX_MIN_SLOTS;
	while (index->nr_slots / 4 * 3 < nr_names)
		index->nr_slots *= 2;
	err = arena_heap_alloc(arena, slots_size(index->nr_slots), &space);
	if (err) {
		arena_heap_free(arena, index, sizeof(*index));
		return err;
	}
	index->slots = space;
	*out_index = index;
	return 0;
}

void dirindex_destroy(struct dirindex *index)
{
	if (index == NULL)
		return;
	arena_heap_free(index->arena, index->slots, slots_size(index->nr_slots));
	arena_heap_free(index->arena, index->gaps, gaps_size(index->nr_leaves));
	arena_heap_free(index->arena, index->blocks, blocks_size(index->nr_leaves));
	arena_heap_free(index->arena, index, sizeof(*index));
}

/* Names ------------------------------------------------------------------ */

uint64_t dirindex_nr_names(const struct dirindex *index)
{
	return index->nr_names;
}

static void slots_add(struct dirindex_slot *slots, uint64_t mask, struct dirindex_slot slot)
{
	uint64_t i = slot.hash & mask;

	while (slots[i].pos != 0)
		i = (i + 1) & mask;
	slots[i] = slot;
}

static int slots_resize(struct dirindex *index, uint64_t nr_slots)
{
	struct dirindex_slot *slots;
	void *space;
	int err = arena_heap_alloc(index->arena, slots_size(nr_slots), &space);

	if (err)
		return err;
	slots = space;
	for (uint64_t i = 0; i < index->nr_slots; i++)
		if (index->slots[i].pos != 0)
			slots_add(slots, nr_slots - 1, index->slots[i]);
	arena_heap_free(index->arena, index->slots, slots_size(index->nr_slots));
	index->slots = slots;
	index->nr_slots = nr_slots;
	return 0;
}

int dirindex_reserve(struct dirindex *index)
{
	if (index->nr_names < index->nr_slots / 4 * 3)
		return 0;
	return slots_resize(index, index->nr_slots * 2);
}

void dirindex_add(struct dirindex *index, uint32_t hash, uint32_t pos)
{
	slots_add(index->slots, index->nr_slots - 1, (struct dirindex_slot){ hash, pos + 1 });
	index->nr_names++;
}

/* Closes the hole at @hole: whatever follows and may stand there moves up. */
static void slots_close(struct dirindex_slot *slots, uint64_t mask, uint64_t hole)
{
	for (uint64_t i = (hole + 1) & mask; slots[i].pos != 0; i = (i + 1) & mask) {
		uint64_t home = slots[i].hash & mask;

		/*
		 * It may if its home does not lie behind the hole, going round from there to where
		 * it is.
		 */
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			slots[hole] = slots[i];
			hole = i;
		}
	}
	slots[hole].pos = 0;
}

void dirindex_remove(struct dirindex *index, uint32_t hash, uint32_t pos)
{
	uint64_t mask = index->nr_slots - 1, i = hash & mask;

	while (index->slots[i].pos != pos + 1) {
		ZT_ASSERT(index->slots[i].pos != 0);
		i = (i + 1) & mask;
	}
	slots_close(index->slots, mask, i);
	index->nr_names--;
	/* Without memory for a smaller table the larger one serves on. */
	if (index->nr_slots > DIRINDEX_MIN_SLOTS && index->nr_names < index->nr_slots / 4)
		(void)slots_resize(index, index->nr_slots / 2);
}

bool dirindex_next(const struct dirindex *index, uint32_t hash, uint64_t *inout_cursor,
		   uint32_t *out_pos)
{
	uint64_t mask = index->nr_slots - 1;

	for (;;) {
		const struct dirindex_slot *slot = &index->slots[(hash + *inout_cursor) & mask];

		if (slot->pos == 0)
			return false;
		(*inout_cursor)++;
		if (slot->hash == hash) {
			*out_pos = slot->pos - 1;
			return true;
		}
	}
}

/* Gaps ------------------------------------------------------------------- */

static void gaps_sum_up(uint16_t *gaps, uint32_t node)
{
	gaps[node] = gaps[2 * node] > gaps[2 * node + 1] ? gaps[2 * node] : gaps[2 * node + 1];
}

int dirindex_reserve_blocks(struct dirindex *index, uint32_t nr_blocks)
{
	uint32_t nr_leaves = DIRINDEX_MIN_LEAVES, old = index->nr_leaves;
	struct dirindex_block *blocks;
	void *gaps_space, *blocks_space;
	uint16_t *gaps;
	int err;

	if (nr_blocks <= old)
		return 0;
	if (nr_blocks > DIRINDEX_MAX_BLOCKS)
		return -ENOSPC;
	while (nr_leaves < nr_blocks)
		nr_leaves *= 2;
	err = arena_heap_alloc(index->arena, gaps_size(nr_leaves), &gaps_space);
	if (err)
		return err;
	err = arena_heap_alloc(index->arena, blocks_size(nr_leaves), &blocks_space);
	if (err) {
		arena_heap_free(index->arena, gaps_space, gaps_size(nr_leaves));
		return err;
	}
	gaps = gaps_space;
	blocks = blocks_space;

	for (uint32_t i = 0; i < nr_leaves; i++) {
		gaps[nr_leaves + i] = i < old ? index->gaps[old + i] : DIRBLOCK_UNITS;
		if (i < old)
			blocks[i] = index->blocks[i];
		else
			blocks[i].free = DIRBLOCK_UNITS;
	}
	for (uint32_t node = nr_leaves - 1; node > 0; node--)
		gaps_sum_up(gaps, node);
	arena_heap_free(index->arena, index->gaps, gaps_size(old));
	arena_heap_free(index->arena, index->blocks, blocks_size(old));
	index->gaps = gaps;
	index->blocks = blocks;
	index->nr_leaves = nr_leaves;
	return 0;
}

int dirindex_find_block(struct dirindex *index, unsigned need, uint32_t *out_block)
{
	uint32_t node = 1;

	if (index->nr_leaves == 0 || index->gaps[1] < need) {
		int err = dirindex_reserve_blocks(index, index->nr_leaves + 1);

		if (err)
			return err;
	}
	while (node < index->nr_leaves) {
		node *= 2;
		if (index->gaps[node] < need)
			node++;
	}
	if (node - index->nr_leaves >= DIRINDEX_MAX_BLOCKS)
		return -ENOSPC;
	*out_block = node - index->nr_leaves;
	return 0;
}

struct dirblock_space dirindex_get_space(const struct dirindex *index, uint32_t block)
{
	return (struct dirblock_space){
		.free = index->blocks[block].free,
		.gap = index->gaps[index->nr_leaves + block],
		.gap_at = index->blocks[block].gap_at,
	};
}

void dirindex_set_space(struct dirindex *index, uint32_t block, const struct dirblock_space *space)
{
	uint32_t node = index->nr_leaves + block;

	index->blocks[block] = (struct dirindex_block){ space->free, space->gap_at };
	index->gaps[node] = space->gap;
	for (node /= 2; node > 0; node /= 2)
		gaps_sum_up(index->gaps, node);
}
