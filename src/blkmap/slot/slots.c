// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * slots.c - the hashed slot locks, publishing and freeing of slot words, and moving objects for the
 * pool.
 *
 * How compaction and writers agree (pool.h has the other half): an object's header names the word
 * that holds its ref. Compaction holds the object's class->lock, so that the object is not freed
 * meanwhile; it tries the slot's lock, and only under it trusts what header and word say. To find
 * that lock it reads the cluster map that the header names. That is safe because an object loses
 * its owner under class->lock (zs_change_owner()), and does so before its word is let go
 * (struct loose_word): a map or a tree node is freed when no header names it. Shared objects:
 * share.c.
 */
#include "blkmap/blkmap_i.h"

#include <errno.h>
#include <string.h>

#include "blkmap/upkeep/dedup.h"
#include "util/alloc.h"
#include "util/hook.h"

struct cluster_map *cluster_map_at(const struct blkmap *map, uint64_t word)
{
	return zs_data(map->arena, slot_ref(word));
}

/* ---- what a word says ---- */

static uint32_t obj_present(const struct blkmap *map, uint64_t word)
{
	uint32_t mask = UINT32_MAX;

	if (word & SLOT_SPARSE)
		memcpy(&mask, zs_data(map->arena, slot_ref(word)), sizeof(mask));
	return mask & pages_mask(slot_length(word));
}

static uint32_t shared_present(struct blkmap *map, uint64_t word)
{
	uint32_t mask;

	if (!(word & SLOT_SPARSE))
		return pages_mask(slot_length(word));
	mask = obj_present(map, share_hold(map, word));
	share_drop(map, word);
	return mask;
}

uint32_t cluster_map_pages(const struct cluster_map *cmap, unsigned order)
{
	uint32_t mask = 0;

	for (unsigned p = 0; p < 1u << order; p++)
		if (word_get(&cmap->pages[p]))
			mask |= 1u << p;
	return mask;
}

uint32_t slot_present(struct blkmap *map, uint64_t word, unsigned order)
{
	const struct cluster_map *cmap;

	switch (slot_kind(word)) {
	case SLOT_HOLE:
		return 0;
	case SLOT_SAME:
		return pages_mask(cluster_size(order));
	case SLOT_ZERO:
		return slot_zero_mask(word);
	case SLOT_OBJ:
		return obj_present(map, word);
	case SLOT_SHARED:
		return shared_present(map, word);
	case SLOT_MAP:
		cmap = cluster_map_at(map, word);
		return slot_present(map, word_get(&cmap->base), order) |
		       cluster_map_pages(cmap, order);
	}
	return 0;
}

static uint32_t mask_end(uint32_t mask)
{
	return mask ? (uint32_t)(32 - __builtin_clz(mask)) << ZT_PAGE_SHIFT : 0;
}

uint32_t slot_extent(const struct blkmap *map, uint64_t word, unsigned order)
{
	const struct cluster_map *cmap;
	uint32_t end;

	switch (slot_kind(word)) {
	case SLOT_HOLE:
		return 0;
	case SLOT_SAME:
		return cluster_size(order);
	case SLOT_ZERO:
		return mask_end(slot_zero_mask(word));
	case SLOT_OBJ:
	case SLOT_SHARED:
		return slot_length(word);
	case SLOT_MAP:
		cmap = cluster_map_at(map, word);
		end = slot_extent(map, word_get(&cmap->base), order);
		for (unsigned p = 0; p < 1u << order; p++) {
			uint32_t page_end = slot_extent(map, word_get(&cmap->pages[p]), 0);

			if (page_end)
				end = (uint32_t)max_u64(end, (p << ZT_PAGE_SHIFT) + page_end);
		}
		return end;
	}
	return 0;
}

/* ---- counters ---- */

