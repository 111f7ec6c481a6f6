// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * relocate.c - moving objects for the pool: compaction's calls, under class->lock.
 *
 * How compaction and writers agree (pool.h has the other half): an object's header names the word
 * that holds its ref. Compaction holds the object's class->lock, so that the object is not freed
 * meanwhile; it tries the slot's lock, and only under it trusts what header and word say. To find
 * that lock it reads the cluster map that the header names. That is safe because an object loses
 * its owner under class->lock (zs_change_owner()), and does so before its word is let go
 * (struct loose_word): a map or a tree node is freed when no header names it. Shared objects:
 * share.c.
 */
#include "blkmap/slot/age.h"
#include "blkmap/slot/share.h"
#include "blkmap/slot/slots.h"
#include "blkmap/slot/slots_i.h"

/* The map that holds the owner word of a base or page object. */
static struct cluster_map *owner_map(const struct slots *slots, struct zs_owner owner)
{
	uint64_t *word = slot_at(slots, owner.word);
	unsigned field = owner.index == OWNER_BASE ? 0 : owner.index;

	return (struct cluster_map *)(word - field);
}
static_assert(offsetof(struct cluster_map, pages) == OWNER_PAGE(0) * sizeof(uint64_t),
	      "an owner index is the field's position in the map");

static bool word_names(uint64_t word, ref_t ref)
{
	return slot_kind(word) == SLOT_OBJ && slot_ref(word) == ref;
}

bool slot_relocate_begin(void *arg, struct zs_owner owner, ref_t old_ref)
	ZT_NO_LOCK_CHECK /* given back by slot_relocate_end() */
{
	struct slots *slots = arg;
	struct cluster_map *cmap;
	struct slot_lock *lock;
	struct arena_run run;
	struct zs_owner now;
	uint64_t place;

	if (owner.index == OWNER_SHARE)
		return share_relocate_begin(slots, owner.word, old_ref);
	cmap = owner.index == OWNER_SLOT ? NULL : owner_map(slots, owner);
	place = cmap ? word_get(&cmap->place) : owner.word;
	/* What a header names is there: never a map that is freed, or what came after it. */
	ZT_ASSERT(arena_run_find(slots->arena, place / 2, &run));
	lock = slot_lock_at(slots, place);
	if (!write_trylock(&lock->lock))
		return false;
	/* Has it found another owner, or its map another slot, since we looked? */
	now = zs_get_owner(slots->arena, old_ref);
	if (now.word != owner.word || now.index != owner.index)
		goto refuse;
	if (cmap) {
		uint64_t word;

		if (word_get(&cmap->place) != place)
			goto refuse;
		word = word_get(slot_at(slots, place));
		if (slot_kind(word) != SLOT_MAP || cluster_map_at(slots, word) != cmap)
			goto refuse;
	}
	if (word_names(word_get(slot_at(slots, owner.word)), old_ref))
		return true;
refuse:
	rw_unlock(&lock->lock);
	return false;
}

void slot_relocate_end(void *arg, struct zs_owner owner, ref_t new_ref)
	ZT_NO_LOCK_CHECK /* taken by slot_relocate_begin() */
{
	struct slots *slots = arg;
	uint64_t *word = slot_at(slots, owner.word), place;
	struct slot_lock *lock;

	if (owner.index == OWNER_SHARE) {
		share_relocate_end(slots, owner.word, new_ref);
		return;
	}
	place = owner.index == OWNER_SLOT ? owner.word : word_get(&owner_map(slots, owner)->place);
	lock = slot_lock_at(slots, place);
	if (new_ref) {
		ref_t old_ref = slot_ref(word_get(word));

		age_move(slots, old_ref, new_ref);
		word_set(word, slot_with_ref(word_get(word), new_ref));
		lock->seq++;
		if (owner.index == OWNER_SLOT)
			slots_tell_moved(slots, word_get(word), old_ref);
	}
	rw_unlock(&lock->lock);
}
