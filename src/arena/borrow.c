// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * borrow.c - an arena whose contents stand in the file that it was loaded from. See borrow.h.
 *
 * The page map may hold anything: it is looked at here, and believed by arena_attach() alone.
 *
 * Locks: none. Never reads a page that is not populated.
 */
#include "arena/borrow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena/arena_i.h"
#include "util/alloc.h"

uint64_t arena_head_pages(uint64_t reserve)
{
	return 1 + reserve / CHUNK_BYTES;
}

bool arena_pages_has(const struct arena_pages *pages, uint64_t page)
{
	const uint64_t idx = page - pages->first;

	return page >= pages->first && idx < pages->nr && pages->bits[idx / 64] >> (idx % 64) & 1;
}

void arena_pages_exit(struct arena_pages *pages)
{
	zt_unmap(pages->bits, pages->nr / 8);
	pages->bits = NULL;
	pages->nr = 0;
}

/* Pages of the page map from the first one on. */
static uint32_t count_chunks(int fd, uint64_t head_pages)
{
	const off_t data = lseek(fd, ZT_PAGE_SIZE, SEEK_DATA);
	const off_t hole = data == ZT_PAGE_SIZE ? lseek(fd, data, SEEK_HOLE) : -1;

	if (hole < 0)
		return 0;
	return (uint32_t)min_u64(((uint64_t)hole >> ZT_PAGE_SHIFT) - 1, head_pages - 1);
}

static void note_runs(const uint32_t *map, bool (*borrowed)(uint32_t user), struct arena_pages *kept)
{
	const uint32_t end = (uint32_t)kept->nr;
	struct pagemap_run run;

	for (uint32_t page = 0; pagemap_next(map, end, page, &run); page = run.first + 1) {
		const uint64_t last = min_u64((uint64_t)run.first + run.nr_pages, end);

		if (run.type == ARENA_RUN_ZSPAGE && borrowed(run.user))
			continue;
		for (uint64_t i = run.first; i < last; i++)
			kept->bits[i / 64] |= UINT64_C(1) << (i % 64);
	}
}

static int borrow(int fd, char *head, uint64_t head_pages, bool (*borrowed)(uint32_t user),
		  struct arena_pages *out_kept)
{
	struct arena_superblock *sb = (struct arena_superblock *)head;
	struct arena_pages kept = { .first = sb->first_page };

	kept.nr = (uint64_t)count_chunks(fd, head_pages) * BUDDY_CHUNK_PAGES;
	if (kept.nr > 0) {
		kept.bits = zt_map(kept.nr / 8);
		if (!kept.bits)
			return -ENOMEM;
		note_runs((const uint32_t *)(head + ZT_PAGE_SIZE), borrowed, &kept);
	}
	arena_superblock_borrow(sb);
	*out_kept = kept;
	return 0;
}

int arena_borrow(int fd, bool (*borrowed)(uint32_t user), char text[256],
		 struct arena_pages *out_kept)
{
	_Alignas(struct arena_superblock) char page[ZT_PAGE_SIZE];
	const struct arena_superblock *sb = (const void *)page;
	const void *super;
	uint64_t pages;
	void *head;
	int error = arena_probe(fd, page, text, &super);

	if (error)
		return error;
	if (sb->incompat & ARENA_BORROWS) {
		snprintf(text, 256, "the arena has no contents of its own");
		return -EUCLEAN;
	}
	pages = arena_head_pages(sb->reserve);
	head = mmap(NULL, pages << ZT_PAGE_SHIFT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED)
		return -errno;
	error = borrow(fd, head, pages, borrowed, out_kept);
	if (munmap(head, pages << ZT_PAGE_SHIFT) != 0)
		abort();
	return error;
}