int pages_charge(struct blkmap *map, const struct blkmap_file *file, int64_t delta)
{
	if (delta == 0 || !file->nr_pages)
		return 0;
	if (delta > 0 && map->max_pages) {
		uint_fast64_t used = atomic_load_explicit(&map->nr_pages, memory_order_relaxed);

		do {
			if (used + (uint64_t)delta > map->max_pages)
				return -ENOSPC;
		} while (!atomic_compare_exchange_weak_explicit(
			&map->nr_pages, &used, used + (uint64_t)delta, memory_order_relaxed,
			memory_order_relaxed));
	} else {
		atomic_fetch_add_explicit(&map->nr_pages, (uint64_t)delta, memory_order_relaxed);
	}
	__atomic_fetch_add(file->nr_pages, (uint64_t)delta, __ATOMIC_RELAXED);
	return 0;
}

void blkmap_uncharge(struct blkmap *map, const struct blkmap_file *file)
{
	const int error = pages_charge(map, file, -(int64_t)*file->nr_pages);

	huge_forget(map, file);
	ZT_ASSERT(!error); /* they are only given back */
	(void)error;
}

static void count_add(atomic_uint_fast64_t *counter, uint64_t n, int sign)
{
	atomic_fetch_add_explicit(counter, sign > 0 ? n : -n, memory_order_relaxed);
}

void codec_count(struct blkmap *map, uint64_t word, int sign)
{
	if (slot_codec(word) > SLOT_CODEC_MAIN)
		atomic_fetch_add_explicit(&map->codec_objects[slot_codec(word)],
					  (uint64_t)(int64_t)sign, memory_order_release);
}

void slot_count(struct blkmap *map, uint64_t word, unsigned order, int sign)
{
	const struct cluster_map *cmap;
	uint64_t n;

	switch (slot_kind(word)) {
	case SLOT_HOLE:
		break;
	case SLOT_SAME:
		count_add(&map->same_pages, 1u << order, sign);
		break;
	case SLOT_ZERO:
		count_add(&map->same_pages, (unsigned)__builtin_popcount(slot_zero_mask(word)),
			  sign);
		break;
	case SLOT_OBJ:
		codec_count(map, word, sign);
		/* fall through */
	case SLOT_SHARED:
		n = (slot_length(word) + ZT_PAGE_SIZE - 1) >> ZT_PAGE_SHIFT;
		if (slot_kind(word) == SLOT_SHARED)
			count_add(&map->shared_pages, n, sign);
		if (!slot_is_raw(word))
			break;
		count_add(&map->huge_pages, n, sign);
		if (sign > 0 && slot_kind(word) == SLOT_OBJ && slot_codec(word) == SLOT_CODEC_RAW)
			count_add(&map->huge_pages_since, n, 1);
		break;
	case SLOT_MAP:
		cmap = cluster_map_at(map, word);
		slot_count(map, word_get(&cmap->base), order, sign);
		for (unsigned p = 0; p < 1u << order; p++)
			slot_count(map, word_get(&cmap->pages[p]), 0, sign);
		break;
	}
}

/* ---- publishing and freeing ---- */

void slot_set_owner(struct blkmap *map, uint64_t word, const uint64_t *place, unsigned index)
{
	struct zs_owner owner = { .word = slot_place(map, place), .index = index };

	if (slot_kind(word) != SLOT_OBJ)
		return;
	if (zs_get_owner(map->arena, slot_ref(word)).word)
		zs_change_owner(map->data, slot_ref(word), owner);
	else
		zs_set_owner(map->arena, slot_ref(word), owner);
}

static void object_disown(struct blkmap *map, uint64_t word)
{
	if (slot_kind(word) == SLOT_OBJ)
		zs_change_owner(map->data, slot_ref(word), (struct zs_owner){ .word = 0 });
}

/* The object of a SHARED one is its record's. */
struct loose_word slot_disown(struct blkmap *map, uint64_t word, unsigned order)
{
	if (slot_kind(word) == SLOT_MAP) {
		const struct cluster_map *cmap = cluster_map_at(map, word);

		object_disown(map, word_get(&cmap->base));
		for (unsigned p = 0; p < 1u << order; p++)
			object_disown(map, word_get(&cmap->pages[p]));
	}
	object_disown(map, word);
	return (struct loose_word){ word };
}

