/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool_i.h - a pool's inside, and the header word of objects, for the files of this folder.
 *
 * Lock order: compact_lock -> class->lock (one at a time) -> wait_lock, arena.lock. ready_lock is
 * taken with none of them held.
 */
#ifndef ZT_ZSMALLOC_POOL_I_H
#define ZT_ZSMALLOC_POOL_I_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "util/lock.h"
#include "util/store.h"
#include "zsmalloc/pool.h"
#include "zsmalloc/size_class.h"

struct zspage;

/* zs_free() keeps so many pages of a pool for the next zs_malloc(): 1 MiB. */
#define ZS_CACHE_PAGES 256

/* A run's 12 user bits: pool, class. */
#define ZS_USER_CLASS_BITS 10u
#define ZS_MAX_POOLS       4u

struct zs_pool {
	struct arena *arena;
	struct zs_pool_params params;
	uint32_t nr_classes;
	uint32_t *rooms; /* of the classes, ascending */
	struct size_class *classes; /* not all are ready */
	struct mutex ready_lock; /* held while one is made ready; innermost */
	/* Sum of the classes' cached. A hint for zs_free() when read without their locks. */
	atomic_long cached;
	atomic_uint_fast64_t pages_compacted;
	struct mutex compact_lock; /* one compaction at a time; zspage.tried */
	/* Threads in zspage_wait(); they count themselves under class->lock, where it is read. */
	atomic_uint nr_waiters;
	struct mutex wait_lock;
	pthread_cond_t wait_cond;
	/*
	 * Volatile: a bit for each page of the arena, set where a zspage begins in which something
	 * is new since zs_scan_noted() came by (note.c). NULL: nobody asks. Set under class->lock.
	 */
	uint64_t *noted;
	uint64_t nr_noted; /* words */
	atomic_uint_fast64_t noted_end; /* no page from here on was ever noted; relaxed, it grows */
	/*
	 * While it attaches: a bit for each 16 bytes of the arena, set where an object begins that
	 * nobody has claimed yet. NULL: no claims.
	 */
	uint64_t *claims;
	ref_t claims_first; /* what the first bit stands for */
	uint64_t nr_claims; /* bits */
};

#define HDR_LIVE        UINT64_C(1)
#define HDR_INDEX_SHIFT 1
#define HDR_INDEX_MASK  UINT64_C(0x3f)
#define HDR_LEN_SHIFT   7
#define HDR_LEN_MASK    UINT64_C(0x3ffff)
#define HDR_WORD_SHIFT  25
static_assert(HDR_WORD_SHIFT + 39 == 64 && HDR_LEN_SHIFT + 18 == HDR_WORD_SHIFT, "header layout");
static_assert(ZS_MAX_SIZE - 1 <= HDR_LEN_MASK, "a length fits the header");

/*
 * Headers are read by any thread at any time. Acquire and release: a thread that sees a header sees
 * the object that it was stored for, where no lock of the keeper says so already.
 */
static inline uint64_t hdr_load(const struct arena *arena, ref_t ref)
{
	return __atomic_load_n((const uint64_t *)arena_ptr(arena, ref), __ATOMIC_ACQUIRE);
}

static inline void hdr_store(struct arena *arena, ref_t ref, uint64_t hdr)
{
	__atomic_store_n((uint64_t *)arena_ptr(arena, ref), hdr, __ATOMIC_RELEASE);
	zt_stored("pool: an object's header");
}

static inline uint32_t hdr_len(uint64_t hdr)
{
	return (uint32_t)(hdr >> HDR_LEN_SHIFT & HDR_LEN_MASK) + 1;
}

static inline uint64_t hdr_with_len(uint64_t hdr, uint32_t len)
{
	return (hdr & ~(HDR_LEN_MASK << HDR_LEN_SHIFT)) | (uint64_t)(len - 1) << HDR_LEN_SHIFT;
}

static inline struct zs_owner hdr_owner(uint64_t hdr)
{
	return (struct zs_owner){ .word = hdr >> HDR_WORD_SHIFT,
				  .index = (uint32_t)(hdr >> HDR_INDEX_SHIFT & HDR_INDEX_MASK) };
}

static inline uint64_t hdr_with_owner(uint64_t hdr, struct zs_owner owner)
{
	uint64_t keep = HDR_LEN_MASK << HDR_LEN_SHIFT | HDR_LIVE;

	return (hdr & keep) | owner.word << HDR_WORD_SHIFT |
	       (owner.index & HDR_INDEX_MASK) << HDR_INDEX_SHIFT;
}

/**
 * zs_find() - which class and place a ref may belong to
 * @ref: any value
 * Takes no lock. Return: NULL when it lies in no zspage of this pool; otherwise the class, and in
 * @out_page and @out_offset the number of the zspage's first page and the bytes from there.
 */
struct size_class *zs_find(const struct zs_pool *pool, ref_t ref, uint64_t *out_page,
			   uint32_t *out_offset);

/** zs_class_ready() - the class @idx, made ready */
struct size_class *zs_class_ready(struct zs_pool *pool, uint32_t idx);

/**
 * zs_note() - something is new in the zspage that begins at @page
 * Its class's lock is held: so a scan that finds no note has that lock later, and notes come after it.
 */
void zs_note_page(struct zs_pool *pool, uint64_t page);

static inline void zs_note(struct zs_pool *pool, uint64_t page)
{
	if (pool->noted)
		zs_note_page(pool, page);
}

/**
 * zs_note_take() - the first note at or behind @page is taken away
 * Context: class->lock is not held. Return: false: there is none.
 */
bool zs_note_take(struct zs_pool *pool, uint64_t page, uint64_t *out_page);

/** zs_notes_free() - with the pool */
void zs_notes_free(struct zs_pool *pool);

/** zs_pool_free() - the rest, when no class has anything */
void zs_pool_free(struct zs_pool *pool);

/** class_excess() - pages that a class covers beyond what its objects need; class->lock held */
uint64_t class_excess(const struct size_class *class) ZT_REQUIRES(&class->lock);

#endif
