// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * publish.c - a recompressed object takes the old one's place, if that has not changed.
 *
 * This is only the last step of content/attempt.h's protocol. The look was the pool's, by a try of
 * the lock under class->lock. Many objects are compressed at once. The lock may be a share
 * record's. What changed meanwhile is left for the next pass instead of another round, so nothing
 * is ever compressed under a lock here. When the lock's seq has moved, the slot's memory may no
 * longer exist, and is not touched.
 *
 * Locks: recompress.h.
 */
#include "blkmap/cluster/cluster.h"
#include "blkmap/slot/account.h"
#include "blkmap/upkeep/dedup.h"
#include "blkmap/upkeep/packer.h"
#include "blkmap/upkeep/recompress.h"
#include "util/alloc.h"

/*
 * When memory is used up, both fit into what the arena spares; it comes back when the old one
 * is freed. Nobody else gets it, however much they write meanwhile.
 */
int recomp_place(struct recompressor *rc, const struct encoded *enc, uint64_t *out_word)
{
	int error;

	arena_use_spare(true);
	error = encoded_place_hard(rc->slots, enc, out_word);
	arena_use_spare(false);
	return error;
}

/* The word that says "tried in vain". */
static uint64_t word_kept(uint64_t word)
{
	if (slot_codec(word) == SLOT_CODEC_RAW)
		return slot_with_codec(word, SLOT_CODEC_RAW_KEPT);
	if (slot_codec(word) == SLOT_CODEC_MAIN)
		return slot_with_codec(word, SLOT_CODEC_MAIN_KEPT);
	return word;
}

void recomp_changed(void *arg, const uint64_t *seq, uint64_t before, uint64_t place)
{
	struct recompressor *rc = arg;

	for (unsigned i = 0; i < rc->batch.nr; i++) {
		struct recomp_item *item = &rc->batch.items[i];

		if (item->seq == before && item->place != place &&
		    place_seq(rc->slots, item->place, item->shared) == seq)
			item->seq = *seq;
	}
}

/*
 * The slot or record is @item's still: exchange its word. Its lock is held exclusive. With another
 * object the lock's seq moves; another codec number alone is nobody's business.
 * Return: the old word, for slot_release(), if it has another object.
 */
static struct loose_word item_exchange(struct recompressor *rc, const struct recomp_item *item,
				       uint64_t word)
{
	uint64_t *place = slot_at(rc->slots, item->place);
	uint64_t *seq = place_seq(rc->slots, item->place, item->shared), before;
	bool same_object = slot_ref(word) == slot_ref(item->word);

	ZT_ASSERT(word_get(place) == item->word);
	if (item->shared) {
		/* Of the rest each name counts its own part. */
		codec_count(rc->slots, word, 1);
		codec_count(rc->slots, item->word, -1);
	} else {
		slot_count(rc->slots, word, 0, 1);
		slot_count(rc->slots, item->word, 0, -1);
	}
	if (!same_object)
		slot_set_owner(rc->slots, word, place, item->shared ? OWNER_SHARE : OWNER_SLOT);
	word_set(place, word);
	if (same_object)
		return (struct loose_word){ 0 };
	before = (*seq)++;
	recomp_changed(rc, seq, before, item->place);
	return slot_disown(rc->slots, item->word, 0);
}

static uint32_t room_of(const struct slots *slots, ref_t ref)
{
	return zs_room(slots->data, zs_size(slots->arena, ref));
}

/* The item as it is to be stored, @word being that without a ref or as it is now. */
static struct dedup_object item_object(struct recompressor *rc, const struct recomp_item *item,
				       uint64_t word)
{
	struct dedup_object object = { .word = word, .place = item->place, .seq = item->seq };
	bool better = item->out_len > 0;
	uint32_t size = better ? (uint32_t)item->out_len : item->size;

	if (item->pack)
		return object;
	if (better ? !dedup_may(rc->dedup, word, size) : !item->alike)
		return object;
	object.size = size;
	object.data = (better || !slot_is_raw(item->word) ? rc->out : rc->in) + item->at;
	object.hash = dedup_hash(rc->dedup, object.data, size);
	return object;
}

/* A new object for what was made of the item. 0, or there is no memory for it. */
static int item_place(struct recompressor *rc, const struct recomp_item *item, uint64_t word,
		      uint64_t *out_word)
{
	struct encoded enc = { .word = word,
			       .data = rc->out + item->at,
			       .len = (uint32_t)item->out_len,
			       .mask = item->mask };

	return recomp_place(rc, &enc, out_word);
}

