// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * overlay.c - small writes into a compressed cluster: pages of their own over it.
 *
 *     slot: MAP ---> cluster map: base    ---> the cluster's object, untouched
 *                                 pages[] ---> page objects, where something was written since
 *
 * So 4 KiB written into a 64 KiB cluster cost the compression of 4 KiB. When half of the pages are
 * covered, the rest become objects of their own too, and the base, half dead weight by then, goes
 * away: the cluster is spread. So is one that is read in small pieces again and again (heat.c).
 * Maps are folded into one object when they have been left alone for a while (upkeep/fold.c), or
 * when a file grows over them (cluster_write.c).
 */
#include <errno.h>
#include <string.h>

#include "blkmap/content/attempt.h"
#include "blkmap/content/change.h"
#include "blkmap/slot/account.h"
#include "blkmap/slot/live.h"

/* What a round has seen and prepared. */
struct overlay {
	const struct cluster_op *op;
	bool spreads; /* the pages that the op leaves alone get objects of their own, too */
	bool has_map; /* the slot had one when the round began */
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
static const char *page_bytes(const struct cluster *c, const struct overlay *ov, uint32_t p,
			      uint32_t *out_len)
{
	const struct cluster_op *op = ov->op;
	uint32_t start = p << ZT_PAGE_SHIFT, end = start + ZT_PAGE_SIZE;
	uint32_t from = (uint32_t)max_u64(op->from, start), to = (uint32_t)min_u64(op->to, end);
	uint32_t old_end = (uint32_t)min_u64(max_u64(ov->extent, start), end);
	char *page = strm_bytes(c->strm) + start;

	*out_len = (uint32_t)max_u64(to, old_end) - start;
	if (from == start && to - start == *out_len)
		return op->src + (from - op->from);
	memcpy(page + (from - start), op->src + (from - op->from), to - from);
	return page;
}

/* Old bytes of the op's first and last page, when it does not cover them. Slot lock held. */
static int load_edges(const struct cluster *c, uint64_t word, const struct cluster_op *op)
{
	uint32_t first = op->from >> ZT_PAGE_SHIFT << ZT_PAGE_SHIFT;
	uint32_t last = (op->to - 1) >> ZT_PAGE_SHIFT << ZT_PAGE_SHIFT;
	char *bytes = strm_bytes(c->strm);
	int error = 0;

	if (op->from > first)
		error = cluster_load(c, word, first, first + ZT_PAGE_SIZE, bytes + first);
	if (!error && op->to < last + ZT_PAGE_SIZE && (last != first || op->from == first))
		error = cluster_load(c, word, last, last + ZT_PAGE_SIZE, bytes + last);
	return error;
}

/*
 * The pages of a cluster that stand in its base alone, to be spread: their bytes go to the workspace.
 * Slot lock held.
 */
static int load_base(const struct cluster *c, uint64_t word, struct overlay *ov)
{
	const struct cluster_map *cmap = NULL;
	unsigned order = c->file->order;
	uint64_t base = word;

	if (slot_kind(word) == SLOT_MAP) {
		cmap = cluster_map_at(c->slots, word);
		base = word_get(&cmap->base);
	}
	ov->spread = slot_present(c->slots, base, order);
	if (cmap)
		ov->spread &= ~cluster_map_pages(cmap, order);
	ov->base_extent = slot_extent(c->slots, base, order);
	return ov->spread ? cluster_load(c, base, 0, ov->base_extent, strm_bytes(c->strm)) : 0;
}

/* A page of the base, as it is in the workspace. */
static const char *base_bytes(struct zcomp_strm *strm, const struct overlay *ov, uint32_t p,
			      uint32_t *out_len)
{
	uint32_t start = p << ZT_PAGE_SHIFT;

	*out_len = (uint32_t)min_u64(ov->base_extent - start, ZT_PAGE_SIZE);
	return strm_bytes(strm) + start;
}

/* Compress and place one page. */
static int overlay_page(const struct cluster *c, struct overlay *ov, uint32_t p)
{
	bool written = pages_touched(ov->op) & 1u << p;
	struct source source = { .full = ZT_PAGE_SIZE, .mask = 1 };
	struct encoded enc;

	source.data = written ? page_bytes(c, ov, p, &source.len)
			      : base_bytes(c->strm, ov, p, &source.len);
	encode(c, &source, &enc);
	return encoded_place_hard(c->slots, &enc, &ov->words[p]);
}

/* The record and the list entry of a cluster map, for a slot that has none. */
static int overlay_alloc_map(struct slots *slots, unsigned order, struct overlay *ov)
{
	uint32_t size = (uint32_t)(sizeof(struct cluster_map) + (sizeof(uint64_t) << order));
	int error = zs_malloc(slots->meta, size, &ov->cmap);
	void *space;

	if (!error)
		error = arena_heap_alloc(slots->arena, sizeof(*ov->live), &space);
	if (!error)
		ov->live = space;
	return error;
}

static int overlay_look(const struct cluster *c, void *arg)
{
	struct overlay *ov = arg;
	const struct cluster_op *op = ov->op;
	uint64_t word = word_get(c->slot);
	int error = 0;

	*ov = (struct overlay){ .op = op, .spreads = ov->spreads };
	/* It went out since the choice was made, which is to be made anew. */
	if (slot_kind(word) == SLOT_SPILLED)
		return -EAGAIN;
	ov->extent = slot_extent(c->slots, word, c->file->order);
	ov->has_map = slot_kind(word) == SLOT_MAP;
	if (ov->spreads)
		error = load_base(c, word, ov);
	if (!error && op->from < op->to)
		error = load_edges(c, word, op);
	return error;
}

static int overlay_prepare(const struct cluster *c, void *arg, bool kept)
{
	struct overlay *ov = arg;
	const uint32_t pages = pages_touched(ov->op) | ov->spread;
	int error = 0;

	(void)kept; /* never: see overlay_ops */
	for (uint32_t p = 0; !error && p < 1u << c->file->order; p++)
		if (pages & 1u << p)
			error = overlay_page(c, ov, p);
	if (!error && !ov->has_map)
		error = overlay_alloc_map(c->slots, c->file->order, ov);
	return error;
}

/* The slot gets its cluster map, with the old word as base. Slot lock held exclusive. */
static struct cluster_map *overlay_make_map(const struct cluster *c, struct overlay *ov)
{
	struct cluster_map *cmap = zs_data(c->slots->arena, ov->cmap);
	uint64_t base = word_get(c->slot);

