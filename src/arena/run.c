// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * run.c - runs of the arena: taken from the buddy allocator, entered in the page map.
 *
 * Locks: arena.lock around both; nothing is called under it but the growth of the page map by one
 * page every 4 MiB. Looking up takes no lock. Never populates or punches a run's own pages.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena/arena.h"
#include "arena/arena_i.h"
#include "util/alloc.h"
#include "util/lock.h"

/* Put one more chunk in use: its page of the page map first. Caller holds arena.lock. */
static int chunk_add_locked(struct arena *arena) ZT_REQUIRES(&arena->lock)
{
	uint32_t idx = arena->buddy.nr_used;
	int error;

	if (idx == arena->buddy.nr_chunks)
		return -ENOSPC;
	error = zt_fault_hit() ? -ENOMEM : arena_back_chunk(arena, idx);
	if (error)
		return error;
	/* Pairs with map_end_load(): a thread that sees the new end may read the new entries. */
	atomic_store_explicit(&arena->map_end, (idx + 1) * BUDDY_CHUNK_PAGES, memory_order_release);
	buddy_grow(&arena->buddy);
	return 0;
}

static uint32_t map_end_load(const struct arena *arena)
{
	return atomic_load_explicit(&arena->map_end, memory_order_acquire);
}

/* Bytes of the range that a run takes. A stocked arena cuts runs to size. */
static uint64_t run_range(const struct arena *arena, uint32_t nr_pages)
{
	if (arena_is_stocked(arena))
		return (uint64_t)nr_pages << ZT_PAGE_SHIFT;
	return (uint64_t)ZT_PAGE_SIZE << buddy_order(nr_pages);
}

int arena_run_alloc(struct arena *arena, uint32_t nr_pages, enum arena_run_type type, uint32_t user,
		    ref_t *out_ref)
{
	struct pagemap_run run = { .nr_pages = nr_pages, .type = type, .user = user };
	unsigned order = buddy_order(nr_pages);
	int error = 0;

	ZT_ASSERT(nr_pages >= 1 && nr_pages <= ARENA_RUN_MAX_PAGES);
	ZT_ASSERT(type != ARENA_RUN_NONE && (unsigned)type < 16 && user < 4096);
	mutex_lock_counted(&arena->lock, ZT_LOCK_ARENA);
	if (arena_is_stocked(arena))
		error = stock_take(arena, nr_pages, &run.first);
	else
		while (!error && !buddy_alloc(&arena->buddy, order, &run.first))
			error = chunk_add_locked(arena);
	if (!error)
		pagemap_set(arena->map, &run);
	mutex_unlock(&arena->lock);
	if (error)
		return error;
	atomic_fetch_add_explicit(&arena->run_bytes, run_range(arena, nr_pages),
				  memory_order_relaxed);
	*out_ref = page_to_ref((uint64_t)arena->first_page + run.first);
	return 0;
}

void arena_run_free(struct arena *arena, ref_t ref)
{
	uint32_t page = (uint32_t)(ref / ARENA_PAGE_REFS) - arena->first_page;
	struct pagemap_run run;

	if (!pagemap_find(arena->map, map_end_load(arena), page, &run) || run.first != page)
		abort();
	/* So that a stock is zero, and an attach finds no headers where there are none. */
	if (arena_is_stocked(arena))
		memset(arena_ptr(arena, ref), 0, (size_t)run.nr_pages << ZT_PAGE_SHIFT);
	mutex_lock_counted(&arena->lock, ZT_LOCK_ARENA);
	pagemap_clear(arena->map, page);
	if (arena_is_stocked(arena))
		stock_give(arena, page, run.nr_pages);
	else
		buddy_free(&arena->buddy, page, buddy_order(run.nr_pages));
	mutex_unlock(&arena->lock);
	atomic_fetch_sub_explicit(&arena->run_bytes, run_range(arena, run.nr_pages),
				  memory_order_relaxed);
}

static void run_export(const struct arena *arena, const struct pagemap_run *run,
		       struct arena_run *out_run)
{
	out_run->ref = page_to_ref((uint64_t)arena->first_page + run->first);
	out_run->nr_pages = run->nr_pages;
	out_run->type = run->type;
	out_run->user = run->user;
}

bool arena_run_find(const struct arena *arena, ref_t ref, struct arena_run *out_run)
{
	uint64_t page = ref / ARENA_PAGE_REFS;
	struct pagemap_run run;

	if (page < arena->first_page || page >= arena->reserve >> ZT_PAGE_SHIFT)
		return false;
	page -= arena->first_page;
	if (!pagemap_find(arena->map, map_end_load(arena), (uint32_t)page, &run))
		return false;
	run_export(arena, &run, out_run);
	return true;
}

uint64_t arena_pages(const struct arena *arena)
{
	return arena->reserve >> ZT_PAGE_SHIFT;
}

bool arena_run_next(const struct arena *arena, uint64_t *inout_cursor, struct arena_run *out_run)
{
	uint64_t page = max_u64(*inout_cursor, arena->first_page) - arena->first_page;
	uint32_t end = map_end_load(arena);
	struct pagemap_run run;

	if (page >= end || !pagemap_next(arena->map, end, (uint32_t)page, &run))
		return false;
	run_export(arena, &run, out_run);
	*inout_cursor = (uint64_t)arena->first_page + run.first + run.nr_pages;
	return true;
}
