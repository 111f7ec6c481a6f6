// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * overlay.c - small writes into a compressed cluster: pages of their own over it.
 *
 *     slot: MAP ---> cluster map: base    ---> the cluster's object, untouched
 *                                 pages[] ---> page objects, where something was written since
 *
 * So 4 KiB written into a 64 KiB cluster cost the compression of 4 KiB. When half of the pages are
 * covered, the rest become objects of their own too, and the base, half dead weight by then, goes
 * away: the cluster is spread. So is one that is read in small pieces again and again (heat.c). Maps
 * are folded into one object when they have been left alone for a while (maintain.c), or when a file
 * grows over them (cluster_write.c).
 */
#include "blkmap/blkmap_i.h"

#include <errno.h>
#include <string.h>

#include "util/alloc.h"

#define OVERLAY_ROUNDS 4u

/* One attempt: what was prepared without the slot lock. */
struct overlay {
	uint64_t seq; /* of the slot lock, when it began */
	uint64_t words[BLKMAP_MAX_PAGES]; /* new page objects, unowned; 0 when they are published */
	uint32_t extent; /* of the cluster, when it began */
	uint32_t spread; /* pages of the base that get objects of their own */
	uint32_t base_extent; /* bytes of the base in the workspace */
	/* After publishing: what was replaced, pages and the base of a spread. */
	struct loose_word old[BLKMAP_MAX_PAGES], old_base;
	ref_t cmap; /* a fresh cluster map, 0 when the slot had one */
	struct live_map *live; /* goes with it */
};

/*
 * Where page @p of the op has its bytes: in the request when it is whole, otherwise put together
 * in the workspace.
 */
static const char *page_bytes(struct zcomp_strm *strm, const struct overlay *ov,
			      const struct cluster_op *op, uint32_t p, uint32_t *out_len)
{
	uint32_t start = p << ZT_PAGE_SHIFT, end = start + ZT_PAGE_SIZE;
	uint32_t from = (uint32_t)max_u64(op->from, start), to = (uint32_t)min_u64(op->to, end);
	uint32_t old_end = (uint32_t)min_u64(max_u64(ov->extent, start), end);
	char *page = strm_bytes(strm) + start;

	*out_len = (uint32_t)max_u64(to, old_end) - start;
	if (from == start && to - start == *out_len)
		return op->src + (from - op->from);
	memcpy(page + (from - start), op->src + (from - op->from), to - from);
	return page;
}

/* Old bytes of the op's first and last page, when it does not cover them. Slot lock held. */
static int load_edges(struct blkmap *map, const struct slot_lock *lock, struct zcomp_strm *strm,
		      uint64_t word, const struct cluster_op *op)
{
	uint32_t first = op->from >> ZT_PAGE_SHIFT << ZT_PAGE_SHIFT;
	uint32_t last = (op->to - 1) >> ZT_PAGE_SHIFT << ZT_PAGE_SHIFT;
	char *bytes = strm_bytes(strm);
	int error = 0;

	if (op->from > first)
		error = cluster_load(map, lock, strm, word, first, first + ZT_PAGE_SIZE,
				     bytes + first);
	if (!error && op->to < last + ZT_PAGE_SIZE && (last != first || op->from == first))
		error = cluster_load(map, lock, strm, word, last, last + ZT_PAGE_SIZE,
				     bytes + last);
	return error;
}

/*
 * The pages of a cluster that stand in its base alone, to be spread: their bytes go to the workspace.
 * Slot lock held.
 */
static int load_base(struct blkmap *map, const struct slot_lock *lock, struct zcomp_strm *strm,
		     uint64_t word, unsigned order, struct overlay *ov)
{
	const struct cluster_map *cmap = NULL;
	uint64_t base = word;

	if (slot_kind(word) == SLOT_MAP) {
		cmap = cluster_map_at(map, word);
		base = word_get(&cmap->base);
	}
	ov->spread = slot_present(map, base, order);
	if (cmap)
		ov->spread &= ~cluster_map_pages(cmap, order);
	ov->base_extent = slot_extent(map, base, order);
	return ov->spread
		       ? cluster_load(map, lock, strm, base, 0, ov->base_extent, strm_bytes(strm))
		       : 0;
}

