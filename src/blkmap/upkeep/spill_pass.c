// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spill_pass.c - one pass of spilling: objects are copied, written, and their words exchanged.
 *
 * An object is found by the pool, as recompression finds it (scan.c). Its place, its word and its
 * lock's seq are remembered while the copy is written, and nothing at the place is read before seq is
 * found unchanged under the exclusive lock. What changed meanwhile stays, and what was written of it
 * is dropped.
 *
 * Locks: spiller.h.
 */
#include <errno.h>
#include <string.h>

#include "blkmap/slot/account.h"
#include "blkmap/slot/age.h"
#include "blkmap/upkeep/owned.h"
#include "blkmap/upkeep/spiller.h"
#include "util/hook.h"

struct look {
	const struct spiller *spiller;
	const struct spill_pass *pass;
	struct spill_place *place; /* out */
};

/* Ages beyond this are set back to it, so that they never wrap and look young. */
#define AGE_MAX 200u

static bool is_idle(const struct look *look, ref_t ref)
{
	struct slots *slots = look->spiller->slots;
	const unsigned age = age_of(slots, ref);

	if (age > AGE_MAX)
		age_limit(slots, ref, AGE_MAX);
	return age >= look->pass->age;
}

static bool is_wanted(const struct look *look, uint64_t word, ref_t ref)
{
	return slot_kind(word) == SLOT_OBJ && slot_ref(word) == ref &&
	       (slot_is_raw(word) || !look->pass->raw);
}

/* zs_visit_fn. ZS_STOP: it is to go, and its slot's lock is held shared. */
static enum zs_verdict visit(void *arg, ref_t ref, uint32_t len, struct zs_owner owner)
	ZT_NO_LOCK_CHECK /* the lock goes to the caller */
{
	struct look *look = arg;
	struct slots *slots = look->spiller->slots;
	uint64_t word;

	if (len < SPILL_LEAST || owner.word == 0 || owner.index != OWNER_SLOT ||
	    !is_idle(look, ref) || !is_wanted(look, word_get(slot_at(slots, owner.word)), ref) ||
	    !owner_try(slots, ref, owner, &word))
		return ZS_UNSETTLED;
	if (!is_wanted(look, word, ref)) {
		rw_unlock(place_lock(slots, owner.word, false));
		return ZS_UNSETTLED;
	}
	*look->place = (struct spill_place){ owner.word, word,
					     *place_seq(slots, owner.word, false) };
	return ZS_STOP;
}

/* A copy of an object whose slot is locked. False: the batch is full. */
static bool item_copy(struct spiller *spiller, const struct spill_place *place)
{
	const ref_t ref = slot_ref(place->word);
	const uint32_t prefix = place->word & SLOT_SPARSE ? SLOT_SPARSE_PREFIX : 0;
	const uint32_t size = zs_size(spiller->slots->arena, ref) - prefix;
	const char *data = zs_data(spiller->slots->arena, ref);
	uint32_t mask = UINT32_MAX;
	char *bytes;

	if (prefix)
		memcpy(&mask, data, sizeof(mask));
	bytes = spill_batch_add(&spiller->batch, size, mask);
	if (bytes)
		memcpy(bytes, data + prefix, size);
	return bytes != NULL;
}

/* Fill the batch from the cursor on. False: the end was reached. */
static bool gather(struct spiller *spiller, const struct spill_pass *pass)
	ZT_NO_LOCK_CHECK /* the lock comes from the visit */
{
	struct spill_batch *batch = &spiller->batch;
	struct look look = { .spiller = spiller, .pass = pass };

	batch->nr = 0;
	batch->used = 0;
	while (batch->nr < SPILL_BATCH_ITEMS && batch->used < pass->most - pass->freed) {
		const uint64_t before = spiller->cursor;
		bool full;

		look.place = &spiller->places[batch->nr];
		if (!zs_scan(spiller->slots->data, &spiller->cursor, visit, &look)) {
			spiller->cursor = 0;
			return false;
		}
		full = !item_copy(spiller, look.place);
		rw_unlock(&slot_lock_at(spiller->slots, look.place->place)->lock);
		if (full) {
			spiller->cursor = before;
			break;
		}
	}
	return true;
}

/* Other items under the same lock are as they were: the pass itself has changed the word. */
static void seq_moved(struct spiller *spiller, unsigned from, const struct slot_lock *lock,
		      uint64_t before)
{
	for (unsigned i = from; i < spiller->batch.nr; i++) {
		struct spill_place *place = &spiller->places[i];

		if (place->seq == before && slot_lock_at(spiller->slots, place->place) == lock)
			place->seq = before + 1;
	}
}

/* Return: bytes of the object that went; 0: it has changed, and stays. */
static uint32_t item_publish(struct spiller *spiller, unsigned i)
{
	const struct spill_place *place = &spiller->places[i];
	const spill_id id = spiller->batch.items[i].id;
	struct slots *slots = spiller->slots;
	struct slot_lock *lock = slot_lock_at(slots, place->place);
	const uint64_t word = slot_make_spilled(place->word, id);
	struct loose_word old = { 0 };
	uint32_t size = 0;

	write_lock(&lock->lock);
	/* Recompression marks what it has tried in vain without a change of seq. */
	if (lock->seq == place->seq && word_get(slot_at(slots, place->place)) == place->word) {
		size = zs_room_of(slots->data, slot_ref(place->word));
		slot_count(slots, word, 0, 1);
		slot_count(slots, place->word, 0, -1);
		word_set(slot_at(slots, place->place), word);
		lock->seq++;
		seq_moved(spiller, i + 1, lock, place->seq);
		old = slot_disown(slots, place->word, 0);
	}
	rw_unlock(&lock->lock);
	if (size == 0)
		spill_drop(spiller->spill, id);
	slot_release(slots, old, 0);
	return size;
}

/* One batch. Return: 0, or why the file took less than all. */
static int step(struct spiller *spiller, struct spill_pass *pass, bool *out_more)
{
	struct spill_batch *batch = &spiller->batch;
	uint64_t freed = 0;
	int error;

	*out_more = gather(spiller, pass);
	if (batch->nr == 0)
		return 0;
	zt_hook("spill: objects are copied", batch->nr);
	error = spill_write(spiller->spill, batch);
	zt_hook("spill: objects are written", batch->nr);
	for (unsigned i = 0; i < batch->nr; i++)
		if (batch->items[i].id)
			freed += item_publish(spiller, i);
	(void)zs_trim(spiller->slots->data, 0);
	pass->freed += freed;
	mutex_lock(&spiller->lock);
	spiller->freed += freed;
	cond_broadcast(&spiller->cond);
	mutex_unlock(&spiller->lock);
	return error;
}

/* Once around, from where the last one ended. */
int spiller_pass(struct spiller *spiller, struct spill_pass *pass)
{
	const uint64_t begin = spiller->cursor;
	bool around = false, more;
	int error = 0;

	do {
		error = step(spiller, pass, &more);
		if (!more && around)
			break;
		around |= !more;
		if (!error && atomic_load_explicit(&spiller->held, memory_order_relaxed))
			error = -EAGAIN;
	} while (!error && pass->freed < pass->most && (!around || spiller->cursor < begin));
	return error;
}
