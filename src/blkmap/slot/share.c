// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * share.c - objects that several slots name: how copies within the mount cost no memory.
 *
 *     slot of one file: SHARED --+
 *     slot of another:  SHARED --+--> share record: word --> object
 *     base of a map:    SHARED --+                  count
 *
 * A record keeps its object until the last name is gone; then the object loses its owner, and both
 * go. So compaction, which looks at the record of an object that it holds, finds memory there.
 * A slot's own lock keeps its name, and with it the record: a thread that holds the slot lock may
 * read the record. The words are stored in such an order that the slot's leads to the object at every
 * moment, so that the arena is sound wherever the daemon is killed (tests/models/slot.pml).
 *
 * Locks: share locks are hashed by the record. Below slot locks, above the pools'; no thread holds
 * two.
 */
#include "blkmap/slot/share.h"

#include <errno.h>

#include "blkmap/slot/account.h"
#include "blkmap/slot/age.h"
#include "blkmap/slot/pack.h"
#include "util/alloc.h"
#include "util/hook.h"

static_assert(OWNER_SHARE < 64, "an owner index has 6 bits");

/* A record's word changes, or goes. Share lock held exclusive. */
static void rec_set(struct share_lock *lock, struct share_rec *rec, uint64_t word)
{
	word_set(&rec->word, word);
	lock->seq++;
}

static void rec_count(struct share_rec *rec, uint64_t count)
{
	__atomic_store_n(&rec->count, count, __ATOMIC_RELAXED);
	zt_stored("share: a record's count");
}

static void count_shared(struct slots *slots, uint64_t word, int sign)
{
	uint64_t n = (slot_length(word) + ZT_PAGE_SIZE - 1) >> ZT_PAGE_SHIFT;

	atomic_fetch_add_explicit(&slots->account.shared_pages, sign > 0 ? n : -n,
				  memory_order_relaxed);
}

uint64_t share_begin(struct slots *slots, uint64_t *slot, ref_t ref)
{
	uint64_t word = word_get(slot), shared = slot_make_shared(word, ref);
	struct share_rec *rec = zs_data(slots->arena, ref);
	struct share_lock *lock = share_lock(slots, rec);

	write_lock_counted(&lock->lock, ZT_LOCK_SHARE);
	rec_set(lock, rec, word);
	rec_count(rec, 2);
	slot_set_owner(slots, word, &rec->word, OWNER_SHARE);
	/* Before compaction can move the object by its record: the slot's word would lead nowhere. */
	word_set(slot, shared);
	rw_unlock(&lock->lock);
	zt_hook("share: compaction finds the object by its record", slot_place(slots, slot));
	slot_lock(slots, slot)->seq++;
	count_shared(slots, shared, 1);
	return shared;
}

static int share_again(struct slots *slots, uint64_t word)
{
	struct pack_rec *pack = pack_of(slots, word);
	struct share_rec *rec = share_rec_at(slots, word);
	struct share_lock *lock = share_lock(slots, rec);
	bool fits;

	write_lock_counted(&lock->lock, ZT_LOCK_SHARE);
	fits = !pack || pack_name(pack, pack_member(word));
	if (fits)
		rec_count(rec, rec->count + 1);
	rw_unlock(&lock->lock);
	return fits ? 0 : -EAGAIN;
}

static int rec_alloc(struct slots *slots, ref_t *out_ref)
{
	int error = zs_malloc(slots->meta, sizeof(struct share_rec), out_ref);

	if (error == -ENOSPC && zs_trim(slots->data, 0) > 0)
		error = zs_malloc(slots->meta, sizeof(struct share_rec), out_ref);
	return error;
}

int share_take(struct slots *slots, uint64_t *slot, uint64_t *out_word)
{
	struct slot_lock *lock = slot_lock(slots, slot);
	ref_t fresh = 0;
	int error = 0;

	for (;;) {
		uint64_t word;

		write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
		word = word_get(slot);
		if (slot_kind(word) == SLOT_SHARED) {
			error = share_again(slots, word);
		} else if (slot_kind(word) == SLOT_MAP || slot_kind(word) == SLOT_SPILLED) {
			error = -EAGAIN;
		} else if (slot_kind(word) == SLOT_OBJ && fresh) {
			word = share_begin(slots, slot, fresh);
			fresh = 0;
		}
		rw_unlock(&lock->lock);
		*out_word = word;
		if (error || slot_kind(word) != SLOT_OBJ)
			break;
		error = rec_alloc(slots, &fresh);
		if (error)
			break;
	}
	if (fresh)
		zs_free(slots->meta, fresh);
	return error;
}

