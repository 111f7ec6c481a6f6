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
#include "arena/attach.h"
#include "arena/buddy.h"
#include "arena/pagemap.h"
#include "arena/stock.h"
#include "util/lock.h"

#define ARENA_MAGIC        UINT64_C(0x616e6572612d747a) /* "zt-arena" in memory order */
#define ARENA_LAYOUT       2u
#define ARENA_SUPER_OFFSET 2048u

/*
 * Page 0, canonical. What stands in front of sum never changes and is summed up in it; each of the
 * others changes by one store. A bit of incompat that a program does not know forbids it the arena,
 * one of ro_compat forbids it to write there, one of compat means nothing to it.
 */
struct arena_superblock {
	uint64_t magic;
	/*
	 * Version of all that the arena holds. 1: a tree's shape stood in a byte of its inode, and a
	 * directory's words were bare refs. 2: tree.h, dir.h.
	 */
	uint32_t layout;
	uint32_t first_page; /* the page that the page map's first entry describes */
	uint64_t reserve; /* bytes */
	uint64_t compat, ro_compat, incompat; /* ARENA_..., see below */
	uint8_t uuid[16];
	uint64_t sum; /* of all above */
	uint32_t state; /* enum arena_state */
	uint32_t life; /* 1: the process that made it; each that attaches adds one */
};
static_assert(sizeof(struct arena_superblock) == 80, "layout 2 of the superblock");

/* Bits of incompat. */
#define ARENA_STOCKED (UINT64_C(1) << 0) /* zspages are cut as a stock wants them */
#define ARENA_SPILLS  (UINT64_C(1) << 1) /* some of what it holds may be in a spill file */
#define ARENA_BORROWS (UINT64_C(1) << 2) /* pages of some runs stand elsewhere: borrow.h */
/* All that are known. */
#define ARENA_INCOMPAT (ARENA_STOCKED | ARENA_SPILLS | ARENA_BORROWS)
#define ARENA_RO_COMPAT UINT64_C(0)

static_assert(ARENA_SUPER_OFFSET + ARENA_SUPER_SIZE <= ZT_PAGE_SIZE, "page 0 holds both");
static_assert(BUDDY_CHUNK_PAGES * sizeof(uint32_t) == ZT_PAGE_SIZE,
	      "one page of the page map describes one chunk");
static_assert(ARENA_RUN_MAX_PAGES == BUDDY_CHUNK_PAGES, "the longest run is a whole chunk");
static_assert(ARENA_RUN_ORDERS == BUDDY_MAX_ORDER + 1, "each order has a count");

/*
 * What a chunk in use costs beside its page of the page map: its entry in the buddy allocator, and
 * a byte a page that the block map keeps (ages). Counted as heap, for as long as the arena lives.
 */
#define CHUNK_HEAP 2048u
static_assert(sizeof(struct buddy_chunk) + BUDDY_CHUNK_PAGES <= CHUNK_HEAP, "both fit");

/* arena_charge() - space for @bytes under the limit, or -ENOSPC */
int arena_charge(struct arena *arena, uint64_t bytes) ZT_MUST_CHECK;
void arena_uncharge(struct arena *arena, uint64_t bytes);
/* What is backed at a time: 64 KiB, so that one word describes a chunk. */
#define STOCK_GRANULE_ORDER 4u
#define STOCK_GRANULE_PAGES (1u << STOCK_GRANULE_ORDER)
static_assert(BUDDY_CHUNK_PAGES / STOCK_GRANULE_PAGES == 64, "a word of bits for each chunk");

/*
 * Memory kept ready. Pages of the range are backed by granules; those backed and in no run are what
 * the buddy allocator has, the others it takes for used. Guarded by arena.lock but for counters.
 */
struct stock {
	uint64_t target; /* pages to keep ready; 0: there is no stock; constant */
	uint64_t *backed; /* of each chunk; written by the grower alone */
	atomic_uint_fast64_t ready; /* pages; written under the lock, a hint without it */
	atomic_uint_fast64_t waits, timeouts;
	atomic_uint waiting; /* threads that wait for it; written under the lock */
	struct arena_grant grant; /* what is left of it */
	bool full; /* the limit or the range is used up */
	bool dry; /* somebody waited in vain, and nothing has come since */
	bool stop;
	bool paused, idle; /* the walker wants the grower to rest; it does */
	unsigned want_order; /* somebody waits for a block of this order */
	int priority;
	bool has_thread;
	pthread_t thread; /* "zt-grower", joined by stock_exit() */
	pthread_cond_t wanted; /* the grower waits here, */
	pthread_cond_t more; /* and here the threads that wait for it */
};

