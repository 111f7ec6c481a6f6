// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * heat.c - which clusters small requests come back to.
 *
 * A large cluster that is read in small pieces is decoded anew for each of them, and one that is
 * overwritten in small pieces would be put together again and again. Such clusters are spread: each
 * page an object of its own, which takes about a seventh more memory (lz4, 64 KiB clusters of /usr:
 * ratio 1.60 instead of 1.81). When they have cooled down they are folded into one object again.
 *
 * A volatile table, by the slot's place, in sets of four entries: a cache line has four sets. An
 * entry says by a tag whose it is, so that clusters which are read once each never add up to a hot
 * one, and when it was written: it halves with each tick since then, and nobody has to walk the
 * table for that. The table doubles when a quarter of it was written within one tick; where an entry
 * stood before it is found, and moved. In a table that can grow no further a newcomer wears the
 * coldest of its set down, and has its place in the end.
 *
 * No locks: entries are relaxed. A count that is lost only makes a cluster look cooler than it is.
 * Two clusters of the same set and tag look hotter (one pair of clusters in 65,536 of a set), and so
 * does an entry that lies untouched for a whole turn of the ticks, 4.5 hours.
 */
#include "blkmap/slot/heat.h"

#include <errno.h>

#include "util/alloc.h"

#define SET_ENTRIES  4u
#define SET_BYTES    (SET_ENTRIES * sizeof(uint32_t))
#define MIN_SET_BITS 10u /* 16 KiB */
#define PAGES_TO_SET 16u /* of the arena, at most: as much as the ages take */
#define MAX_SET_BITS 28u /* of a hash, below its tag */
#define GROW_PART    4u /* of the entries, written in one tick */
#define SHRINK_PART  64u
#define SHRINK_TICKS 8u /* so long less than that part was written */

/* An entry: tag (16 bits) | tick when it was written (11) | heat then (5); 0: none. */
#define HEAT_BITS  5u
#define TICK_BITS  11u
#define TICK_MASK  ((1u << TICK_BITS) - 1)
#define TAG_SHIFT  (HEAT_BITS + TICK_BITS)
#define HASH_SHIFT 38u /* of the tag; the lock is chosen by the ten bits above it */
static_assert(HEAT_MAX < 1u << HEAT_BITS && HASH_SHIFT >= MAX_SET_BITS, "an entry's parts");

/* One look-up. */
struct heat_look {
	struct heat *heat;
	uint32_t hash, tag, tick;
	unsigned bits; /* of the table's sets */
};

static struct heat_look look_begin(struct slots *slots, uint64_t place)
{
	uint64_t hash = keyhash_word(&slots->hash_key, place);

	return (struct heat_look){
		.heat = &slots->heat,
		.hash = (uint32_t)hash,
		.tag = (uint32_t)(hash >> HASH_SHIFT) & 0xffff,
		.tick = atomic_load_explicit(&slots->heat.tick, memory_order_relaxed) & TICK_MASK,
		.bits = atomic_load_explicit(&slots->heat.set_bits, memory_order_relaxed),
	};
}

