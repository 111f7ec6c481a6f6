// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * age.c - when objects were last used: a byte for each page of the arena.
 *
 * Volatile, relaxed: a stale value makes an object look older or younger for one pass.
 */
#include "blkmap/slot/age.h"

#include <errno.h>

#include "util/alloc.h"
#include "util/clock.h"

static uint64_t now_seconds(void)
{
	return zt_now_ns() / ZT_NS_PER_S;
}

int ages_init(struct slots *slots, uint32_t idle)
{
	/* A hundred ticks and more are left before an age would wrap. */
	slots->tick_seconds = 1 + idle / 100;
	slots->ages_began = now_seconds();
	slots->nr_ages = arena_pages(slots->arena);
	slots->ages = zt_map(slots->nr_ages);
	return slots->ages ? 0 : -ENOMEM;
}

void ages_exit(struct slots *slots)
{
	zt_unmap(slots->ages, slots->nr_ages);
	slots->ages = NULL;
}

void ages_tick(struct slots *slots)
{
	atomic_store_explicit(&slots->age_now,
			      (unsigned)((now_seconds() - slots->ages_began) / slots->tick_seconds),
			      memory_order_relaxed);
}

unsigned age_of(const struct slots *slots, ref_t ref)
{
	uint8_t tick = (uint8_t)atomic_load_explicit(&slots->age_now, memory_order_relaxed);
	uint8_t age = __atomic_load_n(&slots->ages[ref / ARENA_PAGE_REFS], __ATOMIC_RELAXED);

	return (uint8_t)(tick - age);
}

void age_move(struct slots *slots, ref_t from, ref_t to)
{
	if (!slots->ages || age_of(slots, from) >= age_of(slots, to))
		return;
	__atomic_store_n(&slots->ages[to / ARENA_PAGE_REFS],
			 __atomic_load_n(&slots->ages[from / ARENA_PAGE_REFS], __ATOMIC_RELAXED),
			 __ATOMIC_RELAXED);
}

void age_limit(struct slots *slots, ref_t ref, unsigned most)
{
	uint8_t tick = (uint8_t)atomic_load_explicit(&slots->age_now, memory_order_relaxed);

	__atomic_store_n(&slots->ages[ref / ARENA_PAGE_REFS], (uint8_t)(tick - most),
			 __ATOMIC_RELAXED);
}