/* From arena_attach() to arena_attach_end(). */
struct attaching {
	bool active; /* no limit refuses anything */
	uint64_t *resident; /* a bit for each page from first_page on to map_end, as found */
	uint64_t nr_words;
};

struct arena_snapshot;

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
	atomic_uint_fast64_t heap, aside;
	atomic_uint_fast64_t used; /* >= resident + heap + aside; what the limit is held against */
	atomic_uint_fast64_t limit;
	atomic_uint_fast64_t spare; /* of the limit */
	atomic_uint_fast64_t run_bytes;
	struct mutex lock; /* buddy, and writing the page map */
	struct buddy buddy;
	struct stock stock;
	enum arena_state last_state; /* when this process got it; immutable */
	struct attaching attaching; /* used by one thread, before there are others */
	struct arena_repairs repairs;
	/* Shared around populating and punching; below it snapshot.lock alone. */
	struct rwlock snapshot_gate;
	struct arena_snapshot *snapshot; /* NULL: there is none; guarded by the gate */
	/* With one: pages will come, or go. Under the gate. */
	void (*snapshot_tell)(struct arena *arena, ref_t page, uint32_t nr_pages, bool come);
};

#define RESERVE_MIN (8 * MIB)
#define RESERVE_MAX (UINT64_C(1) << (ARENA_REF_BITS + ARENA_REF_SHIFT))
#define CHUNK_BYTES ((uint64_t)BUDDY_CHUNK_PAGES << ZT_PAGE_SHIFT)

/* superblock.c: page 0 is populated and zero; its reserve, first page and stock are known */
int arena_superblock_make(struct arena *arena) ZT_MUST_CHECK;
/* A copy of one, for a file of so many bytes. 0, or an error and its sentence. */
int arena_superblock_check(const struct arena_superblock *sb, uint64_t file_size,
			   char text[256]) ZT_MUST_CHECK;
/* It borrows from now on. */
void arena_superblock_borrow(struct arena_superblock *sb);
/* It is as arena_superblock_check() allows, and its sum is to be right. */
void arena_superblock_sum(struct arena_superblock *sb);
bool arena_superblock_is_sound(const struct arena_superblock *sb);

/* arena.c, for attach.c: map the file's @reserve bytes; arena->fd is open */
int arena_map(struct arena *arena, uint64_t reserve) ZT_MUST_CHECK;
void arena_unmap(struct arena *arena);
/* Give back one page that no counter knows. */
void arena_forget_page(struct arena *arena, ref_t page);
/*
 * What arena_create() and arena_attach() have in common, once it is mapped and first_page is known.
 */
int arena_tables_init(struct arena *arena) ZT_MUST_CHECK;
void arena_tables_exit(struct arena *arena);

/* arena.c, for stock.c: charge and populate, punch and uncharge, whatever the stock. */
int arena_back(struct arena *arena, ref_t page, uint32_t nr_pages) ZT_MUST_CHECK;
/* The same for the page of the page map that chunk @idx needs, with what else a chunk costs. */
int arena_back_chunk(struct arena *arena, uint32_t idx) ZT_MUST_CHECK;
void arena_unback(struct arena *arena, ref_t page, uint32_t nr_pages);
/* arena.c, for scratch.c: populate without a charge; and count what was charged otherwise. */
int arena_populate_pages(struct arena *arena, ref_t page, uint32_t nr_pages) ZT_MUST_CHECK;
void arena_punch_pages(struct arena *arena, ref_t page, uint32_t nr_pages);
void arena_count_resident(struct arena *arena, int64_t bytes);

/*
 * stock.c: its tables, and its thread. The stock is full when stock_start() returns; of an arena that
 * was attached it has what was left, and gets more when that is granted. Nothing without a stock.
 */
int stock_prepare(struct arena *arena, const struct arena_params *params) ZT_MUST_CHECK;
int stock_start(struct arena *arena, bool fill) ZT_MUST_CHECK;
void stock_exit(struct arena *arena);

/* stock.c: have the grower rest between two steps, for the walker; or go on */
void stock_pause(struct arena *arena, bool paused);

/* stock.c: after the limit has changed */
void stock_retry(struct arena *arena);

/* stock.c: a run's place, and back again. Takes arena.lock held. */
int stock_take(struct arena *arena, uint32_t nr_pages, uint32_t *out_page) ZT_MUST_CHECK
	ZT_REQUIRES(&arena->lock);
void stock_give(struct arena *arena, uint32_t page, uint32_t nr_pages) ZT_REQUIRES(&arena->lock);

static inline ref_t page_to_ref(uint64_t page)
{
	return page * ARENA_PAGE_REFS;
}

#endif
