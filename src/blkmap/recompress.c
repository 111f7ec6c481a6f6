// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * recompress.c - objects that lie idle, compressed better: finding, reading, compressing, putting
 * in place.
 *
 * An object is found by the pool, with its slot: under class->lock it cannot be freed, and under its
 * slot lock, tried from there, not change. What is read under the slot lock is compressed under
 * none, and published only if the lock's seq has not moved; otherwise the slot's memory may not
 * even be there any more, and is not touched.
 *
 * Locks: recompress.h.
 */
#include "blkmap/recompress.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "util/alloc.h"

/* Ages beyond this are set back to it, so that they never wrap and look young. */
#define AGE_MAX 200u

static uint64_t thread_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- finding ---- */

struct visit {
	struct recompressor *rc;
	struct recomp_pass *pass;
	struct slot_lock *lock; /* out: held shared */
	struct recomp_item *item; /* out: place and word */
};

static bool word_is_candidate(uint64_t word, ref_t ref)
{
	if (slot_kind(word) != SLOT_OBJ || slot_ref(word) != ref)
		return false;
	return slot_codec(word) == SLOT_CODEC_MAIN || slot_codec(word) == SLOT_CODEC_RAW;
}

/* Whether it has been left alone for long enough. */
static bool is_idle(struct visit *visit, ref_t ref)
{
	struct blkmap *map = visit->rc->map;
	unsigned age = age_of(map, ref);

	if (age > AGE_MAX)
		__atomic_store_n(
			&map->ages[ref / ARENA_PAGE_REFS],
			(uint8_t)(atomic_load_explicit(&map->age_now, memory_order_relaxed) -
				  AGE_MAX),
			__ATOMIC_RELAXED);
	if (age >= visit->pass->idle)
		return true;
	visit->pass->nr_young++;
	return false;
}

/* zs_visit_fn. True: a candidate, and its slot lock is held shared. */
static bool visit_object(void *arg, ref_t ref, uint32_t len, struct zs_owner owner)
{
	struct visit *visit = arg;
	struct blkmap *map = visit->rc->map;
	struct slot_lock *lock = slot_lock_at(map, owner.word);
	struct zs_owner now;
	uint64_t word;

	(void)len;
	/* Pinned ones are on their way; bases and pages of cluster maps are folded first. */
	if (owner.word == 0 || owner.index != OWNER_SLOT)
		return false;
	/* A look without the lock sorts most out; the word's memory stays while the object does. */
	if (!word_is_candidate(word_get(slot_at(map, owner.word)), ref) || !is_idle(visit, ref))
		return false;
	if (!read_trylock(&lock->lock)) {
		visit->pass->nr_young++;
		return false;
	}
	now = zs_get_owner(map->arena, ref);
	word = word_get(slot_at(map, owner.word));
	if (now.word != owner.word || now.index != owner.index || !word_is_candidate(word, ref)) {
		rw_unlock(&lock->lock);
		return false;
	}
	visit->lock = lock;
	visit->item->place = owner.word;
	visit->item->word = word;
	visit->item->seq = lock->seq;
	return true;
}

/*
 * Most bytes of a result that would be worth having. What is raw now reads fastest: it is to save
 * as much as it would have had to when it was written.
 */
static uint32_t useful_size(const struct blkmap *map, const struct recomp_item *item)
{
	uint32_t below = zs_room_below(map->data, zs_size(map->arena, slot_ref(item->word)));
	uint32_t prefix = item->word & SLOT_SPARSE ? SLOT_SPARSE_PREFIX : 0;

	if (below <= prefix)
		return 0;
	below -= prefix;
	if (slot_is_raw(item->word))
		below = (uint32_t)min_u64(below, encode_cap(item->len));
	return (uint32_t)min_u64(below, item->len);
}

