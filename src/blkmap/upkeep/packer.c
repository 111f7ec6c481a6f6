// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * packer.c - small files that lie idle get one object together: a pack (slot/pack.h).
 *
 * A pass does this behind recompression, so each file's object was compressed as well as it can be
 * alone. Files are found by the records that hold their words, in the order of their places: those
 * of one directory were mostly made one after the other. The pool notes what is new. A file is
 * noted when recompression is through with its object. One that is not worth packing now is looked
 * at again when a file beside it is new.
 *
 * The pack is made whole, with its record. Then file after file takes its name in place of its
 * object, if it has not changed meanwhile; the others leave their part of the pack to nobody.
 *
 * Members are taken from objects that a slot owns, never from packs. So a slot that is on its way to
 * another place in its tree is seen: its object has no owner.
 *
 * Locks: recompress.h.
 */
#include "blkmap/upkeep/packer.h"

#include "blkmap/cluster/cluster.h"
#include "blkmap/slot/account.h"
#include "blkmap/slot/age.h"
#include "blkmap/upkeep/worker.h"
#include "util/hook.h"

/* Fewer files, with fewer bytes, wait for others. */
#define PACK_LEAST_NR    8u
#define PACK_LEAST_BYTES (16 * 1024u)
/* It is to take so many sixteenths of the room that the files had, at most. */
#define PACK_WORTH 15u

/* Owners whose files one pass goes through. */
#define PACK_OWNERS 16u
#define NO_OWNER    UINT64_MAX

/* Looking for the next file. */
struct pack_look {
	struct recompressor *rc;
	struct recomp_pass *pass;
	bool full; /* out: the next one does not fit */
	struct recomp_item *item; /* out */
};

/* What can be known without the lock. */
static enum zs_verdict look_first(struct pack_look *look, uint64_t word, uint32_t owner)
{
	const struct recomp_batch *batch = &look->rc->batch;
	struct recomp_pass *pass = look->pass;

	if (!pack_may_join(word))
		return ZS_SETTLED;
	if (age_of(look->rc->slots, slot_ref(word)) < pass->idle) {
		pass->nr_young++;
		return ZS_UNSETTLED;
	}
	pass->first_owner = min_u64(pass->first_owner, owner);
	if (owner > pass->owner)
		pass->next_owner = min_u64(pass->next_owner, owner);
	if (owner != pass->owner)
		return ZS_UNSETTLED;
	if (slot_length(word) <= PACK_BYTES - batch->used)
		return ZS_TAKE;
	look->full = true;
	return ZS_STOP;
}

/* zs_visit_fn. ZS_TAKE: a file for the batch, and its slot's lock is held shared. */
static enum zs_verdict visit_record(void *arg, ref_t ref, uint32_t len, struct zs_owner unused)
	ZT_NO_LOCK_CHECK /* the lock goes to the caller with the item */
{
	struct pack_look *look = arg;
	const struct slots *slots = look->rc->slots;
	const uint64_t *slot;
	struct zs_owner holder;
	enum zs_verdict verdict;
	struct slot_lock *lock;
	uint32_t owner;
	uint64_t word;

	(void)len;
	(void)unused;
	if (!look->rc->packs.look(zs_data(slots->arena, ref), &slot, &owner))
		return ZS_SETTLED;
	word = word_get(slot);
	verdict = look_first(look, word, owner);
	if (verdict != ZS_TAKE)
		return verdict;
	lock = slot_lock(slots, slot);
	if (!read_trylock(&lock->lock))
		return ZS_UNSETTLED;
	/* Is it what it was, and not on its way to another place? */
	holder = (struct zs_owner){ 0 };
	if (word_get(slot) == word)
		holder = zs_get_owner(slots->arena, slot_ref(word));
	if (holder.word != slot_place(slots, slot) || holder.index != OWNER_SLOT) {
		rw_unlock(&lock->lock);
		return ZS_UNSETTLED;
	}
	*look->item = (struct recomp_item){
		.place = slot_place(slots, slot),
		.seq = lock->seq,
		.word = word,
		.len = slot_length(word),
		.room = zs_room_of(slots->data, slot_ref(word)),
		.at = look->rc->batch.used,
	};
	return ZS_TAKE;
}

