// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * buddy.c - where free page runs are: a buddy allocator over page numbers, volatile.
 *
 * Its memory is one sparse private mapping: pages of it exist from the first chunk on that they
 * describe. The caller holds arena.lock. Never touches the arena itself.
 */
#include "arena/buddy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/alloc.h"
#include "util/sizes.h"

/* Of a range that is bounded: it is used as a whole, and may come from where all other memory does. */
#define SMALL MIB

static bool bit_test(const uint64_t *bits, uint32_t nr)
{
	return bits[nr / 64] >> (nr % 64) & 1;
}

static void bit_set(uint64_t *bits, uint32_t nr)
{
	bits[nr / 64] |= UINT64_C(1) << (nr % 64);
}

static void bit_clear(uint64_t *bits, uint32_t nr)
{
	bits[nr / 64] &= ~(UINT64_C(1) << (nr % 64));
}

static void *map_sparse(size_t size)
{
	void *map = zt_fault_hit() ? MAP_FAILED :
				     mmap(NULL, size, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return NULL;
	/* A huge page would make the sparse part cost 2 MiB. */
	(void)madvise(map, size, MADV_NOHUGEPAGE);
	return map;
}

int buddy_init(struct buddy *buddy, uint32_t nr_chunks)
{
	size_t chunks_size = nr_chunks * sizeof(struct buddy_chunk);
	size_t has_words = (nr_chunks + 63) / 64;
	uint64_t *words;
	void *map;

	memset(buddy, 0, sizeof(*buddy));
	buddy->mapped = chunks_size + (BUDDY_MAX_ORDER + 1) * has_words * sizeof(*words);
	map = buddy->mapped <= SMALL ? zt_map(buddy->mapped) : map_sparse(buddy->mapped);
	if (!map)
		return -ENOMEM;
	buddy->chunks = map;
	words = (uint64_t *)((char *)map + chunks_size);
	for (unsigned order = 0; order <= BUDDY_MAX_ORDER; order++)
		buddy->has[order] = words + order * has_words;
	buddy->nr_chunks = nr_chunks;
	return 0;
}

void buddy_exit(struct buddy *buddy)
{
	if (buddy->mapped <= SMALL)
		zt_unmap(buddy->chunks, buddy->mapped);
	else if (munmap(buddy->chunks, buddy->mapped) != 0)
		abort();
}

/* The first node of @order in a chunk; there are as many nodes as its own number. */
static uint32_t order_base(unsigned order)
{
	return BUDDY_CHUNK_PAGES >> order;
}

static void node_put(struct buddy *buddy, uint32_t chunk_idx, unsigned order, uint32_t node)
{
	struct buddy_chunk *chunk = &buddy->chunks[chunk_idx];

	bit_set(chunk->free, node);
	buddy->nr_free[order]++;
	if (chunk->nr_free[order]++ == 0)
		bit_set(buddy->has[order], chunk_idx);
	if (chunk_idx < buddy->lowest[order])
		buddy->lowest[order] = chunk_idx;
}

static void node_take(struct buddy *buddy, uint32_t chunk_idx, unsigned order, uint32_t node)
{
	struct buddy_chunk *chunk = &buddy->chunks[chunk_idx];

	bit_clear(chunk->free, node);
	buddy->nr_free[order]--;
	if (--chunk->nr_free[order] == 0)
		bit_clear(buddy->has[order], chunk_idx);
}

void buddy_grow(struct buddy *buddy)
{
	ZT_ASSERT(buddy->nr_used < buddy->nr_chunks);
	node_put(buddy, buddy->nr_used++, BUDDY_MAX_ORDER, 1);
}

void buddy_grow_taken(struct buddy *buddy)
{
	ZT_ASSERT(buddy->nr_used < buddy->nr_chunks);
	buddy->nr_used++;
}

void buddy_touch(struct buddy *buddy)
{
	ZT_ASSERT(buddy->nr_used == 0);
	memset(buddy->chunks, 0, buddy->mapped);
}

/*
 * The lowest chunk with a free block of @order. Moves the lower bound up behind what it has seen.
 */
static bool chunk_find(struct buddy *buddy, unsigned order, uint32_t *out_idx)
{
	uint32_t idx = buddy->lowest[order];

	while (idx < buddy->nr_used) {
		uint64_t word = buddy->has[order][idx / 64] >> (idx % 64);

		if (word != 0) {
			*out_idx = buddy->lowest[order] = idx + (uint32_t)__builtin_ctzll(word);
			return true;
		}
		idx = (idx / 64 + 1) * 64;
	}
	buddy->lowest[order] = buddy->nr_used;
	return false;
}

/* The first free node of @order; the chunk has one. */
static uint32_t node_find(const struct buddy_chunk *chunk, unsigned order)
{
	uint32_t node = order_base(order);

	for (;;) {
		uint64_t word = chunk->free[node / 64] >> (node % 64);

		if (word != 0)
			return node + (uint32_t)__builtin_ctzll(word);
		node = (node / 64 + 1) * 64;
	}
}

bool buddy_alloc(struct buddy *buddy, unsigned order, uint32_t *out_page)
{
	unsigned found = order;
	uint32_t idx, node;

	while (!chunk_find(buddy, found, &idx)) {
		if (++found > BUDDY_MAX_ORDER)
			return false;
	}
	node = node_find(&buddy->chunks[idx], found);
	node_take(buddy, idx, found, node);
	while (found > order) {
		found--;
		node *= 2;
		node_put(buddy, idx, found, node + 1);
	}
	*out_page = idx * BUDDY_CHUNK_PAGES + ((node - order_base(order)) << order);
	return true;
}

void buddy_free(struct buddy *buddy, uint32_t page, unsigned order)
{
	uint32_t idx = page / BUDDY_CHUNK_PAGES;
	uint32_t node = order_base(order) + (page % BUDDY_CHUNK_PAGES >> order);

	ZT_ASSERT(!bit_test(buddy->chunks[idx].free, node));
	while (order < BUDDY_MAX_ORDER && bit_test(buddy->chunks[idx].free, node ^ 1)) {
		node_take(buddy, idx, order, node ^ 1);
		node /= 2;
		order++;
	}
	node_put(buddy, idx, order, node);
}

/* Whether no page of the block is taken. */
static bool block_is_free(const uint64_t *taken, uint32_t page, unsigned order)
{
	for (uint32_t i = page; i < page + (1u << order); i++)
		if (bit_test(taken, i))
			return false;
	return true;
}

void buddy_free_rest(struct buddy *buddy, uint32_t chunk_idx,
		     const uint64_t taken[BUDDY_CHUNK_PAGES / 64])
{
	uint32_t page = 0;

	while (page < BUDDY_CHUNK_PAGES) {
		unsigned order = 0;

		if (bit_test(taken, page)) {
			page++;
			continue;
		}
		while (order < BUDDY_MAX_ORDER && page % (2u << order) == 0 &&
		       block_is_free(taken, page + (1u << order), order))
			order++;
		buddy_free(buddy, chunk_idx * BUDDY_CHUNK_PAGES + page, order);
		page += 1u << order;
	}
}

bool buddy_check_sums(const struct buddy *buddy)
{
	for (unsigned order = 0; order <= BUDDY_MAX_ORDER; order++) {
		uint64_t sum = 0;

		for (uint32_t idx = 0; idx < buddy->nr_used; idx++)
			sum += buddy->chunks[idx].nr_free[order];
		if (sum != buddy->nr_free[order])
			return false;
	}
	return true;
}

bool buddy_check(const struct buddy *buddy, uint32_t chunk_idx,
		 const uint64_t taken[BUDDY_CHUNK_PAGES / 64])
{
	const struct buddy_chunk *chunk = &buddy->chunks[chunk_idx];
	uint64_t all_free[BUDDY_NR_NODES / 64] = { 0 };

	for (uint32_t node = BUDDY_NR_NODES - 1; node > 0; node--) {
		bool is_free;

		if (node >= BUDDY_CHUNK_PAGES)
			is_free = !bit_test(taken, node - BUDDY_CHUNK_PAGES);
		else
			is_free = bit_test(all_free, 2 * node) && bit_test(all_free, 2 * node + 1);
		if (is_free)
			bit_set(all_free, node);
	}
	for (unsigned order = 0; order <= BUDDY_MAX_ORDER; order++) {
		uint32_t nr_free = 0;

		for (uint32_t node = order_base(order); node < 2 * order_base(order); node++) {
			bool joined = node > 1 && bit_test(all_free, node / 2);
			bool expected = bit_test(all_free, node) && !joined;

			if (bit_test(chunk->free, node) != expected)
				return false;
			nr_free += expected;
		}
		if (chunk->nr_free[order] != nr_free ||
		    bit_test(buddy->has[order], chunk_idx) != (nr_free > 0) ||
		    (nr_free > 0 && buddy->lowest[order] > chunk_idx))
			return false;
	}
	return true;
}
