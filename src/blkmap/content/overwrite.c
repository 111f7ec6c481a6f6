// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * overwrite.c - at the limit: new bytes into the rooms that old objects have.
 *
 * Elsewhere the new object is made first, and the old one freed then. Where no new one can be had,
 * whoever writes again what is there already must not fail all the same:
 *
 *     slot: OBJ --> object          the cluster's new object goes there, if it is no larger
 *     slot: MAP --> base            or there, and the cluster map ends
 *                   pages[] --> *   or page by page: into the page's own object, and what does not
 *                                   fit or has none into the base, together with what that holds
 *
 * All is encoded beforehand. Whether it fits is known before the first byte is stored, all under one
 * exclusive slot lock, so that no reader sees a mix.
 */
#include "blkmap/blkmap_i.h"

#include <errno.h>
#include <string.h>

/* Most bytes of an object in the room that a word's object has; 0: it has none of its own. */
static uint32_t room_of(const struct blkmap *map, uint64_t word)
{
	if (slot_kind(word) != SLOT_OBJ)
		return 0;
	return zs_room_of(map->data, slot_ref(word));
}

static bool fits(const struct encoded *enc, uint32_t room)
{
	return slot_kind(enc->word) != SLOT_OBJ || encoded_size(enc) <= room;
}

/*
 * The word at @place becomes what was encoded, which fits. Slot lock held exclusive. The object goes
 * under it: its memory is needed at once.
 */
static void word_overwrite(struct blkmap *map, uint64_t *place, const struct encoded *enc,
			   unsigned order)
{
	uint64_t old = word_get(place), word = enc->word;
	bool resized;

	if (slot_kind(word) == SLOT_OBJ) {
		resized = zs_resize(map->data, slot_ref(old), encoded_size(enc));
		ZT_ASSERT(resized); /* its room was measured */
		(void)resized;
		encoded_copy(map, enc, slot_ref(old));
		word = slot_with_ref(word, slot_ref(old));
		age_touch(map, slot_ref(old));
	}
	slot_count(map, word, order, 1);
	slot_count(map, old, order, -1);
	word_set(place, word);
	if (slot_kind(word) != SLOT_OBJ)
		slot_release(map, slot_disown(map, old, order), order);
}

/* Where a slot has its whole cluster, but for pages over it, and as what it owns that object. */
static uint64_t *base_place(const struct blkmap *map, uint64_t *slot, unsigned *out_index)
{
	uint64_t word = word_get(slot);

	*out_index = slot_kind(word) == SLOT_MAP ? OWNER_BASE : OWNER_SLOT;
	return slot_kind(word) == SLOT_MAP ? &cluster_map_at(map, word)->base : slot;
}

static const struct encoded nothing;

/* The cluster map ends: its base is all that there is. Slot lock held exclusive. */
static void map_end(struct blkmap *map, uint64_t *slot, unsigned order)
{
	uint64_t word = word_get(slot), base;
	struct cluster_map *cmap = cluster_map_at(map, word);

	for (unsigned p = 0; p < 1u << order; p++)
		word_overwrite(map, &cmap->pages[p], &nothing, 0);
	base = word_get(&cmap->base);
	slot_set_owner(map, base, slot, OWNER_SLOT);
	word_set(slot, base);
	live_map_remove(map, slot_lock(map, slot), slot_place(map, slot));
	zs_free(map->meta, slot_ref(word));
}

bool encoded_overwrite(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		       const struct encoded *enc)
{
	struct slot_lock *lock = slot_lock(map, slot);
	uint32_t present = slot_present(map, word_get(slot), file->order);
	unsigned index;
	uint64_t *place = base_place(map, slot, &index);

	share_end(map, lock, place, index);
	if (slot_kind(enc->word) != SLOT_OBJ || !fits(enc, room_of(map, word_get(place))))
		return false;
	if (pages_charge(map, file, __builtin_popcount(enc->mask) - __builtin_popcount(present)))
		return false;
	word_overwrite(map, place, enc, file->order);
	if (index == OWNER_BASE)
		map_end(map, slot, file->order);
	lock->seq++;
	atomic_fetch_add_explicit(&map->overwrites_in_place, 1, memory_order_relaxed);
	return true;
}

/* A cluster as it was when an attempt began, and what is to come where. */
struct pieces {
	uint64_t seq; /* of the slot lock */
	uint32_t extent; /* bytes of the cluster */
	uint32_t touched, present; /* pages that the op writes; that are there */
	uint32_t over; /* pages that have a word of their own */
	uint32_t rooms[BLKMAP_MAX_PAGES]; /* of their objects */
	bool has_map;
	uint32_t base_room, base_extent, base_present;

	uint32_t own; /* pages that go to their own words */
	uint32_t below; /* pages that go into the base */
	struct encoded base, pages[BLKMAP_MAX_PAGES];
};

