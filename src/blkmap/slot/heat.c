// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * heat.c - which clusters small requests come back to.
 *
 * A large cluster that is read in small pieces is decoded anew for each of them, and one that is
 * overwritten in small pieces would be put together again and again. Such clusters are spread: each
 * page an object of its own, which takes about a seventh more memory (lz4, 64 KiB clusters of /usr:
 * ratio 1.60 instead of 1.81). When they have cooled down they are folded into one object again.
 *
 * A byte for each of 65,536 groups of slots, by the slot's place; volatile. Every HEAT_TICK
 * seconds all are halved. No locks: bytes are relaxed. A count that is lost, or that belongs to
 * another slot of the group, only makes a cluster look hotter or cooler than it is.
 */
#include "blkmap/slot/heat.h"

#include <errno.h>

#include "util/alloc.h"

#define HEAT_BITS    16u
#define HEAT_ENTRIES (1u << HEAT_BITS)

static uint8_t *heat_at(const struct slots *slots, uint64_t place)
{
	return &slots->heat[keyhash_word(&slots->hash_key, place) >> (64 - HEAT_BITS)];
}

int heat_init(struct slots *slots)
{
	slots->heat = zt_map(HEAT_ENTRIES);
	return slots->heat ? 0 : -ENOMEM;
}

void heat_exit(struct slots *slots)
{
	zt_unmap(slots->heat, HEAT_ENTRIES);
	slots->heat = NULL;
}

unsigned heat_of(const struct slots *slots, uint64_t place)
{
	return __atomic_load_n(heat_at(slots, place), __ATOMIC_RELAXED);
}

unsigned heat_add(struct slots *slots, uint64_t place, unsigned add)
{
	uint8_t *heat = heat_at(slots, place);
	unsigned old = __atomic_load_n(heat, __ATOMIC_RELAXED);
	unsigned now = old + add < HEAT_MAX ? old + add : HEAT_MAX;

	/* Looked at first: what is as hot as can be stays in the caches of all readers. */
	if (now != old)
		__atomic_store_n(heat, (uint8_t)now, __ATOMIC_RELAXED);
	return now;
}

void heat_clear(struct slots *slots, uint64_t place)
{
	__atomic_store_n(heat_at(slots, place), 0, __ATOMIC_RELAXED);
}

void heat_cool(struct slots *slots)
{
	for (unsigned i = 0; i < HEAT_ENTRIES; i++) {
		uint8_t heat = __atomic_load_n(&slots->heat[i], __ATOMIC_RELAXED);

		if (heat)
			__atomic_store_n(&slots->heat[i], heat / 2, __ATOMIC_RELAXED);
	}
}
