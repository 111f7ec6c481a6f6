// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * overwrite.c - at the limit: new bytes into the rooms that old objects have.
 *
 * Elsewhere the new object is made first, and then the old one is freed. Where no new one can be
 * had, a request that writes again what is there already must not fail:
 *
 *     slot: OBJ --> object          the cluster's new object goes there, if it is no larger
 *     slot: MAP --> base            or there, and the cluster map ends
 *                   pages[] --> *   or page by page: into the page's own object, and what does not
 *                                   fit or has none into the base, together with what that holds
 *
 * All is encoded beforehand, so it is known before the first byte is stored whether it fits. All is
 * stored under one exclusive slot lock, so that no reader sees a mix.
 */
#include <errno.h>
#include <string.h>

#include "blkmap/content/attempt.h"
#include "blkmap/content/change.h"
#include "blkmap/content/redo.h"
#include "blkmap/slot/account.h"
#include "blkmap/slot/age.h"
#include "blkmap/slot/live.h"
#include "blkmap/slot/share.h"
#include "util/alloc.h"
#include "util/store.h"

/* Most bytes of an object in the room that a word's object has; 0: it has none of its own. */
static uint32_t room_of(const struct slots *slots, uint64_t word)
{
	if (slot_kind(word) != SLOT_OBJ)
		return 0;
	return zs_room_of(slots->data, slot_ref(word));
}

static bool fits(const struct encoded *enc, uint32_t room)
{
	return slot_kind(enc->word) != SLOT_OBJ || encoded_size(enc) <= room;
}

/*
 * The word at @place becomes what was encoded, which fits. Slot lock held exclusive, redo_open(). The
 * object goes under it: its memory is needed at once.
 */
static void word_overwrite(const struct cluster *c, uint64_t *place, const struct encoded *enc,
			   unsigned order)
{
	struct slots *slots = c->slots;
	uint64_t old = word_get(place), word = enc->word;
	bool resized;

	if (slot_kind(word) == SLOT_OBJ) {
		word = slot_with_ref(word, slot_ref(old));
		redo_begin(c->codecs, place, word, enc);
		resized = zs_resize(slots->data, slot_ref(old), encoded_size(enc));
		ZT_ASSERT(resized); /* its room was measured */
		(void)resized;
		encoded_copy(slots, enc, slot_ref(old));
		zt_stored("overwrite: the object's bytes");
		age_touch(slots, slot_ref(old));
	}
	slot_count(slots, word, order, 1);
	slot_count(slots, old, order, -1);
	word_set(place, word);
	if (slot_kind(word) == SLOT_OBJ)
		redo_end(c->codecs);
	else
		slot_release(slots, slot_disown(slots, old, order), order);
}

/* Where a slot has its whole cluster, but for pages over it, and as what it owns that object. */
static uint64_t *base_place(const struct slots *slots, uint64_t *slot, unsigned *out_index)
{
	uint64_t word = word_get(slot);

	*out_index = slot_kind(word) == SLOT_MAP ? OWNER_BASE : OWNER_SLOT;
	return slot_kind(word) == SLOT_MAP ? &cluster_map_at(slots, word)->base : slot;
}

static const struct encoded nothing;

/* The cluster map ends: its base is all that there is. Slot lock held exclusive. */
static void map_end(const struct cluster *c)
{
	const unsigned order = c->file->order;
	struct slots *slots = c->slots;
	uint64_t *slot = c->slot, word = word_get(slot), base;
	struct cluster_map *cmap = cluster_map_at(slots, word);

	for (unsigned p = 0; p < 1u << order; p++)
		word_overwrite(c, &cmap->pages[p], &nothing, 0);
	base = word_get(&cmap->base);
	slot_set_owner(slots, base, slot, OWNER_SLOT);
	word_set(slot, base);
	live_map_remove(slots, slot_lock(slots, slot), slot_place(slots, slot));
	zs_free(slots->meta, slot_ref(word));
}

