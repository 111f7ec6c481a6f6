// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach.c - an arena by its memfd: what the page map and the kernel say becomes free blocks and
 * counters again.
 *
 * A run's head is entered last and cleared first, so a head vouches for its tails. Tails without a
 * head are the rest of a run that a killed process was making or freeing. Anything else that does
 * not fit is damage, and refused.
 *
 * Locks: none; one thread uses the arena. Never reads a page that is not populated.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena/arena_i.h"
#include "arena/scratch.h"
#include "util/alloc.h"

#define CHUNK_WORDS (BUDDY_CHUNK_PAGES / 64)

static bool bit_test(const uint64_t *bits, uint32_t nr)
{
	return bits[nr / 64] >> (nr % 64) & 1;
}

static void bits_set(uint64_t *bits, uint32_t first, uint32_t nr)
{
	for (uint32_t i = first; i < first + nr; i++)
		bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static int damaged(char text[256], uint32_t page)
{
	snprintf(text, 256, "the arena's page map is damaged: the entry of page %" PRIu32
			    " fits no run", page);
	return -EUCLEAN;
}

/* ---- the page map ---- */

/* The run whose head stands at @page: its tails follow, and the rest of its block is free. */
static bool run_is_whole(const struct arena *arena, uint32_t page, struct pagemap_run *run)
{
	uint32_t end = (page / BUDDY_CHUNK_PAGES + 1) * BUDDY_CHUNK_PAGES, block;
	struct pagemap_run at;

	if (!pagemap_find(arena->map, end, page, run) || run->first != page || run->nr_pages == 0 ||
	    run->nr_pages > end - page ||
	    (run->type != ARENA_RUN_ZSPAGE && run->type != ARENA_RUN_SPILL))
		return false;
	block = 1u << buddy_order(run->nr_pages);
	if (page % block != 0)
		return false;
	for (uint32_t i = 1; i < run->nr_pages; i++)
		if (!pagemap_find(arena->map, end, page + i, &at) || at.first != page ||
		    at.user != run->user || at.type != run->type)
			return false;
	for (uint32_t i = run->nr_pages; i < block && !arena_is_stocked(arena); i++)
		if (pagemap_is_head(arena->map, page + i))
			return false;
	return true;
}

/*
 * The chunk's entries: @out_taken as the buddy allocator sees it, @out_runs pages that are in runs.
 */
static int read_entries(struct arena *arena, uint32_t chunk, uint64_t *out_taken,
			uint64_t *out_runs, char text[256])
{
	uint32_t first = chunk * BUDDY_CHUNK_PAGES, page = 0;

	memset(out_taken, 0, CHUNK_WORDS * sizeof(*out_taken));
	memset(out_runs, 0, CHUNK_WORDS * sizeof(*out_runs));
	while (page < BUDDY_CHUNK_PAGES) {
		struct pagemap_run run;
		uint32_t block;

		if (!pagemap_is_head(arena->map, first + page)) {
			arena->repairs.map_entries += pagemap_wipe(arena->map, first + page);
			page++;
			continue;
		}
		if (!run_is_whole(arena, first + page, &run))
			return damaged(text, first + page);
		block = arena_is_stocked(arena) ? run.nr_pages : 1u << buddy_order(run.nr_pages);
		bits_set(out_taken, page, block);
		bits_set(out_runs, page, run.nr_pages);
		arena->run_bytes += (uint64_t)block << ZT_PAGE_SHIFT;
		for (uint32_t i = run.nr_pages; i < block; i++)
			arena->repairs.map_entries += pagemap_wipe(arena->map, first + page + i);
		page += block;
	}
	return 0;
}

/* ---- pages ---- */

static uint64_t *chunk_resident(const struct arena *arena, uint32_t chunk)
{
	return arena->attaching.resident + (uint64_t)chunk * CHUNK_WORDS;
}

/* Pages of the chunk that are in no run go back. */
static void punch_strays(struct arena *arena, uint32_t chunk, const uint64_t *runs)
{
	uint64_t *resident = chunk_resident(arena, chunk);

	for (uint32_t i = 0; i < BUDDY_CHUNK_PAGES; i++) {
		if (!bit_test(resident, i) || bit_test(runs, i))
			continue;
		arena_forget_page(arena, page_to_ref((uint64_t)arena->first_page +
						     (uint64_t)chunk * BUDDY_CHUNK_PAGES + i));
		resident[i / 64] &= ~(UINT64_C(1) << (i % 64));
		arena->repairs.stray_pages++;
	}
}

/*
 * A stock's granules are backed as a whole, or were being: then they are not, if nothing is there.
 */
static int find_granules(struct arena *arena, uint32_t chunk, uint64_t *inout_taken,
			 const uint64_t *runs, char text[256])
{
	uint64_t *resident = chunk_resident(arena, chunk), kept[CHUNK_WORDS];
	const uint64_t all = (UINT64_C(1) << STOCK_GRANULE_PAGES) - 1;

	memset(kept, 0, sizeof(kept));
	for (uint32_t i = 0; i < BUDDY_CHUNK_PAGES / STOCK_GRANULE_PAGES; i++) {
		uint32_t word = i * STOCK_GRANULE_PAGES / 64;
		unsigned shift = i * STOCK_GRANULE_PAGES % 64;

		if ((resident[word] >> shift & all) == all) {
			arena->stock.backed[chunk] |= UINT64_C(1) << i;
			kept[word] |= all << shift;
			continue;
		}
		if (runs[word] >> shift & all)
			return damaged(text, chunk * BUDDY_CHUNK_PAGES + i * STOCK_GRANULE_PAGES);
		inout_taken[word] |= all << shift;
	}
	punch_strays(arena, chunk, kept);
	return 0;
}

static int attach_chunk(struct arena *arena, uint32_t chunk, char text[256])
{
	uint64_t taken[CHUNK_WORDS], runs[CHUNK_WORDS];
	uint32_t nr_free = 0;
	int error = read_entries(arena, chunk, taken, runs, text);

	if (error)
		return error;
	buddy_grow_taken(&arena->buddy);
	if (arena_is_stocked(arena))
		error = find_granules(arena, chunk, taken, runs, text);
	else
		punch_strays(arena, chunk, runs);
	if (error)
		return error;
	for (uint32_t i = 0; i < CHUNK_WORDS; i++)
		nr_free += 64 - (unsigned)__builtin_popcountll(taken[i]);
	buddy_free_rest(&arena->buddy, chunk, taken);
	if (arena_is_stocked(arena))
		atomic_fetch_add_explicit(&arena->stock.ready, nr_free, memory_order_relaxed);
	return 0;
}

/* Chunks in use: those whose page of the map is there, the first ones. */
static int count_chunks(const struct arena *arena, uint32_t *out_nr, char text[256])
{
	off_t start = ZT_PAGE_SIZE, data = lseek(arena->fd, start, SEEK_DATA), hole, next;
	off_t first = (off_t)(arena->first_page - ARENA_SCRATCH_PAGES) << ZT_PAGE_SHIFT;

	*out_nr = 0;
	if (data < 0 || data >= first)
		return data < 0 && errno != ENXIO ? -errno : 0;
	hole = lseek(arena->fd, data, SEEK_HOLE);
	if (hole < 0)
		return -errno;
	next = hole < first ? lseek(arena->fd, hole, SEEK_DATA) : first;
	if (next < 0 && errno != ENXIO)
		return -errno;
	*out_nr = (uint32_t)(((hole < first ? hole : first) - start) >> ZT_PAGE_SHIFT);
	if (data == start && (next < 0 || next >= first) && *out_nr <= arena->buddy.nr_chunks)
		return 0;
	snprintf(text, 256, "the arena's page map is damaged: it has holes");
	return -EUCLEAN;
}

/* What the map does not describe is nobody's. */
static void punch_behind(struct arena *arena)
{
	uint64_t end = (uint64_t)arena->first_page + arena->map_end;
	off_t data = lseek(arena->fd, (off_t)(end << ZT_PAGE_SHIFT), SEEK_DATA);

	if (data < 0)
		return;
	arena->repairs.stray_pages++;
	(void)fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, data,
			(off_t)arena->reserve - data);
}