/* A page of the base, as it is in the workspace. */
static const char *base_bytes(struct zcomp_strm *strm, const struct overlay *ov, uint32_t p,
			      uint32_t *out_len)
{
	uint32_t start = p << ZT_PAGE_SHIFT;

	*out_len = (uint32_t)min_u64(ov->base_extent - start, ZT_PAGE_SIZE);
	return strm_bytes(strm) + start;
}

static void overlay_drop(struct blkmap *map, struct overlay *ov, unsigned order)
{
	for (unsigned p = 0; p < BLKMAP_MAX_PAGES; p++)
		slot_release(map, ov->words[p] ? slot_fresh(ov->words[p]) : ov->old[p], 0);
	slot_release(map, ov->old_base, order);
	if (ov->cmap)
		zs_free(map->meta, ov->cmap);
	arena_heap_free(map->arena, ov->live, sizeof(*ov->live));
}

/* Compress and place one page. */
static int overlay_page(struct blkmap *map, const struct blkmap_file *file, struct zcomp_strm *strm,
			const struct cluster_op *op, struct overlay *ov, uint32_t p)
{
	bool written = pages_touched(op) & 1u << p;
	struct encoded enc;
	uint32_t len;
	const char *bytes =
		written ? page_bytes(strm, ov, op, p, &len) : base_bytes(strm, ov, p, &len);

	encode(map, file, strm, bytes, len, ZT_PAGE_SIZE, 1, &enc);
	return encoded_place_hard(map, &enc, &ov->words[p]);
}

/* The record and the list entry of a cluster map, for a slot that has none. */
static int overlay_alloc_map(struct blkmap *map, unsigned order, struct overlay *ov)
{
	uint32_t size = (uint32_t)(sizeof(struct cluster_map) + (sizeof(uint64_t) << order));
	int error = zs_malloc(map->meta, size, &ov->cmap);
	void *space;

	if (!error)
		error = arena_heap_alloc(map->arena, sizeof(*ov->live), &space);
	if (!error)
		ov->live = space;
	return error;
}

/* Under the shared slot lock, then without: fill @ov. On error nothing is kept. */
static int overlay_prepare(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
			   struct zcomp_strm *strm, const struct cluster_op *op, bool spread,
			   struct overlay *ov)
{
	struct slot_lock *lock = slot_lock(map, slot);
	uint32_t pages;
	uint64_t word;
	bool has_map;
	int error = 0;

	*ov = (struct overlay){ 0 };
	read_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	word = word_get(slot);
	ov->seq = lock->seq;
	ov->extent = slot_extent(map, word, file->order);
	has_map = slot_kind(word) == SLOT_MAP;
	if (spread)
		error = load_base(map, lock, strm, word, file->order, ov);
	if (!error && op->from < op->to)
		error = load_edges(map, lock, strm, word, op);
	rw_unlock(&lock->lock);

	pages = pages_touched(op) | ov->spread;
	for (uint32_t p = 0; !error && p < 1u << file->order; p++)
		if (pages & 1u << p)
			error = overlay_page(map, file, strm, op, ov, p);
	if (!error && !has_map)
		error = overlay_alloc_map(map, file->order, ov);
	if (error)
		overlay_drop(map, ov, file->order);
	return error;
}