bool encoded_overwrite(const struct cluster *c, const struct encoded *enc)
{
	const struct blkmap_file *file = c->file;
	struct slots *slots = c->slots;
	struct slot_lock *lock = c->lock;
	uint64_t *slot = c->slot;
	uint32_t present = slot_present(slots, word_get(slot), file->order);
	unsigned index;
	uint64_t *place = base_place(slots, slot, &index);

	share_end(slots, lock, place, index);
	if (slot_kind(enc->word) != SLOT_OBJ || !fits(enc, room_of(slots, word_get(place))))
		return false;
	if (redo_open(c->codecs))
		return false;
	if (pages_charge(slots, file,
			 __builtin_popcount(enc->mask) - __builtin_popcount(present))) {
		redo_close(c->codecs);
		return false;
	}
	word_overwrite(c, place, enc, file->order);
	if (index == OWNER_BASE)
		map_end(c);
	redo_close(c->codecs);
	lock->seq++;
	atomic_fetch_add_explicit(&slots->account.overwrites_in_place, 1, memory_order_relaxed);
	return true;
}

/* A cluster as it was when a round began, and what is to come where. */
struct pieces {
	const struct cluster_op *op;
	uint32_t len; /* bytes of the cluster as it will be */
	uint32_t touched, present; /* pages that the op writes; that are there */
	uint32_t over; /* pages that have a word of their own */
	uint32_t rooms[BLKMAP_MAX_PAGES]; /* of their objects */
	bool has_map;
	uint32_t base_room, base_extent, base_present;

	uint32_t own; /* pages that go to their own words */
	uint32_t below; /* pages that go into the base */
	struct encoded base, pages[BLKMAP_MAX_PAGES];
};

static int pieces_look(const struct cluster *c, void *arg)
{
	struct pieces *pieces = arg;
	const struct cluster_op *op = pieces->op;
	struct slots *slots = c->slots;
	const unsigned order = c->file->order;
	uint64_t word = word_get(c->slot), base;
	unsigned index;

	*pieces = (struct pieces){ .op = op, .touched = pages_touched(op) };
	pieces->len = (uint32_t)max_u64(slot_extent(slots, word, order), op->to);
	pieces->present = slot_present(slots, word, order);
	base = word_get(base_place(slots, c->slot, &index));
	pieces->base_room = room_of(slots, base);
	pieces->base_extent = slot_extent(slots, base, order);
	pieces->base_present = slot_present(slots, base, order);
	pieces->has_map = index == OWNER_BASE;
	if (pieces->has_map) {
		const struct cluster_map *cmap = cluster_map_at(slots, word);

		pieces->over = cluster_map_pages(cmap, order);
		for (unsigned p = 0; p < 1u << order; p++)
			pieces->rooms[p] = room_of(slots, word_get(&cmap->pages[p]));
	}
	/* Mostly nothing is there that could be overwritten. */
	if (!pieces->base_room && !pieces->over)
		return -ENOSPC;
	return cluster_load(c, word, 0, pieces->len, strm_bytes(c->strm));
}

/*
 * Encode the op's pages for their own words; those that do not fit are left to the base. What is to
 * be stored is kept at @keep, a page at most for each.
 */
static void pieces_encode_pages(const struct cluster *c, char *keep, struct pieces *pieces)
{
	for (uint32_t p = 0; p < 1u << c->file->order; p++) {
		struct encoded *enc = &pieces->pages[p];
		uint32_t start = p << ZT_PAGE_SHIFT;
		const struct source source = {
			.data = strm_bytes(c->strm) + start,
			.len = (uint32_t)min_u64(pieces->len - start, ZT_PAGE_SIZE),
			.full = ZT_PAGE_SIZE,
			.mask = 1,
		};

		if (!(pieces->touched & 1u << p))
			continue;
		if (pieces->has_map)
			encode(c, &source, enc);
		if (!pieces->has_map || !fits(enc, pieces->rooms[p])) {
			pieces->below |= 1u << p;
			continue;
		}
		pieces->own |= 1u << p;
		if (slot_kind(enc->word) == SLOT_OBJ) {
			memcpy(keep, enc->data, enc->len);
			enc->data = keep;
			keep += enc->len;
		}
	}
}

