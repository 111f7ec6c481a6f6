// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * note.c - in which zspages of a pool something is new: a bit for each page of the arena.
 *
 * Volatile: a pool that attaches begins with all of them set. Memory is touched where zspages are.
 *
 * Locks: none of its own. A note is set under class->lock. A scan takes one away before it takes
 * that lock to look: so what is done under it later is noted again.
 */
#include <errno.h>

#include "util/alloc.h"
#include "util/lock.h"
#include "zsmalloc/pool.h"
#include "zsmalloc/pool_i.h"

#define NOTED_BITS 64u

int zs_note_changes(struct zs_pool *pool)
{
	pool->nr_noted = div_round_up_u64(arena_pages(pool->arena), NOTED_BITS);
	pool->noted = zt_map(pool->nr_noted * sizeof(*pool->noted));
	if (!pool->noted)
		return -ENOMEM;
	zs_note_all(pool);
	return 0;
}

void zs_notes_free(struct zs_pool *pool)
{
	if (pool->noted)
		zt_unmap(pool->noted, pool->nr_noted * sizeof(*pool->noted));
	pool->noted = NULL;
}

void zs_note_page(struct zs_pool *pool, uint64_t page)
{
	uint64_t *word = &pool->noted[page / NOTED_BITS], bit = UINT64_C(1) << page % NOTED_BITS;
	uint_fast64_t end = atomic_load_explicit(&pool->noted_end, memory_order_relaxed);

	/* Looked at first: a word that many classes share stays in their caches. */
	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
		__atomic_fetch_or(word, bit, __ATOMIC_RELEASE);
	while (page >= end && !atomic_compare_exchange_weak_explicit(&pool->noted_end, &end, page + 1,
								     memory_order_relaxed,
								     memory_order_relaxed))
		;
}

/* A note too many costs a look: whether the run is one of this pool is seen then. */
void zs_note_all(struct zs_pool *pool)
{
	uint64_t cursor = 0;
	struct arena_run run;

	while (pool->noted && arena_run_next(pool->arena, &cursor, &run))
		zs_note_page(pool, run.ref / ARENA_PAGE_REFS);
}

void zs_note_object(struct zs_pool *pool, ref_t ref)
{
	uint64_t page;
	uint32_t offset;
	struct size_class *class = pool->noted ? zs_find(pool, ref, &page, &offset) : NULL;

	if (!class)
		return;
	mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
	zs_note_page(pool, page);
	mutex_unlock(&class->lock);
}

bool zs_note_take(struct zs_pool *pool, uint64_t page, uint64_t *out_page)
{
	const uint64_t end = atomic_load_explicit(&pool->noted_end, memory_order_relaxed);

	for (; page < end; page = (page / NOTED_BITS + 1) * NOTED_BITS) {
		uint64_t *word = &pool->noted[page / NOTED_BITS];
		uint64_t bits = __atomic_load_n(word, __ATOMIC_RELAXED) >> page % NOTED_BITS;

		if (!bits)
			continue;
		page += (unsigned)__builtin_ctzll(bits);
		/* Before the zspage is looked at: what comes after that is noted again. */
		__atomic_fetch_and(word, ~(UINT64_C(1) << page % NOTED_BITS), __ATOMIC_ACQ_REL);
		*out_page = page;
		return true;
	}
	return false;
}