struct loose_word slot_fresh(uint64_t word)
{
	return (struct loose_word){ word };
}

int slot_publish(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot, uint64_t word,
		 struct loose_word *out_old)
{
	struct slot_lock *lock = slot_lock(map, slot);
	uint64_t old = word_get(slot);
	int delta = __builtin_popcount(slot_present(map, word, file->order)) -
		    __builtin_popcount(slot_present(map, old, file->order));
	int error = pages_charge(map, file, delta);

	if (error)
		return error;
	slot_count(map, word, file->order, 1);
	slot_count(map, old, file->order, -1);
	slot_set_owner(map, word, slot, OWNER_SLOT);
	if (slot_kind(word) == SLOT_OBJ)
		age_touch(map, slot_ref(word));
	word_set(slot, word);
	lock->seq++;
	if (slot_kind(old) == SLOT_MAP)
		live_map_remove(map, lock, slot_place(map, slot));
	*out_old = slot_disown(map, old, file->order);
	return 0;
}

static void object_free(struct blkmap *map, uint64_t word)
{
	ZT_ASSERT(zs_get_owner(map->arena, slot_ref(word)).word == 0); /* a loose word */
	zs_free(map->data, slot_ref(word));
}

void slot_release(struct blkmap *map, struct loose_word loose, unsigned order)
{
	uint64_t word = loose.word;
	struct cluster_map *cmap;

	switch (slot_kind(word)) {
	case SLOT_HOLE:
	case SLOT_SAME:
	case SLOT_ZERO:
		break;
	case SLOT_OBJ:
		zt_hook("slots: a word is released", word);
		object_free(map, word);
		break;
	case SLOT_SHARED:
		share_release(map, word);
		break;
	case SLOT_MAP:
		cmap = cluster_map_at(map, word);
		for (unsigned p = 0; p < 1u << order; p++)
			slot_release(map, (struct loose_word){ cmap->pages[p] }, 0);
		slot_release(map, (struct loose_word){ cmap->base }, order);
		zs_free(map->meta, slot_ref(word));
		break;
	}
}

/* ---- live maps ---- */

struct live_map *live_map_find(struct slot_lock *lock, uint64_t place)
{
	struct live_map *live = lock->maps;

	while (live && live->place != place)
		live = live->next;
	return live;
}

/* Out of the list, not freed; NULL when there is none. */
static struct live_map *live_map_take(struct slot_lock *lock, uint64_t place)
{
	struct live_map **link = &lock->maps, *live;

	while (*link && (*link)->place != place)
		link = &(*link)->next;
	live = *link;
	if (live)
		*link = live->next;
	return live;
}

void live_map_remove(struct blkmap *map, struct slot_lock *lock, uint64_t place)
{
	struct live_map *live = live_map_take(lock, place);

	if (live)
		blkmap_setting_put(map, live->setting);
	arena_heap_free(map->arena, live, sizeof(*live));
}

/*
 * A slot moves to a new place in its tree (inode held exclusive). The old place's lock keeps
 * compaction away; nobody knows the new place before the owner says so.
 */
void slot_move(void *arg, uint64_t *from, uint64_t *to)
{
	struct blkmap *map = arg;
	struct slot_lock *lock = slot_lock(map, from), *new_lock = slot_lock(map, to);
	struct live_map *live = NULL;
	uint64_t word;

	write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	word = word_get(from);
	if (slot_kind(word) == SLOT_MAP) {
		live = live_map_take(lock, slot_place(map, from));
		live->place = slot_place(map, to);
		word_set(&cluster_map_at(map, word)->place, live->place);
	}
	slot_set_owner(map, word, to, OWNER_SLOT);
	word_set(to, word);
	word_set(from, 0);
	lock->seq++;
	rw_unlock(&lock->lock);
	if (live) {
		write_lock_counted(&new_lock->lock, ZT_LOCK_SLOT);
		live->next = new_lock->maps;
		new_lock->maps = live;
		rw_unlock(&new_lock->lock);
	}
}

/* ---- relocation, called by compaction under class->lock ---- */