static int attach_pages(struct arena *arena, char text[256])
{
	uint64_t heap;
	uint32_t nr;
	int error = count_chunks(arena, &nr, text);

	if (error)
		return error;
	arena->attaching.nr_words = (uint64_t)nr * CHUNK_WORDS;
	if (nr > 0) {
		arena->attaching.resident = zt_map(arena->attaching.nr_words * sizeof(uint64_t));
		if (!arena->attaching.resident)
			return -ENOMEM;
		error = arena_resident_pages(arena, page_to_ref(arena->first_page),
					     nr * BUDDY_CHUNK_PAGES, arena->attaching.resident);
	}
	for (uint32_t chunk = 0; chunk < nr && !error; chunk++) {
		arena->map_end += BUDDY_CHUNK_PAGES;
		error = attach_chunk(arena, chunk, text);
	}
	if (error)
		return error;
	punch_behind(arena);
	heap = (uint64_t)nr * CHUNK_HEAP;
	arena->resident = arena->resident_max = arena_memfd_bytes(arena);
	arena->heap = heap;
	arena->used = arena->resident + heap;
	return 0;
}

/* ---- life ---- */

static int read_superblock(int fd, struct arena_superblock *out, char text[256])
{
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st) != 0)
		return -errno;
	got = pread(fd, out, sizeof(*out), 0);
	if (got != sizeof(*out)) {
		snprintf(text, 256, "this memory is no arena");
		return got < 0 ? -errno : -EUCLEAN;
	}
	return arena_superblock_check(out, (uint64_t)st.st_size, text);
}

