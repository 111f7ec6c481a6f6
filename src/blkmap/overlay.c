// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * overlay.c - small writes into a compressed cluster: pages of their own over it.
 *
 *     slot: MAP ---> cluster map: base    ---> the cluster's object, untouched
 *                                 pages[] ---> page objects, where something was written since
 *
 * So 4 KiB written into a 64 KiB cluster cost the compression of 4 KiB. Maps are folded into one
 * object again when most pages are covered (cluster_write.c) or when they have been left alone for
 * a while (maintain.c).
 */
#include "blkmap/blkmap_i.h"

#include <errno.h>
#include <string.h>

#include "util/alloc.h"

#define OVERLAY_ROUNDS 4u

/* One attempt: what was prepared without the slot lock. */
struct overlay {
	uint64_t seq; /* of the slot lock, when it began */
	uint64_t words[BLKMAP_MAX_PAGES]; /* new page objects, unowned */
	uint32_t extent; /* of the cluster, when it began */
	ref_t cmap; /* a fresh cluster map, 0 when the slot had one */
	struct live_map *live; /* goes with it */
};

/*
 * Where page @p of the op has its bytes: in the request when it is whole, otherwise put together
 * in local_copy.
 */
static const char *page_bytes(struct zcomp_strm *strm, const struct overlay *ov,
			      const struct cluster_op *op, uint32_t p, uint32_t *out_len)
{
	uint32_t start = p << ZT_PAGE_SHIFT, end = start + ZT_PAGE_SIZE;
	uint32_t from = (uint32_t)max_u64(op->from, start), to = (uint32_t)min_u64(op->to, end);
	uint32_t old_end = (uint32_t)min_u64(max_u64(ov->extent, start), end);
	char *page = (char *)strm->local_copy + start;

	*out_len = (uint32_t)max_u64(to, old_end) - start;
	if (from == start && to - start == *out_len)
		return op->src + (from - op->from);
	memcpy(page + (from - start), op->src + (from - op->from), to - from);
	return page;
}

/* Old bytes of the op's first and last page, when it does not cover them. Slot lock held. */
static int load_edges(struct blkmap *map, struct zcomp_strm *strm, uint64_t word,
		      const struct cluster_op *op)
{
	uint32_t first = op->from >> ZT_PAGE_SHIFT << ZT_PAGE_SHIFT;
	uint32_t last = (op->to - 1) >> ZT_PAGE_SHIFT << ZT_PAGE_SHIFT;
	char *bytes = strm->local_copy;
	int error = 0;

	if (op->from > first)
		error = cluster_load(map, strm, word, first, first + ZT_PAGE_SIZE, bytes + first);
	if (!error && op->to < last + ZT_PAGE_SIZE && (last != first || op->from == first))
		error = cluster_load(map, strm, word, last, last + ZT_PAGE_SIZE, bytes + last);
	return error;
}

static void overlay_drop(struct blkmap *map, struct overlay *ov)
{
	for (unsigned p = 0; p < BLKMAP_MAX_PAGES; p++)
		slot_release(map, ov->words[p], 0);
	if (ov->cmap)
		zs_free(map->meta, ov->cmap);
	zt_free(ov->live);
}

/* Under the shared slot lock, then without: fill @ov. On error nothing is kept. */
static int overlay_prepare(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
			   struct zcomp_strm *strm, const struct cluster_op *op, struct overlay *ov)
{
	struct slot_lock *lock = slot_lock(map, slot);
	uint64_t word;
	bool has_map;
	int error;

	*ov = (struct overlay){ 0 };
	read_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	word = word_get(slot);
	ov->seq = lock->seq;
	ov->extent = slot_extent(map, word, file->order);
	has_map = slot_kind(word) == SLOT_MAP;
	error = load_edges(map, strm, word, op);
	rw_unlock(&lock->lock);

	for (uint32_t p = op->from >> ZT_PAGE_SHIFT; !error && p << ZT_PAGE_SHIFT < op->to; p++) {
		struct encoded enc;
		uint32_t len;
		const char *bytes = page_bytes(strm, ov, op, p, &len);

		encode(map, file, strm, bytes, len, ZT_PAGE_SIZE, 1, &enc);
		error = encoded_place_hard(map, &enc, &ov->words[p]);
	}
	if (!error && !has_map) {
		uint32_t size =
			(uint32_t)(sizeof(struct cluster_map) + (sizeof(uint64_t) << file->order));

		error = zs_malloc(map->meta, size, &ov->cmap);
		ov->live = error ? NULL : zt_zalloc(sizeof(*ov->live));
		if (!error && !ov->live)
			error = -ENOMEM;
	}
	if (error)
		overlay_drop(map, ov);
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

/* Exchange the prepared words for the ones in the map. Slot lock held exclusive, seq unchanged. */
static int overlay_publish(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
			   struct overlay *ov)
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
		ov->words[p] = old;
	}
	lock->seq++;
	/* Published: what is left in ov are the replaced words. */
	ov->cmap = 0;
	ov->live = NULL;
	return 0;
}

int cluster_overlay(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		    struct zcomp_strm *strm, const struct cluster_op *op)
{
	struct slot_lock *lock = slot_lock(map, slot);

	for (unsigned round = 0; round < OVERLAY_ROUNDS; round++) {
		struct overlay ov;
		int error = overlay_prepare(map, file, slot, strm, op, &ov);

		if (error)
			return error;
		write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
		if (ov.seq != lock->seq)
			error = -EAGAIN;
		else
			error = overlay_publish(map, file, slot, &ov);
		rw_unlock(&lock->lock);
		overlay_drop(map, &ov);
		if (error != -EAGAIN)
			return error;
	}
	return -EAGAIN;
}
