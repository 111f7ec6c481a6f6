// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scratch.c - pages in front of the first run, for what must be written down before an object is
 * overwritten.
 *
 * Nothing in the page map describes them. Takes no lock: whoever uses them is alone.
 */
#include "arena/scratch.h"

#include <errno.h>

#include "arena/arena_i.h"
#include "util/alloc.h"

#define SCRATCH_BYTES ((uint64_t)ARENA_SCRATCH_PAGES << ZT_PAGE_SHIFT)

static ref_t scratch_page(const struct arena *arena)
{
	return page_to_ref((uint64_t)arena->first_page - ARENA_SCRATCH_PAGES);
}

void *arena_scratch(const struct arena *arena)
{
	return arena_ptr(arena, scratch_page(arena));
}

/* What was set aside is held now: the sum that the limit bounds stays as it is. */
int arena_scratch_back(struct arena *arena)
{
	int error = zt_fault_hit() ? -ENOMEM : arena_populate_pages(arena, scratch_page(arena),
								    ARENA_SCRATCH_PAGES);

	if (error)
		return error;
	atomic_fetch_sub_explicit(&arena->aside, SCRATCH_BYTES, memory_order_relaxed);
	arena_count_resident(arena, (int64_t)SCRATCH_BYTES);
	return 0;
}

void arena_scratch_drop(struct arena *arena)
{
	arena_punch_pages(arena, scratch_page(arena), ARENA_SCRATCH_PAGES);
	arena_count_resident(arena, -(int64_t)SCRATCH_BYTES);
	atomic_fetch_add_explicit(&arena->aside, SCRATCH_BYTES, memory_order_relaxed);
}

void arena_scratch_forget(struct arena *arena)
{
	uint64_t resident, nr = 0;

	for (unsigned i = 0; i < ARENA_SCRATCH_PAGES; i++) {
		const ref_t page = scratch_page(arena) + page_to_ref(i);

		if (arena_resident_pages(arena, page, 1, &resident) != 0 || !(resident & 1))
			continue;
		arena_forget_page(arena, page);
		nr++;
	}
	arena_count_resident(arena, -(int64_t)(nr << ZT_PAGE_SHIFT));
	arena_uncharge(arena, nr << ZT_PAGE_SHIFT);
}
