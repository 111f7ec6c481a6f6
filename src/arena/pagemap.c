// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pagemap.c - which page belongs to which run: one 4-byte entry per page, canonical.
 *
 * Takes no locks: writers hold arena.lock, readers need none. Never touches an entry that its
 * caller did not vouch for, since reading a hole of the memfd would allocate it.
 */
#include "arena/pagemap.h"

#include "util/store.h"

#define HEAD      (UINT32_C(1) << 31)
#define POS_SHIFT 16
#define POS_MASK  UINT32_C(0x7fff)

static_assert(ARENA_RUN_MAX_PAGES <= POS_MASK, "a run's length fits its head entry");

static uint32_t entry_load(const uint32_t *map, uint32_t page)
{
	return __atomic_load_n(&map[page], __ATOMIC_RELAXED);
}

static void entry_store(uint32_t *map, uint32_t page, uint32_t entry)
{
	__atomic_store_n(&map[page], entry, __ATOMIC_RELAXED);
	zt_stored("pagemap: an entry");
}

static uint32_t entry_pos(uint32_t entry)
{
	return (entry >> POS_SHIFT) & POS_MASK;
}

static void run_decode(uint32_t head, uint32_t first, struct pagemap_run *out_run)
{
	out_run->first = first;
	out_run->nr_pages = entry_pos(head);
	out_run->type = (enum arena_run_type)(head & 0xf);
	out_run->user = (head >> 4) & 0xfff;
}

void pagemap_set(uint32_t *map, const struct pagemap_run *run)
{
	uint32_t low = (uint32_t)run->type | run->user << 4;

	for (uint32_t i = run->nr_pages - 1; i > 0; i--)
		entry_store(map, run->first + i, i << POS_SHIFT | low);
	entry_store(map, run->first, HEAD | run->nr_pages << POS_SHIFT | low);
}

void pagemap_clear(uint32_t *map, uint32_t first)
{
	uint32_t nr_pages = entry_pos(entry_load(map, first));

	for (uint32_t i = 0; i < nr_pages; i++)
		entry_store(map, first + i, 0);
}

bool pagemap_find(const uint32_t *map, uint32_t end, uint32_t page, struct pagemap_run *out_run)
{
	uint32_t entry, first = page;

	if (page >= end)
		return false;
	entry = entry_load(map, page);
	if (entry == 0)
		return false;
	if (!(entry & HEAD)) {
		if (entry_pos(entry) > page)
			return false;
		first -= entry_pos(entry);
		entry = entry_load(map, first);
	}
	if (!(entry & HEAD) || page - first >= entry_pos(entry))
		return false;
	run_decode(entry, first, out_run);
	return true;
}

bool pagemap_is_head(const uint32_t *map, uint32_t page)
{
	return entry_load(map, page) & HEAD;
}

bool pagemap_wipe(uint32_t *map, uint32_t page)
{
	if (entry_load(map, page) == 0)
		return false;
	entry_store(map, page, 0);
	return true;
}

bool pagemap_next(const uint32_t *map, uint32_t end, uint32_t page, struct pagemap_run *out_run)
{
	for (; page < end; page++) {
		uint32_t entry = entry_load(map, page);

		if (entry & HEAD) {
			run_decode(entry, page, out_run);
			return true;
		}
	}
	return false;
}