/* Read the object of an item; its slot lock is held shared. */
static int item_load(struct recompressor *rc, struct recomp_item *item)
{
	struct blkmap *map = rc->map;
	struct recomp_batch *batch = &rc->batch;
	struct zcomp_strm *strm = zcomp_stream_get_private(map->comp);
	int error;

	item->at = batch->used;
	item->mask = slot_present(map, item->word, 0);
	item->cap = useful_size(map, item);
	item->out_len = 0;
	error = cluster_load(map, strm, item->word, 0, item->len, rc->in + item->at);
	zcomp_stream_put(map->comp, strm);
	return error;
}

bool recomp_gather(struct recompressor *rc, struct recomp_pass *pass)
{
	struct recomp_batch *batch = &rc->batch;
	struct visit visit = { .rc = rc, .pass = pass };

	batch->nr = 0;
	batch->used = 0;
	batch->codec = SLOT_CODEC_IDLE;
	while (batch->nr < RECOMP_ITEMS) {
		uint64_t before = pass->cursor;
		struct recomp_item *item = &batch->items[batch->nr];
		int error = 0;

		visit.item = item;
		if (!zs_scan(rc->map->data, &pass->cursor, visit_object, &visit))
			return false;
		item->len = slot_length(item->word);
		if (item->len > RECOMP_BYTES - batch->used) {
			/* It begins the next batch. */
			rw_unlock(&visit.lock->lock);
			pass->cursor = before;
			return true;
		}
		error = item_load(rc, item);
		rw_unlock(&visit.lock->lock);
		if (error)
			continue; /* damaged: whoever reads it will hear of it */
		batch->used += item->len;
		batch->nr++;
	}
	return true;
}

/* ---- compressing ---- */

void recomp_compress(struct recompressor *rc)
{
	struct recomp_batch *batch = &rc->batch;
	struct zcomp *comp = rc->map->codecs[batch->codec];
	struct zcomp_strm *strm = zcomp_stream_get_private(comp);
	uint64_t begin = thread_cpu_ns();

	for (unsigned i = 0; i < batch->nr; i++) {
		struct recomp_item *item = &batch->items[i];

		if (item->cap == 0 || zcomp_compress(comp, strm, rc->in + item->at, item->len,
						     item->cap, &item->out_len))
			item->out_len = 0;
		else
			memcpy(rc->out + item->at, strm->buffer, item->out_len);
	}
	batch->cpu_ns = thread_cpu_ns() - begin;
	zcomp_stream_put(comp, strm);
}

/* ---- putting in place ---- */