/* What publishing an item came to. */
enum outcome { OUTCOME_LATE, OUTCOME_KEPT, OUTCOME_BETTER, OUTCOME_JOINED };

/*
 * Exchange the item's word for @word, unless it is not the slot's any more; what is not needed then
 * is released.
 */
static enum outcome item_commit(struct recompressor *rc, const struct recomp_item *item,
				const struct dedup_object *object, uint64_t word,
				enum outcome wanted)
{
	struct loose_word old = { 0 };
	struct rwlock *lock = place_lock(rc->slots, item->place, item->shared);

	write_lock(lock);
	if (*place_seq(rc->slots, item->place, item->shared) == object->seq) {
		old = item_exchange(rc, item, word);
	} else {
		if (wanted != OUTCOME_KEPT)
			old = slot_fresh(word);
		wanted = OUTCOME_LATE;
	}
	if (!item->shared && (wanted == OUTCOME_KEPT || wanted == OUTCOME_BETTER))
		pack_note(rc, item->place, word);
	/* While nothing can move it. */
	if (object->data && (wanted == OUTCOME_KEPT || wanted == OUTCOME_BETTER))
		dedup_note(rc->dedup, object->hash, slot_ref(word));
	rw_unlock(lock);
	slot_release(rc->slots, old, 0);
	return wanted;
}

/* @saved: below 0 where a dictionary had to go. */
static void item_count(struct recompressor *rc, const struct recomp_item *item,
		       enum outcome outcome, int64_t saved)
{
	if (item->len < slot_length(item->word) && outcome == OUTCOME_BETTER)
		recomp_count(&rc->packs_remade, 1);
	if (outcome == OUTCOME_KEPT) {
		recomp_count(&rc->kept, 1);
	} else if (outcome == OUTCOME_BETTER && saved > 0) {
		recomp_count(&rc->done, 1);
		recomp_count(&rc->saved, (uint64_t)saved);
	} else if (outcome == OUTCOME_JOINED) {
		recomp_count(&rc->dedup->joined, 1);
		recomp_count(&rc->dedup->saved, (uint64_t)saved);
	}
}

/*
 * The word of what was made of an item, without its ref. The names of a shared one say whether there
 * are holes, too, and cannot be changed: so it stays as it is.
 */
static uint64_t word_made(const struct recomp_item *item)
{
	bool sparse = item->shared ? item->word & SLOT_SPARSE : item->mask != pages_mask(item->len);

	return slot_make_obj(item->codec, item->len, sparse);
}

bool recomp_publish_faster(struct recompressor *rc, const struct recomp_item *item)
{
	const struct dedup_object none = { .seq = item->seq };
	const struct encoded enc = { .word = word_made(item),
				     .data = rc->out + item->at,
				     .len = (uint32_t)item->out_len,
				     .mask = item->mask };
	uint64_t word;

	/* What the arena spares is not for this. */
	if (encoded_place(rc->slots, &enc, &word))
		return false;
	return item_commit(rc, item, &none, word, OUTCOME_BETTER) == OUTCOME_BETTER;
}

/* Return: whether it takes less room now. */
bool recomp_publish(struct recompressor *rc, const struct recomp_item *item)
{
	enum outcome wanted = item->out_len > 0 ? OUTCOME_BETTER : OUTCOME_KEPT, outcome;
	uint64_t made = word_made(item);
	uint64_t word = wanted == OUTCOME_BETTER ? made : word_kept(item->word);
	struct dedup_object object = item_object(rc, item, word);
	int64_t saved = item->room;

	dedup_reserve(rc->dedup);
	/* One that is shared is found by others, and cannot give itself up. */
	if (object.data && !item->shared && dedup_take(rc->dedup, &object, &word))
		wanted = OUTCOME_JOINED;
	/* No memory: the old one stays, and may be tried again. */
	else if (wanted == OUTCOME_BETTER && item_place(rc, item, made, &word))
		return false;
	if (wanted == OUTCOME_BETTER)
		saved -= room_of(rc->slots, slot_ref(word));
	outcome = item_commit(rc, item, &object, word, wanted);
	spare_give_back(rc->slots);
	item_count(rc, item, outcome, saved);
	return (outcome == OUTCOME_BETTER && saved > 0) || outcome == OUTCOME_JOINED;
}