/* The map that holds the owner word of a base or page object. */
static struct cluster_map *owner_map(const struct blkmap *map, struct zs_owner owner)
{
	uint64_t *word = slot_at(map, owner.word);
	unsigned field = owner.index == OWNER_BASE ? 0 : owner.index;

	return (struct cluster_map *)(word - field);
}
static_assert(offsetof(struct cluster_map, pages) == OWNER_PAGE(0) * sizeof(uint64_t),
	      "an owner index is the field's position in the map");

static bool word_names(uint64_t word, ref_t ref)
{
	return slot_kind(word) == SLOT_OBJ && slot_ref(word) == ref;
}

static bool relocate_begin(void *arg, struct zs_owner owner, ref_t old_ref)
{
	struct blkmap *map = arg;
	struct cluster_map *cmap;
	struct slot_lock *lock;
	struct zs_owner now;
	uint64_t place;

	if (owner.index == OWNER_SHARE)
		return share_relocate_begin(map, owner.word, old_ref);
	cmap = owner.index == OWNER_SLOT ? NULL : owner_map(map, owner);
	place = cmap ? word_get(&cmap->place) : owner.word;
	lock = slot_lock_at(map, place);
	if (!write_trylock(&lock->lock))
		return false;
	/* Has it found another owner, or its map another slot, since we looked? */
	now = zs_get_owner(map->arena, old_ref);
	if (now.word != owner.word || now.index != owner.index)
		goto refuse;
	if (cmap) {
		uint64_t word;

		if (word_get(&cmap->place) != place)
			goto refuse;
		word = word_get(slot_at(map, place));
		if (slot_kind(word) != SLOT_MAP || cluster_map_at(map, word) != cmap)
			goto refuse;
	}
	if (word_names(word_get(slot_at(map, owner.word)), old_ref))
		return true;
refuse:
	rw_unlock(&lock->lock);
	return false;
}

static void relocate_end(void *arg, struct zs_owner owner, ref_t new_ref)
{
	struct blkmap *map = arg;
	uint64_t *word = slot_at(map, owner.word), place;
	struct slot_lock *lock;

	if (owner.index == OWNER_SHARE) {
		share_relocate_end(map, owner.word, new_ref);
		return;
	}
	place = owner.index == OWNER_SLOT ? owner.word : word_get(&owner_map(map, owner)->place);
	lock = slot_lock_at(map, place);
	if (new_ref) {
		ref_t old_ref = slot_ref(word_get(word));

		age_move(map, old_ref, new_ref);
		word_set(word, slot_with_ref(word_get(word), new_ref));
		lock->seq++;
		if (owner.index == OWNER_SLOT)
			dedup_moved(map, word_get(word), old_ref);
	}
	rw_unlock(&lock->lock);
}

/* ---- life cycle ---- */

int slots_init(struct blkmap *map)
{
	struct zs_pool_params params = {
		.name = "data",
		.id = 1,
		.relocate_begin = relocate_begin,
		.relocate_end = relocate_end,
		.relocate_arg = map,
	};
	int error;

	map->locks = zt_alloc_aligned(64, SLOT_LOCKS * sizeof(*map->locks));
	if (!map->locks)
		return -ENOMEM;
	memset(map->locks, 0, SLOT_LOCKS * sizeof(*map->locks));
	for (unsigned i = 0; i < SLOT_LOCKS; i++)
		rwlock_init(&map->locks[i].lock, ZT_RANK_SLOT);
	error = zs_pool_create(map->arena, &params, &map->data);
	if (error)
		slots_exit(map);
	return error;
}

void slots_exit(struct blkmap *map)
{
	zs_pool_destroy(map->data);
	map->data = NULL;
	for (unsigned i = 0; map->locks && i < SLOT_LOCKS; i++) {
		while (map->locks[i].maps)
			live_map_remove(map, &map->locks[i], map->locks[i].maps->place);
		rwlock_exit(&map->locks[i].lock);
	}
	zt_free(map->locks);
	map->locks = NULL;
}