/* Fill the batch with files of the owner whose turn it is. False: the end was reached. */
static bool gather(struct recompressor *rc, struct recomp_pass *pass)
{
	struct recomp_batch *batch = &rc->batch;
	struct pack_look look = { .rc = rc, .pass = pass };

	batch->nr = 0;
	batch->used = 0;
	while (batch->nr < PACK_MEMBERS) {
		const uint64_t before = pass->cursor;
		int error;

		look.item = &batch->items[batch->nr];
		if (!zs_scan_noted(rc->packs.pool, &pass->cursor, visit_record, &look))
			return false;
		if (look.full) {
			/* It begins the next batch. */
			pass->cursor = before;
			return true;
		}
		error = recomp_load(rc, look.item, rc->in + look.item->at);
		recomp_unlock(rc, look.item);
		if (error)
			continue; /* damaged: a read of it will report that */
		batch->used += look.item->len;
		batch->nr++;
	}
	return true;
}

/* The batch waits for more. */
static void note_again(struct recompressor *rc)
{
	for (unsigned i = 0; i < rc->batch.nr; i++)
		zs_note_object(rc->packs.pool, rc->batch.items[i].place / 2);
}

static uint32_t object_room(uint32_t room)
{
	return room + ZS_HDR_SIZE;
}

/* Bytes of memory that the files' objects have, and most bytes of a pack that is worth making. */
static uint32_t batch_room(const struct recomp_batch *batch)
{
	uint32_t room = 0;

	for (unsigned i = 0; i < batch->nr; i++)
		room += object_room(batch->items[i].room);
	return room;
}

static uint32_t worth(const struct recompressor *rc, uint32_t room)
{
	const uint32_t record = object_room(zs_room(rc->slots->meta, sizeof(struct pack_rec)));
	const uint32_t beside = record + ZS_HDR_SIZE + (uint32_t)sizeof(struct pack_head);
	const uint32_t most = room / 16 * PACK_WORTH;

	return most > beside ? most - beside : 0;
}

/* In the worker. @arg: all files together, as one item. */
static void compress_pack(struct recompressor *rc, void *arg)
{
	recomp_compress(rc, arg);
}

/* False: there is no memory for a compressor. */
static bool make(struct recompressor *rc, struct recomp_item *all)
{
	const struct recomp_batch *batch = &rc->batch;
	unsigned codec;

	*all = (struct recomp_item){ .len = batch->used, .pack = true };
	all->word = slot_make_obj(SLOT_CODEC_IDLE, batch->used, false);
	codec = rc->dicts[recomp_kind(all->word)].codec;
	all->codec = codec ? codec : SLOT_CODEC_IDLE;
	all->word = slot_with_codec(all->word, all->codec);
	all->cap = (uint32_t)min_u64(worth(rc, batch_room(batch)), batch->used);
	for (unsigned i = 0; i < batch->nr; i++)
		all->head.len[i] = (uint16_t)batch->items[i].len;
	if (!recomp_compressor(rc, all))
		return false;
	if (all->cap > 0)
		recomp_run(rc, compress_pack, all);
	return true;
}

/* A record, and the pack's object, which nobody owns yet. 0, or there is no memory for both. */
static int place_pack(struct recompressor *rc, const struct recomp_item *all, ref_t *out_rec,
		      uint64_t *out_word)
{
	const struct encoded enc = {
		.word = all->word,
		.data = rc->out,
		.len = (uint32_t)all->out_len,
	};
	int error;

	arena_use_spare(true);
	error = zs_malloc(rc->slots->meta, sizeof(struct pack_rec), out_rec);
	arena_use_spare(false);
	if (error)
		return error;
	error = recomp_place(rc, &enc, out_word);
	if (error)
		zs_free(rc->slots->meta, *out_rec);
	return error;
}

