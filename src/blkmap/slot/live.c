// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * live.c - the cluster maps behind each slot lock: found by the place of their slot, and in the order
 * in which they are to be folded.
 *
 * Nothing here walks a list: a mount may have a thousand maps and more to a lock, and each small
 * overwrite finds one of them. A ring has the oldest first, so folding looks at those alone that are
 * due.
 */
#include "blkmap/slot/live.h"

#include <stddef.h>

#include "blkmap/slot/account.h"

/* The upper bits have chosen the lock. */
static uint64_t place_hash(const struct slots *slots, uint64_t place)
{
	return keyhash_word(&slots->hash_key, place);
}

static struct live_map *map_of(struct chain_link *link)
{
	return link ? container_of(link, struct live_map, link) : NULL;
}

static uint64_t map_hash(const void *arg, const struct chain_link *link)
{
	const struct slots *slots = arg;
	const struct live_map *live = container_of(link, const struct live_map, link);

	return place_hash(slots, live->place);
}

static int heads_alloc(void *arg, size_t size, void **out_ptr)
{
	struct slots *slots = arg;

	return arena_heap_alloc(slots->arena, size, out_ptr);
}

static void heads_free(void *arg, void *ptr, size_t size)
{
	struct slots *slots = arg;

	arena_heap_free(slots->arena, ptr, size);
}

static const struct chains_ops map_chains = {
	.hash = map_hash,
	.alloc = heads_alloc,
	.free = heads_free,
};

struct live_map *live_map_find(const struct slots *slots, const struct slot_lock *lock,
			       uint64_t place)
{
	struct live_map *live =
		map_of(chains_first(&lock->maps.by_place, place_hash(slots, place)));

	while (live && live->place != place)
		live = map_of(live->link.next);
	return live;
}

/* The oldest one's older is the youngest. */
static void ring_add(struct live_maps *maps, struct live_map *live)
{
	if (!maps->oldest) {
		maps->oldest = live->older = live->younger = live;
		return;
	}
	live->younger = maps->oldest;
	live->older = maps->oldest->older;
	live->older->younger = live;
	live->younger->older = live;
}

static void ring_remove(struct live_maps *maps, struct live_map *live)
{
	if (live->younger == live) {
		maps->oldest = NULL;
		return;
	}
	live->older->younger = live->younger;
	live->younger->older = live->older;
	if (maps->oldest == live)
		maps->oldest = live->younger;
}

void live_map_add(struct slots *slots, struct slot_lock *lock, struct live_map *live)
{
	live->touched = (uint32_t)blkmap_now();
	ring_add(&lock->maps, live);
	chains_add(&lock->maps.by_place, &map_chains, slots, &live->link,
		   place_hash(slots, live->place));
}

struct live_map *live_map_take(struct slots *slots, struct slot_lock *lock, uint64_t place)
{
	struct live_map *live = live_map_find(slots, lock, place);

	if (!live)
		return NULL;
	ring_remove(&lock->maps, live);
	chains_remove(&lock->maps.by_place, &map_chains, slots, &live->link,
		      place_hash(slots, place));
	return live;
}

void live_map_remove(struct slots *slots, struct slot_lock *lock, uint64_t place)
{
	struct live_map *live = live_map_take(slots, lock, place);

	if (live)
		setting_put(slots, live->setting);
	arena_heap_free(slots->arena, live, sizeof(*live));
}

void live_map_postpone(struct slot_lock *lock, struct live_map *live)
{
	live->touched = (uint32_t)blkmap_now();
	ring_remove(&lock->maps, live);
	ring_add(&lock->maps, live);
}

void live_map_touch(struct slot_lock *lock, struct live_map *live)
{
	/* Within a second the order is of no consequence. */
	if (live->touched != (uint32_t)blkmap_now())
		live_map_postpone(lock, live);
}