/* The slot gets its cluster map, with the old word as base. Slot lock held exclusive. */
static struct cluster_map *overlay_make_map(struct blkmap *map, const struct blkmap_file *file,
					    uint64_t *slot, struct overlay *ov)
{
	struct slot_lock *lock = slot_lock(map, slot);
	struct cluster_map *cmap = zs_data(map->arena, ov->cmap);
	uint64_t base = word_get(slot);

	word_set(&cmap->place, slot_place(map, slot));
	word_set(&cmap->base, base);
	for (unsigned p = 0; p < 1u << file->order; p++)
		word_set(&cmap->pages[p], 0);
	slot_set_owner(map, base, &cmap->base, OWNER_BASE);
	word_set(slot, slot_make_map(ov->cmap));
	ov->live->place = slot_place(map, slot);
	ov->live->order = file->order;
	ov->live->setting = file->setting;
	blkmap_setting_get(map, file->setting);
	ov->live->next = lock->maps;
	lock->maps = ov->live;
	return cmap;
}

/* No page shows the base any more. Slot lock held exclusive. */
static void overlay_take_base(struct blkmap *map, struct cluster_map *cmap, unsigned order,
			      struct overlay *ov)
{
	uint64_t base = word_get(&cmap->base);

	slot_count(map, base, order, -1);
	word_set(&cmap->base, 0);
	ov->old_base = slot_disown(map, base, order);
}

/* Exchange the prepared words for the ones in the map. Slot lock held exclusive, seq unchanged. */
static int overlay_publish(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
			   bool spread, struct overlay *ov)
{
	struct slot_lock *lock = slot_lock(map, slot);
	uint32_t present = slot_present(map, word_get(slot), file->order), added = 0;
	struct cluster_map *cmap;
	int error;

	for (unsigned p = 0; p < 1u << file->order; p++)
		if (ov->words[p])
			added |= 1u << p;
	error = pages_charge(map, file, __builtin_popcount(added & ~present));
	if (error)
		return error;
	if (ov->cmap)
		cmap = overlay_make_map(map, file, slot, ov);
	else
		cmap = cluster_map_at(map, word_get(slot));
	live_map_find(lock, slot_place(map, slot))->touched = blkmap_now();
	for (unsigned p = 0; p < 1u << file->order; p++) {
		uint64_t old = word_get(&cmap->pages[p]);

		if (!ov->words[p])
			continue;
		slot_count(map, ov->words[p], 0, 1);
		slot_count(map, old, 0, -1);
		slot_set_owner(map, ov->words[p], &cmap->pages[p], OWNER_PAGE(p));
		word_set(&cmap->pages[p], ov->words[p]);
		ov->words[p] = 0;
		ov->old[p] = slot_disown(map, old, 0);
	}
	if (spread)
		overlay_take_base(map, cmap, file->order, ov);
	lock->seq++;
	/* Published: what is left in ov are the replaced words. */
	ov->cmap = 0;
	ov->live = NULL;
	return 0;
}

int cluster_overlay(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		    struct zcomp_strm *strm, const struct cluster_op *op, bool spread)
{
	struct slot_lock *lock = slot_lock(map, slot);

	for (unsigned round = 0; round < OVERLAY_ROUNDS; round++) {
		struct overlay ov;
		int error = overlay_prepare(map, file, slot, strm, op, spread, &ov);

		if (error)
			return error;
		write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
		if (ov.seq != lock->seq)
			error = -EAGAIN;
		else
			error = overlay_publish(map, file, slot, spread, &ov);
		rw_unlock(&lock->lock);
		overlay_drop(map, &ov, file->order);
		if (error != -EAGAIN)
			return error;
	}
	return -EAGAIN;
}

/* Whether a spread would change anything: with a base that is stored raw, pages are found at once. */
static bool is_worth_spreading(struct blkmap *map, uint64_t word)
{
	if (slot_kind(word) == SLOT_MAP)
		word = word_get(&cluster_map_at(map, word)->base);
	return slot_kind(word) == SLOT_OBJ && !slot_is_raw(word);
}

int cluster_spread(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		   struct zcomp_strm *strm)
{
	const struct cluster_op op = { .from = 0, .to = 0 };
	struct slot_lock *lock = slot_lock(map, slot);
	bool worth;

	read_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	worth = is_worth_spreading(map, word_get(slot));
	rw_unlock(&lock->lock);
	return worth ? cluster_overlay(map, file, slot, strm, &op, true) : 0;
}
