// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * size_class.c - which rooms there are, and how many of them share a zspage.
 *
 * Pure arithmetic, done once per pool; takes no locks.
 */
#include "zsmalloc/size_class.h"

#include "arena/stock.h"
#include "util/lock.h"
#include "zsmalloc/bitmap.h"
#include "zsmalloc/zspage.h"

#define STEPS_PER_DOUBLING 64u
#define FIRST_BIG_SHIFT    ZT_PAGE_SHIFT /* from a page on steps grow */
#define LAST_BIG_SHIFT     17u /* 128 KiB */

/* A raw cluster is a power of two: bare, and with its keeper's 16 bytes, behind the header. */
#define RAW_ROOM        ZS_ROOM_STEP
#define RAW_KEEPER_ROOM (2 * ZS_ROOM_STEP)

/*
 * Small zspages lose more at their tails, large ones more address range and thus page map in pools
 * that have little in many classes. So a larger one must save 2 in 1000 of the room. Measured over
 * all rooms: 0.2 % lost on average, 0.9 % at most; one zspage of each class spans 150 MiB in all.
 */
#define LARGER_MUST_SAVE    2u /* in 1000 */
#define MAX_PAGES_SMALL     128u
#define MAX_PAGES_FROM_ROOM (32u * 1024u) /* from here on ZSPAGE_MAX_PAGES */

/*
 * Where memory is kept ready (arena_is_stocked()) a zspage has all of its memory from the
 * beginning: some 256 classes with half an empty zspage each must not cost much. And it is a power
 * of two of pages, or what is left of the blocks from which runs are cut is a lot of memory that is
 * ready and of no use.
 */
#define STOCKED_MAX_PAGES 8u

static_assert(ZS_MAX_SIZE + ZS_HDR_SIZE <= (1u << LAST_BIG_SHIFT) + RAW_KEEPER_ROOM,
	      "the largest object has a class");

static void room_add(uint32_t *rooms, uint32_t *inout_nr, uint32_t *inout_last, uint32_t room)
{
	if (room <= *inout_last)
		return;
	if (rooms)
		rooms[*inout_nr] = room;
	(*inout_nr)++;
	*inout_last = room;
}

uint32_t zs_rooms_fill(uint32_t *rooms)
{
	uint32_t nr = 0, last = 0;

	for (uint32_t room = ZS_MIN_ROOM; room <= 1u << FIRST_BIG_SHIFT; room += ZS_ROOM_STEP)
		room_add(rooms, &nr, &last, room);
	for (unsigned shift = FIRST_BIG_SHIFT; shift <= LAST_BIG_SHIFT; shift++) {
		uint32_t base = 1u << shift;

		room_add(rooms, &nr, &last, base + RAW_ROOM);
		room_add(rooms, &nr, &last, base + RAW_KEEPER_ROOM);
		for (uint32_t i = 1; i <= STEPS_PER_DOUBLING && shift < LAST_BIG_SHIFT; i++)
			room_add(rooms, &nr, &last, base + i * (base / STEPS_PER_DOUBLING));
	}
	return nr;
}

uint32_t zs_rooms_find(const uint32_t *rooms, uint32_t nr_rooms, uint32_t room)
{
	uint32_t low = 0, high = nr_rooms - 1;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (rooms[mid] < room)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Bytes that a full zspage costs beyond its rooms: tail, entries in the page map, struct. */
static uint64_t geometry_loss(const struct zs_geometry *geo)
{
	uint64_t tail = (uint64_t)geo->nr_pages * ZT_PAGE_SIZE - (uint64_t)geo->nr_objs * geo->room;
	uint64_t range = 1;

	while (range < geo->nr_pages)
		range *= 2;
	return tail + range * sizeof(uint32_t) + zspage_struct_size(geo);
}

static uint64_t pages_of(uint64_t bytes, bool whole_block)
{
	uint64_t pages = div_round_up_u64(bytes, ZT_PAGE_SIZE), block = 1;

	while (block < pages)
		block *= 2;
	return whole_block ? block : pages;
}

/* Of @most_pages pages, or what one object needs; @block: a power of two of them. */
static void geometry_best(struct zs_geometry *geo, uint32_t room, uint32_t most_pages, bool block)
{
	struct zs_geometry best = { 0 }, try = { .room = room };
	uint64_t best_loss = 0;

	for (uint32_t objs = 1; objs <= ZSPAGE_MAX_OBJS; objs++) {
		uint64_t loss, pages = pages_of((uint64_t)objs * room, block);

		if (pages > most_pages && objs > 1)
			break;
		try.nr_objs = (uint16_t)objs;
		try.nr_pages = (uint16_t)pages;
		loss = geometry_loss(&try);
		/* loss / objs + room * LARGER_MUST_SAVE / 1000 < best_loss / best.nr_objs */
		if (objs == 1 || loss * 1000 * best.nr_objs + (uint64_t)room * LARGER_MUST_SAVE *
								      objs * best.nr_objs <
					 best_loss * 1000 * objs) {
			best = try;
			best_loss = loss;
		}
	}
	*geo = best;
}

void zs_geometry_init(struct zs_geometry *geo, uint32_t room)
{
	geometry_best(geo, room, room < MAX_PAGES_FROM_ROOM ? MAX_PAGES_SMALL : ZSPAGE_MAX_PAGES,
		      false);
}

void zs_geometry_init_stocked(struct zs_geometry *geo, uint32_t room)
{
	geometry_best(geo, room, STOCKED_MAX_PAGES, true);
}

void size_class_init(struct size_class *class, struct zs_pool *pool, uint32_t idx, uint32_t room)
{
	class->pool = pool;
	class->idx = (uint16_t)idx;
	if (arena_is_stocked(pool->arena))
		zs_geometry_init_stocked(&class->geo, room);
	else
		zs_geometry_init(&class->geo, room);
	class->live_words = (uint8_t)BITMAP_WORDS(class->geo.nr_objs);
	class->page_words = (uint8_t)BITMAP_WORDS(class->geo.nr_pages);
	while (1u << class->run_order < class->geo.nr_pages)
		class->run_order++;
	class->tries = 1;
	mutex_init(&class->lock, ZT_RANK_CLASS);
	atomic_store_explicit(&class->ready, true, memory_order_release);
}

void size_class_exit(struct size_class *class)
{
	ZT_ASSERT(class->by_page.nodes == 0); /* so its table has no memory */
	mutex_exit(&class->lock);
}