void share_end(struct slots *slots, struct slot_lock *slot_lock, uint64_t *place, unsigned index)
{
	uint64_t word = word_get(place), obj;
	struct share_rec *rec;
	struct share_lock *lock;

	if (slot_kind(word) != SLOT_SHARED || pack_of(slots, word))
		return;
	rec = share_rec_at(slots, word);
	lock = share_lock(slots, rec);
	write_lock_counted(&lock->lock, ZT_LOCK_SHARE);
	/* Names come from names: with the only one held, none can be added. */
	if (rec->count > 1) {
		rw_unlock(&lock->lock);
		return;
	}
	obj = slot_resolve(word, word_get(&rec->word));
	slot_set_owner(slots, obj, place, index);
	/* The slot's word first: without it the record is all that leads to the object. */
	word_set(place, obj);
	rec_set(lock, rec, 0);
	zt_hook("share: a record lost its object", slot_place(slots, place));
	rw_unlock(&lock->lock);
	slot_lock->seq++;
	if (slot_is_raw(word) == slot_is_raw(obj)) {
		count_shared(slots, word, -1);
	} else {
		/* The object was recompressed meanwhile. Its codec is counted already. */
		slot_count(slots, word, 0, -1);
		slot_count(slots, obj, 0, 1);
		codec_count(slots, obj, -1);
	}
	zs_free(slots->meta, slot_ref(word));
}

void share_lower(struct slots *slots, ref_t ref, unsigned nr, uint32_t members)
{
	struct share_rec *rec = zs_data(slots->arena, ref);
	struct share_lock *lock = share_lock(slots, rec);
	struct pack_rec *pack = pack_at(slots, ref);
	struct loose_word obj = { 0 };

	write_lock_counted(&lock->lock, ZT_LOCK_SHARE);
	if (pack)
		pack_unname(pack, members);
	rec_count(rec, rec->count - nr);
	if (rec->count == 0) {
		obj = slot_disown(slots, word_get(&rec->word), 0);
		rec_set(lock, rec, 0);
	} else if (pack && pack_is_thin(slots, pack)) {
		zs_note_object(slots->data, slot_ref(word_get(&rec->word)));
	}
	rw_unlock(&lock->lock);
	if (!obj.word)
		return;
	if (pack)
		atomic_fetch_sub_explicit(&slots->account.packs, 1, memory_order_relaxed);
	codec_count(slots, obj.word, -1);
	slot_release(slots, obj, 0);
	zs_free(slots->meta, ref);
}

void share_release(struct slots *slots, uint64_t word)
{
	share_lower(slots, slot_ref(word), 1, pack_of(slots, word) ? 1u << pack_member(word) : 0);
}

/* ---- packs: pack.h ---- */

void pack_begin(struct slots *slots, ref_t ref, uint64_t word, unsigned nr)
{
	struct pack_rec *rec = zs_data(slots->arena, ref);
	struct share_lock *lock = share_lock(slots, &rec->share);

	write_lock_counted(&lock->lock, ZT_LOCK_SHARE);
	for (unsigned i = 0; i < PACK_MEMBERS; i++)
		rec->names[i] = i < nr;
	rec->share.count = nr + 1;
	zt_stored("pack: a record's names");
	word_set(&rec->share.word, word);
	lock->seq++;
	slot_set_owner(slots, word, &rec->share.word, OWNER_SHARE);
	rw_unlock(&lock->lock);
	codec_count(slots, word, 1);
	atomic_fetch_add_explicit(&slots->account.packs, 1, memory_order_relaxed);
}

void pack_end(struct slots *slots, ref_t ref, uint32_t members)
{
	share_lower(slots, ref, 1 + (unsigned)__builtin_popcount(members), members);
}

/* ---- relocation, called by compaction under class->lock ---- */

bool share_relocate_begin(struct slots *slots, uint64_t place, ref_t old_ref)
	ZT_NO_LOCK_CHECK /* given back by share_relocate_end() */
{
	struct share_lock *lock = share_lock_at(slots, place);
	struct zs_owner now;
	uint64_t word;

	if (!write_trylock(&lock->lock))
		return false;
	/* Has it lost its record since we looked? Then nothing is there to be read. */
	now = zs_get_owner(slots->arena, old_ref);
	if (now.word == place && now.index == OWNER_SHARE) {
		word = word_get(slot_at(slots, place));
		if (slot_kind(word) == SLOT_OBJ && slot_ref(word) == old_ref)
			return true;
	}
	rw_unlock(&lock->lock);
	return false;
}

void share_relocate_end(struct slots *slots, uint64_t place, ref_t new_ref)
	ZT_NO_LOCK_CHECK /* taken by share_relocate_begin() */
{
	struct share_rec *rec = (struct share_rec *)slot_at(slots, place);
	struct share_lock *lock = share_lock_at(slots, place);

	if (new_ref) {
		ref_t old_ref = slot_ref(word_get(&rec->word));

		age_move(slots, old_ref, new_ref);
		rec_set(lock, rec, slot_with_ref(word_get(&rec->word), new_ref));
		slots_tell_moved(slots, word_get(&rec->word), old_ref);
	}
	rw_unlock(&lock->lock);
}

/* ---- life cycle ---- */

int shares_init(struct slots *slots)
{
	slots->share_locks = zt_alloc_aligned(64, SHARE_LOCKS * sizeof(*slots->share_locks));
	if (!slots->share_locks)
		return -ENOMEM;
	for (unsigned i = 0; i < SHARE_LOCKS; i++)
		rwlock_init(&slots->share_locks[i].lock, ZT_RANK_SHARE);
	return 0;
}

void shares_exit(struct slots *slots)
{
	for (unsigned i = 0; slots->share_locks && i < SHARE_LOCKS; i++)
		rwlock_exit(&slots->share_locks[i].lock);
	zt_free(slots->share_locks);
	slots->share_locks = NULL;
}