/* Slot lock held. */
static void pieces_look(struct blkmap *map, uint64_t *slot, unsigned order,
			const struct cluster_op *op, struct pieces *out)
{
	uint64_t word = word_get(slot), base;
	unsigned index;

	*out = (struct pieces){ .seq = slot_lock(map, slot)->seq, .touched = pages_touched(op) };
	out->extent = slot_extent(map, word, order);
	out->present = slot_present(map, word, order);
	base = word_get(base_place(map, slot, &index));
	out->base_room = room_of(map, base);
	out->base_extent = slot_extent(map, base, order);
	out->base_present = slot_present(map, base, order);
	out->has_map = index == OWNER_BASE;
	if (!out->has_map)
		return;
	out->over = cluster_map_pages(cluster_map_at(map, word), order);
	for (unsigned p = 0; p < 1u << order; p++)
		out->rooms[p] = room_of(map, word_get(&cluster_map_at(map, word)->pages[p]));
}

/*
 * Encode the op's pages for their own words; those that do not fit are left to the base. What is to
 * be stored is kept at @keep, a page at most for each.
 */
static void pieces_encode_pages(struct blkmap *map, const struct blkmap_file *file,
				struct zcomp_strm *strm, uint32_t len, char *keep,
				struct pieces *pieces)
{
	for (uint32_t p = 0; p < 1u << file->order; p++) {
		struct encoded *enc = &pieces->pages[p];
		uint32_t start = p << ZT_PAGE_SHIFT;

		if (!(pieces->touched & 1u << p))
			continue;
		if (pieces->has_map)
			encode(map, file, strm, strm_bytes(strm) + start,
			       (uint32_t)min_u64(len - start, ZT_PAGE_SIZE), ZT_PAGE_SIZE, 1, enc);
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
static void pieces_encode_base(struct blkmap *map, const struct blkmap_file *file,
			       struct zcomp_strm *strm, uint32_t len, struct pieces *pieces)
{
	uint32_t hidden = pieces->own | (pieces->over & ~pieces->below);
	uint32_t below_end = (32u - (uint32_t)__builtin_clz(pieces->below)) << ZT_PAGE_SHIFT;
	uint32_t base_len = (uint32_t)max_u64(pieces->base_extent, min_u64(below_end, len));
	char *bytes = strm_bytes(strm);

	for (uint32_t p = 0; p < 1u << file->order; p++)
		if (hidden & 1u << p)
			memset(bytes + (p << ZT_PAGE_SHIFT), 0, ZT_PAGE_SIZE);
	encode(map, file, strm, bytes, base_len, cluster_size(file->order),
	       pieces->base_present | pieces->below, &pieces->base);
}

/* Slot lock held exclusive, nothing has changed since pieces_look(), everything fits. */
static int pieces_store(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
			const struct pieces *pieces)
{
	struct slot_lock *lock = slot_lock(map, slot);
	struct cluster_map *cmap = NULL;
	unsigned index;
	uint64_t *base = base_place(map, slot, &index);
	int error = pages_charge(map, file, __builtin_popcount(pieces->touched & ~pieces->present));

	if (error)
		return error;
	if (pieces->has_map)
		cmap = cluster_map_at(map, word_get(slot));
	for (unsigned p = 0; cmap && p < 1u << file->order; p++) {
		if (pieces->own & 1u << p)
			word_overwrite(map, &cmap->pages[p], &pieces->pages[p], 0);
		else if (pieces->below & 1u << p)
			word_overwrite(map, &cmap->pages[p], &nothing, 0);
	}
	if (pieces->below)
		word_overwrite(map, base, &pieces->base, file->order);
	if (cmap)
		live_map_find(lock, slot_place(map, slot))->touched = blkmap_now();
	lock->seq++;
	atomic_fetch_add_explicit(&map->overwrites_in_place, 1, memory_order_relaxed);
	return 0;
}

/* Between the lock and the bytes: the same as a merge, see cluster_write.c. */
static int overwrite_once(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
			  struct zcomp_strm *strm, const struct cluster_op *op, bool locked)
{
	struct slot_lock *lock = slot_lock(map, slot);
	char *bytes = strm_bytes(strm);
	struct pieces pieces;
	uint32_t len;
	int error = -ENOSPC;

	pieces_look(map, slot, file->order, op, &pieces);
	len = (uint32_t)max_u64(pieces.extent, op->to);
	/* Mostly nothing is there that could be overwritten. */
	if (pieces.base_room || pieces.over)
		error = cluster_load(map, lock, strm, word_get(slot), 0, len, bytes);
	if (!locked)
		rw_unlock(&lock->lock);
	if (error)
		return error;
	memcpy(bytes + op->from, op->src, op->to - op->from);
	pieces_encode_pages(map, file, strm, len, strm_take_scratch(strm), &pieces);
	if (pieces.below) {
		pieces_encode_base(map, file, strm, len, &pieces);
		if (!fits(&pieces.base, pieces.base_room))
			return -ENOSPC;
	}
	if (!locked)
		write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	error = pieces.seq == lock->seq ? pieces_store(map, file, slot, &pieces) : -EAGAIN;
	if (!locked)
		rw_unlock(&lock->lock);
	return error;
}

int cluster_overwrite(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		      struct zcomp_strm *strm, const struct cluster_op *op)
{
	struct slot_lock *lock = slot_lock(map, slot);
	unsigned index;
	uint64_t *base;

	write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	base = base_place(map, slot, &index);
	share_end(map, lock, base, index);
	rw_unlock(&lock->lock);
	return cluster_rounds(map, file, slot, strm, op, overwrite_once);
}