/* The base with the pages that go into it. What other pages hide of it is cleared: it may shrink. */
static void pieces_encode_base(const struct cluster *c, struct pieces *pieces)
{
	uint32_t hidden = pieces->own | (pieces->over & ~pieces->below);
	uint32_t below_end = (32u - (uint32_t)__builtin_clz(pieces->below)) << ZT_PAGE_SHIFT;
	char *bytes = strm_bytes(c->strm);
	const struct source source = {
		.data = bytes,
		.len = (uint32_t)max_u64(pieces->base_extent, min_u64(below_end, pieces->len)),
		.full = cluster_size(c->file->order),
		.mask = pieces->base_present | pieces->below,
	};

	for (uint32_t p = 0; p < 1u << c->file->order; p++)
		if (hidden & 1u << p)
			memset(bytes + (p << ZT_PAGE_SHIFT), 0, ZT_PAGE_SIZE);
	encode(c, &source, &pieces->base);
}

static int pieces_prepare(const struct cluster *c, void *arg, bool kept)
{
	struct pieces *pieces = arg;
	const struct cluster_op *op = pieces->op;

	(void)kept; /* it allocates nothing */
	memcpy(strm_bytes(c->strm) + op->from, op->src, op->to - op->from);
	pieces_encode_pages(c, strm_take_scratch(c->strm), pieces);
	if (!pieces->below)
		return 0;
	pieces_encode_base(c, pieces);
	return fits(&pieces->base, pieces->base_room) ? 0 : -ENOSPC;
}

/*
 * Everything fits. Each page is old or new at any time: pages with words of their own come first, then
 * the base, which is 0 under them. What goes into the base has its own old word until the end.
 */
static int pieces_store(const struct cluster *c, void *arg)
{
	const struct pieces *pieces = arg;
	struct slots *slots = c->slots;
	const unsigned order = c->file->order;
	struct cluster_map *cmap = NULL;
	unsigned index;
	uint64_t *base = base_place(slots, c->slot, &index);
	int error = redo_open(c->codecs);

	if (error)
		return error;
	error = pages_charge(slots, c->file,
			     __builtin_popcount(pieces->touched & ~pieces->present));
	if (error)
		goto out;
	if (pieces->has_map)
		cmap = cluster_map_at(slots, word_get(c->slot));
	for (unsigned p = 0; cmap && p < 1u << order; p++)
		if (pieces->own & 1u << p)
			word_overwrite(c, &cmap->pages[p], &pieces->pages[p], 0);
	if (pieces->below)
		word_overwrite(c, base, &pieces->base, order);
	for (unsigned p = 0; cmap && p < 1u << order; p++)
		if (pieces->below & 1u << p)
			word_overwrite(c, &cmap->pages[p], &nothing, 0);
	if (cmap)
		live_map_touch(c->lock, live_map_find(slots, c->lock, slot_place(slots, c->slot)));
	c->lock->seq++;
	atomic_fetch_add_explicit(&slots->account.overwrites_in_place, 1, memory_order_relaxed);
out:
	redo_close(c->codecs);
	return error;
}

static const struct attempt_ops overwrite_ops = {
	.look = pieces_look,
	.prepare = pieces_prepare,
	.publish = pieces_store,
	.keeps_lock = true,
};

int cluster_overwrite(const struct cluster *c, const struct cluster_op *op)
{
	struct pieces pieces;
	unsigned index;
	uint64_t *base;

	write_lock_counted(&c->lock->lock, ZT_LOCK_SLOT);
	base = base_place(c->slots, c->slot, &index);
	share_end(c->slots, c->lock, base, index);
	rw_unlock(&c->lock->lock);
	pieces.op = op;
	return attempt_run(c, &overwrite_ops, &pieces);
}
