// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * heap.c - what is held beside the arena's pages, counted against the same limit.
 *
 * Small pieces come from the heap, and are counted with what malloc() adds to them. They go back to
 * the system only when malloc() chooses. Large ones, tables that double, are mapped: they end on a
 * page, and go back when they are freed. No locks.
 */
#include <errno.h>

#include "arena/arena.h"
#include "arena/arena_i.h"
#include "util/alloc.h"

/* From here on pages of their own. */
#define HEAP_MAP_MIN ((size_t)64 * KIB)

/* malloc() puts a word before each piece, and makes all of them multiples of 16 bytes. */
static uint64_t heap_cost(size_t size)
{
	if (size >= HEAP_MAP_MIN)
		return div_round_up_u64(size, ZT_PAGE_SIZE) * ZT_PAGE_SIZE;
	return max_u64(32, (size + sizeof(size_t) + 15) / 16 * 16);
}

int arena_heap_alloc(struct arena *arena, size_t size, void **out_ptr)
{
	uint64_t cost = heap_cost(size);
	int error = arena_charge(arena, cost);

	if (error)
		return error;
	*out_ptr = size >= HEAP_MAP_MIN ? zt_map(size) : zt_zalloc(size);
	if (!*out_ptr) {
		arena_uncharge(arena, cost);
		return -ENOMEM;
	}
	atomic_fetch_add_explicit(&arena->heap, cost, memory_order_relaxed);
	return 0;
}

void arena_heap_free(struct arena *arena, void *ptr, size_t size)
{
	uint64_t cost = heap_cost(size);

	if (!ptr)
		return;
	if (size >= HEAP_MAP_MIN)
		zt_unmap(ptr, size);
	else
		zt_free(ptr);
	atomic_fetch_sub_explicit(&arena->heap, cost, memory_order_relaxed);
	arena_uncharge(arena, cost);
}

int arena_set_aside(struct arena *arena, uint64_t bytes)
{
	int error = arena_charge(arena, bytes);

	if (!error)
		atomic_fetch_add_explicit(&arena->aside, bytes, memory_order_relaxed);
	return error;
}

void arena_unset_aside(struct arena *arena, uint64_t bytes)
{
	atomic_fetch_sub_explicit(&arena->aside, bytes, memory_order_relaxed);
	arena_uncharge(arena, bytes);
}