	word_set(&cmap->place, slot_place(c->slots, c->slot));
	word_set(&cmap->base, base);
	for (unsigned p = 0; p < 1u << c->file->order; p++)
		word_set(&cmap->pages[p], 0);
	slot_set_owner(c->slots, base, &cmap->base, OWNER_BASE);
	word_set(c->slot, slot_make_map(ov->cmap));
	ov->live->place = slot_place(c->slots, c->slot);
	ov->live->order = (uint16_t)c->file->order;
	ov->live->setting = (uint16_t)c->file->setting;
	setting_get(c->slots, c->file->setting);
	live_map_add(c->slots, c->lock, ov->live);
	return cmap;
}

/* No page shows the base any more. Slot lock held exclusive. */
static void overlay_take_base(struct slots *slots, struct cluster_map *cmap, unsigned order,
			      struct overlay *ov)
{
	uint64_t base = word_get(&cmap->base);

	slot_count(slots, base, order, -1);
	word_set(&cmap->base, 0);
	ov->old_base = slot_disown(slots, base, order);
}

/* Exchange the prepared words for the ones in the map. */
static int overlay_publish(const struct cluster *c, void *arg)
{
	struct overlay *ov = arg;
	struct slots *slots = c->slots;
	const unsigned order = c->file->order;
	uint32_t present = slot_present(slots, word_get(c->slot), order), added = 0;
	struct cluster_map *cmap;
	int error;

	for (unsigned p = 0; p < 1u << order; p++)
		if (ov->words[p])
			added |= 1u << p;
	error = pages_charge(slots, c->file, __builtin_popcount(added & ~present));
	if (error)
		return error;
	cmap = ov->cmap ? overlay_make_map(c, ov) : cluster_map_at(slots, word_get(c->slot));
	if (!ov->cmap)
		live_map_touch(c->lock, live_map_find(slots, c->lock, slot_place(slots, c->slot)));
	for (unsigned p = 0; p < 1u << order; p++) {
		uint64_t old = word_get(&cmap->pages[p]);

		if (!ov->words[p])
			continue;
		slot_count(slots, ov->words[p], 0, 1);
		slot_count(slots, old, 0, -1);
		slot_set_owner(slots, ov->words[p], &cmap->pages[p], OWNER_PAGE(p));
		word_set(&cmap->pages[p], ov->words[p]);
		ov->words[p] = 0;
		ov->old[p] = slot_disown(slots, old, 0);
	}
	if (ov->spreads)
		overlay_take_base(slots, cmap, order, ov);
	c->lock->seq++;
	/* Published: what is left in ov are the replaced words. */
	ov->cmap = 0;
	ov->live = NULL;
	return 0;
}

static void overlay_end(const struct cluster *c, void *arg)
{
	struct overlay *ov = arg;
	struct slots *slots = c->slots;

	for (unsigned p = 0; p < BLKMAP_MAX_PAGES; p++)
		slot_release(slots, ov->words[p] ? slot_fresh(ov->words[p]) : ov->old[p], 0);
	slot_release(slots, ov->old_base, c->file->order);
	if (ov->cmap)
		zs_free(slots->meta, ov->cmap);
	arena_heap_free(slots->arena, ov->live, sizeof(*ov->live));
}

/* It keeps no lock in the end: what others keep changing is merged instead. */
static const struct attempt_ops overlay_ops = {
	.look = overlay_look,
	.prepare = overlay_prepare,
	.publish = overlay_publish,
	.end = overlay_end,
};

int cluster_overlay(const struct cluster *c, const struct cluster_op *op, bool spread)
{
	struct overlay ov;

	ov.op = op;
	ov.spreads = spread;
	return attempt_run(c, &overlay_ops, &ov);
}

/* Whether a spread would change anything: with a base that is stored raw, pages are found at once. */
static bool is_worth_spreading(struct slots *slots, uint64_t word)
{
	if (slot_kind(word) == SLOT_MAP)
		word = word_get(&cluster_map_at(slots, word)->base);
	return slot_kind(word) == SLOT_OBJ && !slot_is_raw(word);
}

int cluster_spread(const struct cluster *c)
{
	const struct cluster_op op = { .from = 0, .to = 0 };
	bool worth;

	read_lock_counted(&c->lock->lock, ZT_LOCK_SLOT);
	worth = is_worth_spreading(c->slots, word_get(c->slot));
	rw_unlock(&c->lock->lock);
	return worth ? cluster_overlay(c, &op, true) : 0;
}
