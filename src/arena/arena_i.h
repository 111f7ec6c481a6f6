/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arena_i.h - the arena's inside, for the files of this folder.
 *
 *     page 0        1 ...                       first_page ...                      reserve
 *     | superblock | page map, sparse          | runs; chunks of 4 MiB come in use |
 *     |            | page 1 + c: chunk c       | one after the other: map_end      |
 */
#ifndef ZT_ARENA_ARENA_I_H
#define ZT_ARENA_ARENA_I_H

#include <pthread.h>
#include <stdatomic.h>

#include "arena/arena.h"
#include "arena/buddy.h"
#include "arena/pagemap.h"

#define ARENA_MAGIC        UINT64_C(0x616e6572612d747a) /* "zt-arena" in memory order */
#define ARENA_LAYOUT       1u
#define ARENA_SUPER_OFFSET 2048u

/* Page 0, canonical. */
struct arena_superblock {
	uint64_t magic;
	uint32_t layout; /* version of superblock and page map */
	uint32_t first_page; /* the page that the page map's first entry describes */
	uint64_t reserve; /* bytes */
};
static_assert(sizeof(struct arena_superblock) == 24, "layout 1 of the superblock");
static_assert(ARENA_SUPER_OFFSET + ARENA_SUPER_SIZE <= ZT_PAGE_SIZE, "page 0 holds both");
static_assert(BUDDY_CHUNK_PAGES * sizeof(uint32_t) == ZT_PAGE_SIZE,
	      "one page of the page map describes one chunk");
static_assert(ARENA_RUN_MAX_PAGES == BUDDY_CHUNK_PAGES, "the longest run is a whole chunk");
static_assert(ARENA_RUN_ORDERS == BUDDY_MAX_ORDER + 1, "each order has a count");

struct arena {
	struct arena_head head; /* must be first */
	int fd;
	uint32_t first_page;
	uint64_t reserve; /* bytes mapped */
	uint32_t *map; /* the page map, in the arena */
	/* Pages that the page map describes so far; released after the map's page was populated. */
	atomic_uint map_end;
	/* Bytes. Counters alone: they order nothing. */
	atomic_uint_fast64_t resident; /* >= what the memfd holds; equal when idle */
	atomic_uint_fast64_t resident_max;
	atomic_uint_fast64_t limit;
	atomic_uint_fast64_t spare; /* of the limit */
	atomic_uint_fast64_t run_bytes;
	pthread_mutex_t lock; /* buddy, and writing the page map */
	struct buddy buddy;
};

static inline ref_t page_to_ref(uint64_t page)
{
	return page * ARENA_PAGE_REFS;
}

#endif
