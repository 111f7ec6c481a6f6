/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * owned.h - from an object that the pool has found to the word that names it.
 *
 * An object's header says who owns it: a slot, or a share record that several slots name. Under the
 * class's lock it cannot be freed; under the lock of that word it cannot change.
 */
#ifndef ZT_BLKMAP_UPKEEP_OWNED_H
#define ZT_BLKMAP_UPKEEP_OWNED_H

#include "blkmap/slot/share.h"
#include "blkmap/slot/slots.h"
#include "util/lock.h"

/* The lock of the slot, or of the share record, whose word is at @place. */
static inline struct rwlock *place_lock(const struct slots *slots, uint64_t place, bool shared)
{
	return shared ? &share_lock_at(slots, place)->lock : &slot_lock_at(slots, place)->lock;
}

/* Its count of changes; guarded by that lock. */
static inline uint64_t *place_seq(const struct slots *slots, uint64_t place, bool shared)
{
	return shared ? &share_lock_at(slots, place)->seq : &slot_lock_at(slots, place)->seq;
}

/*
 * owner_try() - the word of the slot or share record that owns an object, as the pool has said it does
 * @owner: a slot or a record, read without the word's lock
 * Context: from a visit of the pool, so the lock is only tried.
 * Return: true: *@out_word may name the object, and its lock is held shared; place_lock() gives it
 * back. False: the lock is taken, or the object has another owner by now, without whose record nothing is
 * there to be read.
 */
static inline bool owner_try(const struct slots *slots, ref_t ref, struct zs_owner owner,
			     uint64_t *out_word)
	ZT_NO_LOCK_CHECK /* the lock goes to the caller with the word */
{
	struct rwlock *lock = place_lock(slots, owner.word, owner.index == OWNER_SHARE);
	struct zs_owner now;

	if (!read_trylock(lock))
		return false;
	now = zs_get_owner(slots->arena, ref);
	if (now.word == owner.word && now.index == owner.index) {
		*out_word = word_get(slot_at(slots, owner.word));
		return true;
	}
	rw_unlock(lock);
	return false;
}

#endif