static void count(atomic_uint_fast64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* The word that says "tried in vain". */
static uint64_t word_kept(uint64_t word)
{
	return slot_with_codec(word, slot_codec(word) == SLOT_CODEC_RAW ? SLOT_CODEC_RAW_KEPT
									: SLOT_CODEC_MAIN_KEPT);
}

/*
 * The slot is @item's still: exchange its word. Slot lock held exclusive. With another object the
 * lock's seq moves; another codec number alone is nobody's business.
 */
static void item_exchange(struct recompressor *rc, const struct recomp_item *item, uint64_t word)
{
	struct blkmap *map = rc->map;
	uint64_t *slot = slot_at(map, item->place);
	bool same_object = slot_ref(word) == slot_ref(item->word);

	ZT_ASSERT(word_get(slot) == item->word);
	slot_count(map, word, 0, 1);
	slot_count(map, item->word, 0, -1);
	if (!same_object)
		slot_set_owner(map, word, slot, OWNER_SLOT);
	word_set(slot, word);
	if (!same_object)
		slot_lock_at(map, item->place)->seq++;
}

static uint32_t room_of(const struct blkmap *map, ref_t ref)
{
	return zs_room(map->data, zs_size(map->arena, ref));
}

/* Return: whether it takes less room now. */
static bool item_publish(struct recompressor *rc, const struct recomp_item *item)
{
	struct blkmap *map = rc->map;
	struct slot_lock *lock = slot_lock_at(map, item->place);
	struct encoded enc = { .mask = item->mask };
	uint64_t word = 0, old = 0;
	uint32_t saved = 0;
	bool better = item->out_len > 0;

	if (better) {
		enc.data = rc->out + item->at;
		enc.len = (uint32_t)item->out_len;
		enc.word = slot_make_obj(rc->batch.codec, item->len,
					 item->mask != pages_mask(item->len));
		/* No room for both: the old one stays, and may be tried again. */
		if (encoded_place(map, &enc, &word))
			return false;
	}
	write_lock(&lock->lock);
	if (lock->seq != item->seq) {
		old = word;
		better = false;
	} else if (better) {
		old = item->word;
		saved = room_of(map, slot_ref(old)) - room_of(map, slot_ref(word));
		item_exchange(rc, item, word);
	} else {
		item_exchange(rc, item, word_kept(item->word));
		count(&rc->kept, 1);
	}
	rw_unlock(&lock->lock);
	slot_release(map, old, 0);
	if (better) {
		count(&rc->done, 1);
		count(&rc->saved, saved);
	}
	return better;
}

void recomp_publish(struct recompressor *rc, struct recomp_pass *pass)
{
	for (unsigned i = 0; i < rc->batch.nr; i++)
		pass->nr_done += item_publish(rc, &rc->batch.items[i]);
}

/* ---- life cycle ---- */

int recomp_init(struct blkmap *map, const struct blkmap_params *params, char error_text[256])
{
	struct recompressor *rc;
	int error;

	if (!params->recompress)
		return 0;
	error = codec_create(map, SLOT_CODEC_IDLE, params->recompress, params->recompress_level,
			     NULL, 0, error_text);
	if (error)
		return error;
	rc = zt_zalloc(sizeof(*rc));
	if (!rc)
		return -ENOMEM;
	rc->in = zt_map(2 * (size_t)RECOMP_BYTES);
	if (!rc->in) {
		zt_free(rc);
		return -ENOMEM;
	}
	rc->out = rc->in + RECOMP_BYTES;
	rc->map = map;
	/* A hundred ticks and more are left before an age would wrap. */
	rc->tick_seconds = 1 + params->recompress_idle / 100;
	rc->idle = params->recompress_idle / rc->tick_seconds;
	mutex_init(&rc->pass_lock);
	map->recomp = rc;
	return 0;
}

void recomp_exit(struct blkmap *map)
{
	struct recompressor *rc = map->recomp;

	if (!rc)
		return;
	mutex_exit(&rc->pass_lock);
	zt_unmap(rc->in, 2 * (size_t)RECOMP_BYTES);
	zt_free(rc);
	map->recomp = NULL;
}

uint64_t blkmap_recompress(struct blkmap *map, unsigned idle)
{
	struct recompressor *rc = map->recomp;
	struct recomp_pass pass = { .idle = idle };
	bool more = true;

	if (!rc)
		return 0;
	mutex_lock(&rc->pass_lock);
	while (more) {
		more = recomp_gather(rc, &pass);
		if (rc->batch.nr == 0)
			continue;
		recomp_compress(rc);
		recomp_publish(rc, &pass);
	}
	mutex_unlock(&rc->pass_lock);
	count(&rc->passes, 1);
	return pass.nr_done;
}

void recomp_get_stat(struct blkmap *map, struct blkmap_stat *out_stat)
{
	const struct recompressor *rc = map->recomp;

	if (!rc)
		return;
	out_stat->recompressed = atomic_load_explicit(&rc->done, memory_order_relaxed);
	out_stat->recompress_kept = atomic_load_explicit(&rc->kept, memory_order_relaxed);
	out_stat->recompress_saved = atomic_load_explicit(&rc->saved, memory_order_relaxed);
	out_stat->recompress_passes = atomic_load_explicit(&rc->passes, memory_order_relaxed);
	out_stat->recompress_pauses = atomic_load_explicit(&rc->pauses, memory_order_relaxed);
}