static uint32_t entry_get(const uint32_t *entry)
{
	return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

static void entry_set(const struct heat_look *look, uint32_t *entry, uint32_t tag, unsigned heat)
{
	__atomic_store_n(entry, tag << TAG_SHIFT | look->tick << HEAT_BITS | heat,
			 __ATOMIC_RELAXED);
}

static uint32_t entry_age(const struct heat_look *look, uint32_t value)
{
	return (look->tick - (value >> HEAT_BITS)) & TICK_MASK;
}

static unsigned entry_heat(const struct heat_look *look, uint32_t value)
{
	uint32_t age = entry_age(look, value), heat = value & ((1u << HEAT_BITS) - 1);

	return age < HEAT_BITS ? heat >> age : 0;
}

static uint32_t *set_of(const struct heat_look *look, unsigned bits)
{
	return look->heat->table + (look->hash & ((1u << bits) - 1)) * SET_ENTRIES;
}

static uint32_t *set_find(const struct heat_look *look, uint32_t *set)
{
	for (unsigned i = 0; i < SET_ENTRIES; i++) {
		uint32_t value = entry_get(&set[i]);

		if (value >> TAG_SHIFT == look->tag && entry_heat(look, value) > 0)
			return &set[i];
	}
	return NULL;
}

/* The place's entry, or NULL when it is cold. */
static uint32_t *look_find(const struct heat_look *look)
{
	uint32_t *entry = set_find(look, set_of(look, look->bits));

	/* It may stand where it stood before the table was doubled. */
	if (!entry && look->bits > MIN_SET_BITS)
		entry = set_find(look, set_of(look, look->bits - 1));
	return entry;
}

static uint32_t *set_coldest(const struct heat_look *look, uint32_t *set)
{
	uint32_t *coldest = &set[0];

	for (unsigned i = 1; i < SET_ENTRIES; i++)
		if (entry_heat(look, entry_get(&set[i])) < entry_heat(look, entry_get(coldest)))
			coldest = &set[i];
	return coldest;
}

/* An entry was written for the first time in this tick. A table that may take no more stays. */
static void note_written(struct slots *slots)
{
	struct heat *heat = &slots->heat;
	unsigned bits = atomic_load_explicit(&heat->set_bits, memory_order_relaxed), seen = bits;
	uint32_t written = atomic_fetch_add_explicit(&heat->written, 1, memory_order_relaxed);

	if (written < (SET_ENTRIES << bits) / GROW_PART || bits == heat->max_set_bits)
		return;
	if (arena_set_aside(slots->arena, SET_BYTES << bits))
		return;
	if (!atomic_compare_exchange_strong_explicit(&heat->set_bits, &seen, bits + 1,
						     memory_order_relaxed, memory_order_relaxed))
		arena_unset_aside(slots->arena, SET_BYTES << bits);
}

/* Back to what it was in the beginning. */
static void heat_shrink(struct slots *slots)
{
	unsigned bits =
		atomic_exchange_explicit(&slots->heat.set_bits, MIN_SET_BITS, memory_order_relaxed);

	zt_map_drop(slots->heat.table, SET_BYTES << slots->heat.max_set_bits);
	arena_unset_aside(slots->arena, (SET_BYTES << bits) - (SET_BYTES << MIN_SET_BITS));
}

int heat_init(struct slots *slots)
{
	struct heat *heat = &slots->heat;

	heat->max_set_bits = MIN_SET_BITS;
	while (heat->max_set_bits < MAX_SET_BITS &&
	       UINT64_C(1) << heat->max_set_bits < arena_pages(slots->arena) / PAGES_TO_SET)
		heat->max_set_bits++;
	atomic_init(&heat->set_bits, MIN_SET_BITS);
	heat->table = zt_map(SET_BYTES << heat->max_set_bits);
	return heat->table ? 0 : -ENOMEM;
}

uint64_t heat_unused_bytes(const struct slots *slots)
{
	return (SET_BYTES << slots->heat.max_set_bits) - (SET_BYTES << MIN_SET_BITS);
}

void heat_exit(struct slots *slots)
{
	if (!slots->heat.table)
		return;
	heat_shrink(slots);
	zt_unmap(slots->heat.table, SET_BYTES << slots->heat.max_set_bits);
	slots->heat.table = NULL;
}

unsigned heat_of(struct slots *slots, uint64_t place)
{
	const struct heat_look look = look_begin(slots, place);
	const uint32_t *entry = look_find(&look);

	return entry ? entry_heat(&look, entry_get(entry)) : 0;
}

/* It has no entry in the set of now. Return: what it is; it may have found no place. */
static unsigned heat_insert(struct slots *slots, const struct heat_look *look, unsigned add)
{
	uint32_t *entry = set_coldest(look, set_of(look, look->bits)), value = entry_get(entry);
	unsigned other = entry_heat(look, value);

	if (other > add)
		entry_set(look, entry, value >> TAG_SHIFT, other - add);
	else
		entry_set(look, entry, look->tag, add);
	note_written(slots);
	return add;
}

unsigned heat_add(struct slots *slots, uint64_t place, unsigned add)
{
	const struct heat_look look = look_begin(slots, place);
	uint32_t *entry = look_find(&look), *set = set_of(&look, look.bits), value;
	unsigned old, now;

	if (!entry)
		return heat_insert(slots, &look, add);
	value = entry_get(entry);
	old = entry_heat(&look, value);
	now = old + add < HEAT_MAX ? old + add : HEAT_MAX;
	if (entry < set || entry >= set + SET_ENTRIES) {
		__atomic_store_n(entry, 0, __ATOMIC_RELAXED);
		return heat_insert(slots, &look, now);
	}
	/* Looked at first: what is as hot as can be stays in the caches of all readers. */
	if (now != old || entry_age(&look, value) != 0)
		entry_set(&look, entry, look.tag, now);
	if (entry_age(&look, value) != 0)
		note_written(slots);
	return now;
}

void heat_clear(struct slots *slots, uint64_t place)
{
	const struct heat_look look = look_begin(slots, place);
	uint32_t *entry = look_find(&look);

	if (entry)
		__atomic_store_n(entry, 0, __ATOMIC_RELAXED);
}

void heat_cool(struct slots *slots)
{
	struct heat *heat = &slots->heat;
	unsigned bits = atomic_load_explicit(&heat->set_bits, memory_order_relaxed);
	uint32_t written = atomic_exchange_explicit(&heat->written, 0, memory_order_relaxed);

	atomic_fetch_add_explicit(&heat->tick, 1, memory_order_relaxed);
	heat->quiet = written < (SET_ENTRIES << bits) / SHRINK_PART ? heat->quiet + 1 : 0;
	if (heat->quiet < SHRINK_TICKS || bits == MIN_SET_BITS)
		return;
	/* With the few counts that there are: they come again. */
	heat->quiet = 0;
	heat_shrink(slots);
}