/* Zspages are cut as the one or the other needs them; and what is not in the file is nowhere else. */
static int check_kind(const struct arena_params *params, const struct arena_superblock *sb,
		      char text[256])
{
	bool stocked = sb->incompat & ARENA_STOCKED, borrows = sb->incompat & ARENA_BORROWS;

	if (borrows != params->borrows) {
		snprintf(text, 256, "the arena's contents stand in %s",
			 borrows ? "an image, which is not there" : "itself, not in an image");
		return -EINVAL;
	}
	if (stocked == (params->stock != 0))
		return 0;
	snprintf(text, 256, "the arena was made %s a reserve for swap",
		 stocked ? "with" : "without");
	return -EINVAL;
}

/* Undo what has been made so far; the file is the caller's still. */
static void attach_undo(struct arena *arena)
{
	int fd;

	arena->heap = (uint64_t)arena->map_end / BUDDY_CHUNK_PAGES * CHUNK_HEAP;
	arena_detach(arena, &fd);
}

int arena_attach(const struct arena_params *params, int fd, char text[256],
		 struct arena **out_arena)
{
	struct arena_superblock sb;
	struct arena *arena;
	int error;

	snprintf(text, 256, "cannot attach to the memory arena");
	error = read_superblock(fd, &sb, text);
	if (!error)
		error = check_kind(params, &sb, text);
	if (error)
		return error;
	arena = zt_zalloc(sizeof(*arena));
	if (!arena)
		return -ENOMEM;
	arena->fd = fd;
	arena->limit = params->limit;
	arena->first_page = sb.first_page;
	arena->last_state = (enum arena_state)sb.state;
	arena->attaching.active = true;
	error = arena_map(arena, sb.reserve);
	if (error)
		goto err_free;
	error = arena_tables_init(arena);
	if (error)
		goto err_unmap;
	error = stock_prepare(arena, params);
	if (!error)
		error = attach_pages(arena, text);
	if (error) {
		attach_undo(arena);
		return error;
	}
	arena_superblock_sum(arena_ptr(arena, 0));
	((struct arena_superblock *)arena_ptr(arena, 0))->life++;
	arena_set_state(arena, ARENA_RECOVERING);
	*out_arena = arena;
	return 0;

err_unmap:
	arena_unmap(arena);
err_free:
	zt_free(arena);
	return error;
}

void arena_attach_resident(const struct arena *arena, ref_t page, uint32_t nr_pages,
			   uint64_t *bitmap)
{
	uint64_t first = page / ARENA_PAGE_REFS - arena->first_page;

	memset(bitmap, 0, (nr_pages + 63) / 64 * sizeof(*bitmap));
	for (uint32_t i = 0; i < nr_pages; i++)
		if (arena->attaching.resident[(first + i) / 64] >> ((first + i) % 64) & 1)
			bitmap[i / 64] |= UINT64_C(1) << (i % 64);
}

void arena_attach_drop(struct arena *arena, ref_t ref)
{
	arena->repairs.empty_runs++;
	arena_run_free(arena, ref);
}

int arena_attach_end(struct arena *arena)
{
	zt_unmap(arena->attaching.resident, arena->attaching.nr_words * sizeof(uint64_t));
	arena->attaching = (struct attaching){ .active = false };
	return stock_start(arena, false);
}

void arena_get_repairs(const struct arena *arena, struct arena_repairs *out)
{
	*out = arena->repairs;
}
