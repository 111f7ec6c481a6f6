// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * present.c - what a word says of its cluster: which pages are there, and how far they reach.
 *
 * Locks: none of its own but a share record's, for the mask of a shared object with holes. The slot
 * lock is held by the caller.
 */
#include <string.h>

#include "blkmap/slot/borrow.h"
#include "blkmap/slot/share.h"
#include "blkmap/slot/slots.h"

struct cluster_map *cluster_map_at(const struct slots *slots, uint64_t word)
{
	return zs_data(slots->arena, slot_ref(word));
}

static uint32_t obj_present(const struct slots *slots, uint64_t word)
{
	uint32_t mask = UINT32_MAX;

	if (word & SLOT_SPARSE && slots_borrow(slots))
		mask = borrow_mask(slots, slot_ref(word));
	else if (word & SLOT_SPARSE)
		memcpy(&mask, zs_data(slots->arena, slot_ref(word)), sizeof(mask));
	return mask & pages_mask(slot_length(word));
}

static uint32_t shared_present(struct slots *slots, uint64_t word)
{
	uint32_t mask;

	if (!(word & SLOT_SPARSE))
		return pages_mask(slot_length(word));
	mask = obj_present(slots, share_hold(slots, word));
	share_drop(slots, word);
	return mask;
}

static uint32_t spilled_present(const struct slots *slots, uint64_t word)
{
	uint32_t mask = UINT32_MAX;

	if (word & SLOT_SPARSE)
		mask = spill_mask(slots->spill, slot_spilled_id(word));
	return mask & pages_mask(slot_length(word));
}

uint32_t cluster_map_pages(const struct cluster_map *cmap, unsigned order)
{
	uint32_t mask = 0;

	for (unsigned p = 0; p < 1u << order; p++)
		if (word_get(&cmap->pages[p]))
			mask |= 1u << p;
	return mask;
}

uint32_t slot_present(struct slots *slots, uint64_t word, unsigned order)
{
	const struct cluster_map *cmap;

	switch (slot_kind(word)) {
	case SLOT_HOLE:
		return 0;
	case SLOT_SAME:
		return pages_mask(cluster_size(order));
	case SLOT_ZERO:
		return slot_zero_mask(word);
	case SLOT_OBJ:
		return obj_present(slots, word);
	case SLOT_SHARED:
		return shared_present(slots, word);
	case SLOT_SPILLED:
		return spilled_present(slots, word);
	case SLOT_MAP:
		cmap = cluster_map_at(slots, word);
		return slot_present(slots, word_get(&cmap->base), order) |
		       cluster_map_pages(cmap, order);
	}
	return 0;
}

static uint32_t mask_end(uint32_t mask)
{
	return mask ? (uint32_t)(32 - __builtin_clz(mask)) << ZT_PAGE_SHIFT : 0;
}

uint32_t slot_extent(const struct slots *slots, uint64_t word, unsigned order)
{
	const struct cluster_map *cmap;
	uint32_t end;

	switch (slot_kind(word)) {
	case SLOT_HOLE:
		return 0;
	case SLOT_SAME:
		return cluster_size(order);
	case SLOT_ZERO:
		return mask_end(slot_zero_mask(word));
	case SLOT_OBJ:
	case SLOT_SHARED:
	case SLOT_SPILLED:
		return slot_length(word);
	case SLOT_MAP:
		cmap = cluster_map_at(slots, word);
		end = slot_extent(slots, word_get(&cmap->base), order);
		for (unsigned p = 0; p < 1u << order; p++) {
			uint32_t page_end = slot_extent(slots, word_get(&cmap->pages[p]), 0);

			if (page_end)
				end = (uint32_t)max_u64(end, (p << ZT_PAGE_SHIFT) + page_end);
		}
		return end;
	}
	return 0;
}
