// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * check.c - the arena's walker: what the page map and the kernel say, against the volatile state.
 *
 * Nobody else uses the arena meanwhile; takes no lock. Changes nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "arena/arena.h"
#include "arena/arena_i.h"
#include "util/log.h"

/* Every entry of the chunk belongs to a run as its head says; fill @taken as the buddy sees it. */
static int check_entries(const struct arena *arena, uint32_t chunk, uint64_t *taken,
			 uint64_t *inout_run_bytes)
{
	uint32_t page = chunk * BUDDY_CHUNK_PAGES, end = page + BUDDY_CHUNK_PAGES;
	struct pagemap_run run, at;

	memset(taken, 0, BUDDY_CHUNK_PAGES / 8);
	while (page < end) {
		uint32_t block;

		if (arena->map[page] == 0) {
			page++;
			continue;
		}
		if (!pagemap_find(arena->map, end, page, &run) || run.first != page)
			goto bad;
		block = 1u << buddy_order(run.nr_pages);
		if (page % block != 0 || run.type == ARENA_RUN_NONE)
			goto bad;
		/* Its block's tail is free for others. */
		if (arena_is_stocked(arena))
			block = run.nr_pages;
		for (uint32_t i = 0; i < block; i++) {
			uint32_t bit = (page + i) % BUDDY_CHUNK_PAGES;
			bool covered = arena->map[page + i] != 0;

			if (covered != (i < run.nr_pages))
				goto bad;
			if (covered &&
			    (!pagemap_find(arena->map, end, page + i, &at) || at.first != page))
				goto bad;
			taken[bit / 64] |= UINT64_C(1) << (bit % 64);
		}
		*inout_run_bytes += (uint64_t)block << ZT_PAGE_SHIFT;
		page += block;
	}
	return 0;
bad:
	zt_log(ZT_LOG_ERR, "arena: page map: entry of page %" PRIu32 " fits no run", page);
	return -EUCLEAN;
}

/* Granules that are not backed are none of the buddy's, hold no run and no memory. */
static int check_granules(const struct arena *arena, uint32_t chunk, uint64_t *taken)
{
	uint64_t resident[BUDDY_CHUNK_PAGES / 64];
	ref_t first = page_to_ref((uint64_t)arena->first_page + chunk * BUDDY_CHUNK_PAGES);
	int error = arena_resident_pages(arena, first, BUDDY_CHUNK_PAGES, resident);

	for (uint32_t i = 0; i < 64 && !error; i++) {
		uint64_t mask = ((UINT64_C(1) << STOCK_GRANULE_PAGES) - 1)
				<< (i * STOCK_GRANULE_PAGES % 64);
		uint32_t word = i * STOCK_GRANULE_PAGES / 64;
		bool backed = arena->stock.backed[chunk] >> i & 1;

		if ((resident[word] & mask) != (backed ? mask : 0) ||
		    (!backed && (taken[word] & mask))) {
			zt_log(ZT_LOG_ERR,
			       "arena: chunk %" PRIu32 ": granule %" PRIu32
			       " is not what the stock says",
			       chunk, i);
			error = -EUCLEAN;
		}
		if (!backed)
			taken[word] |= mask;
	}
	return error;
}

/* No page of the chunk that lies outside of runs is populated. */
static int check_holes(const struct arena *arena, uint32_t chunk)
{
	uint64_t resident[BUDDY_CHUNK_PAGES / 64];
	uint32_t page = chunk * BUDDY_CHUNK_PAGES;
	struct pagemap_run run;
	int error = arena_resident_pages(arena, page_to_ref((uint64_t)arena->first_page + page),
					 BUDDY_CHUNK_PAGES, resident);

	if (error)
		return error;
	for (uint32_t i = 0; i < BUDDY_CHUNK_PAGES; i++) {
		if ((resident[i / 64] >> (i % 64) & 1) &&
		    !pagemap_find(arena->map, page + BUDDY_CHUNK_PAGES, page + i, &run)) {
			zt_log(ZT_LOG_ERR, "arena: page %" PRIu32 " is populated but free",
			       page + i);
			return -EUCLEAN;
		}
	}
	return 0;
}

static int check_map_pages(const struct arena *arena, uint32_t nr_used)
{
	for (uint32_t chunk = 0; chunk < arena->buddy.nr_chunks; chunk++) {
		uint64_t resident;
		int error =
			arena_resident_pages(arena, page_to_ref(1 + (uint64_t)chunk), 1, &resident);

		if (error)
			return error;
		if (resident != (chunk < nr_used)) {
			zt_log(ZT_LOG_ERR, "arena: page map: page %" PRIu32 ": populated %d", chunk,
			       (int)resident);
			return -EUCLEAN;
		}
		/* Behind the end a look at the first few shows stray growth; the range is long. */
		if (chunk > nr_used + 64)
			break;
	}
	return 0;
}

static int check_counters(const struct arena *arena, uint64_t run_bytes)
{
	struct arena_stat stat;
	uint64_t held = arena_memfd_bytes(arena);

	arena_get_stat(arena, &stat);
	if (stat.run_bytes != run_bytes) {
		zt_log(ZT_LOG_ERR, "arena: runs cover %" PRIu64 " bytes, counted %" PRIu64,
		       run_bytes, stat.run_bytes);
		return -EUCLEAN;
	}
	if (stat.resident != held || stat.resident > stat.resident_max) {
		zt_log(ZT_LOG_ERR, "arena: the memfd holds %" PRIu64 " bytes, counted %" PRIu64,
		       held, stat.resident);
		return -EUCLEAN;
	}
	return 0;
}

static int check_all(struct arena *arena)
{
	const struct arena_superblock *sb = arena_ptr(arena, 0);
	uint32_t nr_used = arena->map_end / BUDDY_CHUNK_PAGES;
	uint64_t taken[BUDDY_CHUNK_PAGES / 64], run_bytes = 0;
	int error;

	if (!arena_superblock_is_sound(sb) || sb->first_page != arena->first_page ||
	    sb->reserve != arena->reserve || arena->buddy.nr_used != nr_used) {
		zt_log(ZT_LOG_ERR, "arena: superblock: damaged");
		return -EUCLEAN;
	}
	error = check_map_pages(arena, nr_used);
	if (error)
		return error;
	for (uint32_t chunk = 0; chunk < nr_used; chunk++) {
		error = check_entries(arena, chunk, taken, &run_bytes);
		if (!error && arena_is_stocked(arena))
			error = check_granules(arena, chunk, taken);
		if (error)
			return error;
		if (!buddy_check(&arena->buddy, chunk, taken)) {
			zt_log(ZT_LOG_ERR, "arena: chunk %" PRIu32 ": free blocks differ", chunk);
			return -EUCLEAN;
		}
		if (!arena_is_stocked(arena))
			error = check_holes(arena, chunk);
		if (error)
			return error;
	}
	if (!buddy_check_sums(&arena->buddy)) {
		zt_log(ZT_LOG_ERR, "arena: sums of free blocks differ");
		return -EUCLEAN;
	}
	return check_counters(arena, run_bytes);
}

int arena_check(struct arena *arena)
{
	int error;

	stock_pause(arena, true);
	error = check_all(arena);
	stock_pause(arena, false);
	return error;
}
