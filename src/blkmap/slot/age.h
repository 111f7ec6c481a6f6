/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * age.h - when objects were last used, in ticks modulo 256.
 *
 * Context: any thread, no lock needed.
 */
#ifndef ZT_BLKMAP_SLOT_AGE_H
#define ZT_BLKMAP_SLOT_AGE_H

#include "blkmap/slot/slots.h"

/* ages_init() - @idle: seconds without use that must be told from fewer, at most 86400 */
int ages_init(struct slots *slots, uint32_t idle) ZT_MUST_CHECK;
void ages_exit(struct slots *slots);

/* ages_tick() - what time it is; any thread calls it, about each second */
void ages_tick(struct slots *slots);

/* ages_ticks() - so many seconds, in ticks, one at least */
static inline unsigned ages_ticks(const struct slots *slots, uint32_t seconds)
{
	const unsigned ticks = seconds / slots->tick_seconds;

	return ticks > 0 ? ticks : 1;
}

/* An object at @ref is used now. */
static inline void age_touch(struct slots *slots, ref_t ref)
{
	uint8_t *age = slots->ages ? &slots->ages[ref / ARENA_PAGE_REFS] : NULL;
	uint8_t tick = (uint8_t)atomic_load_explicit(&slots->age_now, memory_order_relaxed);

	/* Looked at first: a page that many read stays in their caches. */
	if (age && __atomic_load_n(age, __ATOMIC_RELAXED) != tick)
		__atomic_store_n(age, tick, __ATOMIC_RELAXED);
}

/* The object at @from is at @to now: as young as the younger of what lies there. */
void age_move(struct slots *slots, ref_t from, ref_t to);

/* Ticks since the object at @ref, or a neighbour on its page, was used: 0..255. */
unsigned age_of(const struct slots *slots, ref_t ref);

/* age_limit() - the object at @ref is no older than @most ticks from now on: ages must not wrap */
void age_limit(struct slots *slots, ref_t ref, unsigned most);

#endif
