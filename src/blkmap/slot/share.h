/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * share.h - share records: objects that several slots name. See share.c for the picture.
 */
#ifndef ZT_BLKMAP_SLOT_SHARE_H
#define ZT_BLKMAP_SLOT_SHARE_H

#include "blkmap/slot/slots.h"

int shares_init(struct slots *slots) ZT_MUST_CHECK;
void shares_exit(struct slots *slots);

static inline struct share_lock *share_lock_at(const struct slots *slots, uint64_t place)
{
	return &slots->share_locks[keyhash_word(&slots->hash_key, place) >> 56];
}
static_assert(SHARE_LOCKS == 1u << (64 - 56), "the hash gives 8 bits");

static inline struct share_lock *share_lock(const struct slots *slots, const struct share_rec *rec)
{
	return share_lock_at(slots, slot_place(slots, &rec->word));
}

static inline struct share_rec *share_rec_at(const struct slots *slots, uint64_t word)
{
	return zs_data(slots->arena, slot_ref(word));
}

static inline ref_t share_rec_ref(const struct slots *slots, const struct share_rec *rec)
{
	return (slot_place(slots, &rec->word) * 8 - ZS_HDR_SIZE) >> ARENA_REF_SHIFT;
}

/*
 * share_hold() - the OBJ word that a SHARED one stands for; the object stays where it is until
 * share_drop(). Slot lock held. Of a pack's member the object holds others, too (pack.h).
 */
static inline uint64_t share_hold(struct slots *slots, uint64_t word)
	ZT_NO_LOCK_CHECK /* given back by share_drop() */
{
	struct share_rec *rec = share_rec_at(slots, word);

	read_lock_counted(&share_lock(slots, rec)->lock, ZT_LOCK_SHARE);
	return slot_resolve(word, word_get(&rec->word));
}

static inline void share_drop(struct slots *slots, uint64_t word)
	ZT_NO_LOCK_CHECK /* taken by share_hold() */
{
	rw_unlock(&share_lock(slots, share_rec_at(slots, word))->lock);
}

/*
 * share_take() - one more name for what @slot holds, for slot_publish() elsewhere or slot_release()
 * No slot lock held; file held. HOLE, SAME and ZERO are themselves; an object becomes a shared one.
 * Return: 0; -EAGAIN: it is a cluster map, fold it first, or it is out, or a pack's member of which
 * there can be no more names; -ENOSPC, -ENOMEM.
 */
int share_take(struct slots *slots, uint64_t *slot, uint64_t *out_word) ZT_MUST_CHECK;

/*
 * share_begin() - the object of @slot gets the record @ref and a second name
 * Slot lock held exclusive. Return: the word of both.
 */
uint64_t share_begin(struct slots *slots, uint64_t *slot, ref_t ref);

/*
 * share_end() - what is the only name left owns its object again, unless that is a pack
 * @lock: the slot's, held exclusive
 * @place, @index: a slot, or the base of its cluster map; as what it owns an object
 */
void share_end(struct slots *slots, struct slot_lock *lock, uint64_t *place, unsigned index);

/* Drop one name; the last one frees the object. No slot lock held. */
void share_release(struct slots *slots, uint64_t word);

/*
 * The same for @nr names of the record @ref.
 * @members: of a pack: one name of each in this mask is among them
 */
void share_lower(struct slots *slots, ref_t ref, unsigned nr, uint32_t members);

/* The halves of slot_relocate_begin() and slot_relocate_end() for OWNER_SHARE. */
bool share_relocate_begin(struct slots *slots, uint64_t place, ref_t old_ref);
void share_relocate_end(struct slots *slots, uint64_t place, ref_t new_ref);

#endif
