/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * size_class.h - which rooms there are, and how many of them share a zspage.
 *
 * Rooms (header and object, rounded up) lie 16 bytes apart up to a raw page, then 64 to each power
 * of two, so that at most 1.6 % is lost. Raw pages and raw clusters, bare or with 16 bytes of their
 * keeper's, have rooms of their own at every size.
 */
#ifndef ZT_ZSMALLOC_SIZE_CLASS_H
#define ZT_ZSMALLOC_SIZE_CLASS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/chains.h"
#include "util/lock.h"
#include "zsmalloc/pool.h"

#define ZS_ROOM_STEP 16u /* refs count in it */

/* The largest zspage, 1 MiB, and the most slots of one: what their bitmaps are bounded by. */
#define ZSPAGE_MAX_PAGES 256u
#define ZSPAGE_MAX_OBJS  512u

/*
 * How zspages of a class are cut; constant. nr_pages hold nr_objs rooms and less than a page more.
 */
struct zs_geometry {
	uint32_t room; /* bytes */
	uint16_t nr_pages;
	uint16_t nr_objs;
};

/*
 * One class of one pool, owned by it. All below lock is guarded by it. All zero until it is first
 * wanted, so that the memory of those that never are is not touched.
 */
struct size_class {
	struct zs_pool *pool;
	struct zs_geometry geo;
	uint16_t idx;
	uint8_t live_words; /* words of a zspage's bitmap of slots, */
	uint8_t page_words; /* and of one of pages */
	uint8_t run_order; /* zspages start at multiples of 2^run_order pages */
	atomic_bool ready; /* stored with release when all above is there */
	uint16_t tries; /* guarded by lock: the last compaction, for zspage.tried; never 0 */
	struct mutex lock;
	struct zspage *groups[ZS_NR_GROUPS]; /* in each those first that have cached pages */
	struct chains by_page; /* all zspages, by number of their first page */
	uint32_t group_zspages[ZS_NR_GROUPS]; /* zspages in each group */
	uint64_t objects;
	uint64_t object_bytes;
	uint64_t resident; /* populated pages */
	uint32_t cached; /* of these, pages that no slot in use covers, nor being punched */
	uint32_t made; /* objects that were ever, modulo 2^32 */
};

/**
 * zs_rooms_fill() - all rooms of a pool in ascending order; @rooms NULL only counts
 * Return: how many.
 */
uint32_t zs_rooms_fill(uint32_t *rooms);

/** zs_rooms_find() - index of the smallest room that holds @room bytes; there is one */
uint32_t zs_rooms_find(const uint32_t *rooms, uint32_t nr_rooms, uint32_t room);

/** zs_geometry_init() - the zspage for @room that loses least */
void zs_geometry_init(struct zs_geometry *geo, uint32_t room);

/**
 * zs_geometry_init_stocked() - the same for zspages whose memory is there from the beginning: 1, 2,
 * 4 or 8 pages; for rooms that need more, the power of two that holds one
 */
void zs_geometry_init_stocked(struct zs_geometry *geo, uint32_t room);

void size_class_init(struct size_class *class, struct zs_pool *pool, uint32_t idx, uint32_t room);

/** size_class_is_ready() - whether it was ever wanted; if not, it holds nothing */
static inline bool size_class_is_ready(const struct size_class *class)
{
	return atomic_load_explicit(&class->ready, memory_order_acquire);
}

/** size_class_exit() - when no zspage is left */
void size_class_exit(struct size_class *class);

#endif