/* The file of an item gets its name, if it has not changed. Return: whether it has. */
static bool join(struct recompressor *rc, const struct recomp_item *item, ref_t rec, unsigned i)
{
	struct slots *slots = rc->slots;
	struct slot_lock *lock = slot_lock_at(slots, item->place);
	const uint64_t word = slot_make_member(rec, i, item->len);
	struct loose_word old = { 0 };
	uint64_t before;
	bool same;

	write_lock(&lock->lock);
	same = lock->seq == item->seq;
	if (same) {
		ZT_ASSERT(word_get(slot_at(slots, item->place)) == item->word);
		slot_count(slots, word, 0, 1);
		slot_count(slots, item->word, 0, -1);
		word_set(slot_at(slots, item->place), word);
		before = lock->seq++;
		recomp_changed(rc, &lock->seq, before, item->place);
		old = slot_disown(slots, item->word, 0);
	}
	rw_unlock(&lock->lock);
	slot_release(slots, old, 0);
	return same;
}

static void publish(struct recompressor *rc, struct recomp_pass *pass, ref_t rec, uint64_t word)
{
	const struct recomp_batch *batch = &rc->batch;
	const uint32_t room = object_room(zs_room_of(rc->slots->data, slot_ref(word))) +
			      object_room(zs_room_of(rc->slots->meta, rec));
	uint32_t late = 0, had = 0;
	unsigned nr = 0;

	if (!rc->has_packed && rc->packs.begin)
		rc->packs.begin(rc->packs.arg);
	rc->has_packed = true;
	pack_begin(rc->slots, rec, word, batch->nr);
	zt_hook("packer: a pack has no names yet", rec);
	for (unsigned i = 0; i < batch->nr; i++) {
		if (join(rc, &batch->items[i], rec, i)) {
			had += object_room(batch->items[i].room);
			nr++;
		} else {
			late |= 1u << i;
		}
	}
	pack_end(rc->slots, rec, late);
	spare_give_back(rc->slots);
	recomp_count(&rc->pack_joined, nr);
	if (had > room)
		recomp_count(&rc->pack_saved, had - room);
	pass->nr_done += nr;
}

/* Whether another owner's files are to be gone through. A pass does not go on for ever. */
static bool next_owner(struct recompressor *rc, struct recomp_pass *pass)
{
	const bool more = pass->next_owner != NO_OWNER;

	rc->pack_owner = more ? pass->next_owner : pass->first_owner;
	if (!more)
		return false;
	if (++pass->nr_owners == PACK_OWNERS) {
		pass->nr_young++;
		return false;
	}
	pass->owner = pass->next_owner;
	pass->next_owner = NO_OWNER;
	pass->cursor = 0;
	return true;
}

bool pack_begin_pass(const struct recompressor *rc, struct recomp_pass *pass)
{
	if (!rc->packs.pool || pass->no_packs || pass->cut_short)
		return false;
	pass->packing = true;
	pass->owner = rc->pack_owner == NO_OWNER ? 0 : rc->pack_owner;
	pass->next_owner = pass->first_owner = NO_OWNER;
	pass->cursor = 0;
	return true;
}

bool pack_step(struct recompressor *rc, struct recomp_pass *pass)
{
	const bool end = !gather(rc, pass);
	struct recomp_batch *batch = &rc->batch;
	struct recomp_item all;
	uint64_t word;
	ref_t rec;

	if (batch->nr < PACK_LEAST_NR && batch->used < PACK_LEAST_BYTES) {
		note_again(rc);
		return !end || next_owner(rc, pass);
	}
	if (!make(rc, &all) || (all.out_len > 0 && place_pack(rc, &all, &rec, &word))) {
		note_again(rc);
		pass->nr_young++;
		return false;
	}
	if (all.out_len > 0)
		publish(rc, pass, rec, word);
	return !end || next_owner(rc, pass);
}
