// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dedup.c - one object for clusters that are stored alike: an index by what objects hold
 *
 * The index is a table of buckets; an entry stands in one of two, whichever has more free places.
 * It is written by recompression alone, but for compaction, which brings refs up to date. Objects
 * that are freed leave their entry behind; it is swept out when the table is full.
 *
 * What is found is used as share.c uses it for copies. A name is added under a lock: that of the
 * slot when one slot names the object, that of the share record when there is one. So a thread that
 * holds the only name, and its lock, still knows that there will be no other.
 *
 * Weakness: objects with holes inside, under cluster maps, of files with an algorithm of their own,
 * and those that were shared before they lay idle are not looked up. Two that are alike are not
 * found when only one of them was compressed with a newer dictionary.
 *
 * Locks: dedup.h.
 */
#include "blkmap/upkeep/dedup.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "blkmap/slot/pack.h"
#include "blkmap/slot/share.h"
#include "util/alloc.h"

#define TAG_BITS (64u - ARENA_REF_BITS)
static_assert(DEDUP_MAX_BITS <= TAG_BITS, "a tag says which bucket");
static_assert(DEDUP_BUCKET * sizeof(uint64_t) == 64, "a cache line");

/* Looked through when 7 of 8 entries are in use. */
#define FULL_NUM 7u
#define FULL_DEN 8u

static uint64_t entry_make(uint64_t hash, ref_t ref)
{
	return hash >> ARENA_REF_BITS << ARENA_REF_BITS | ref;
}

static ref_t entry_ref(uint64_t entry)
{
	return entry & ((UINT64_C(1) << ARENA_REF_BITS) - 1);
}

/* The two buckets of an entry. Lock held. */
static void buckets_of(const struct dedup *dedup, uint64_t entry, uint64_t *out_buckets[2])
{
	uint64_t tag = entry >> ARENA_REF_BITS, mask = (UINT64_C(1) << dedup->bits) - 1;

	out_buckets[0] = &dedup->entries[(tag & mask) * DEDUP_BUCKET];
	tag = tag * UINT64_C(0x9e3779b97f4a7c15) >> (64 - TAG_BITS);
	out_buckets[1] = &dedup->entries[(tag & mask) * DEDUP_BUCKET];
}

/* The first free place of a bucket, or DEDUP_BUCKET. */
static unsigned bucket_free(const uint64_t *bucket)
{
	unsigned i = 0;

	while (i < DEDUP_BUCKET && bucket[i])
		i++;
	return i;
}

/* Lock held. */
static void entry_put(struct dedup *dedup, uint64_t entry)
{
	uint64_t *buckets[2];
	unsigned free_at[2];
	bool second;

	buckets_of(dedup, entry, buckets);
	free_at[0] = bucket_free(buckets[0]);
	free_at[1] = bucket_free(buckets[1]);
	second = free_at[1] < free_at[0];
	if (free_at[second] == DEDUP_BUCKET)
		free_at[second] = dedup->victim++ % DEDUP_BUCKET;
	else
		dedup->used++;
	buckets[second][free_at[second]] = entry;
}

/* Where an entry is, or NULL. Lock held. */
static uint64_t *entry_find(const struct dedup *dedup, uint64_t entry)
{
	uint64_t *buckets[2];

	if (!dedup->entries)
		return NULL;
	buckets_of(dedup, entry, buckets);
	for (unsigned i = 0; i < 2 * DEDUP_BUCKET; i++) {
		uint64_t *at = &buckets[i / DEDUP_BUCKET][i % DEDUP_BUCKET];

		if (*at == entry)
			return at;
	}
	return NULL;
}

/* ---- size of the table ---- */

static uint64_t table_entries(unsigned bits)
{
	return (uint64_t)DEDUP_BUCKET << bits;
}

static uint64_t table_bytes(unsigned bits)
{
	return table_entries(bits) * sizeof(uint64_t);
}

/* The largest table for what the arena holds now. */
static unsigned bits_allowed(const struct dedup *dedup)
{
	struct arena_stat arena;
	unsigned bits = DEDUP_MIN_BITS;

	arena_get_stat(dedup->slots->arena, &arena);
	while (bits < DEDUP_MAX_BITS &&
	       table_bytes(bits + 1) <= arena.resident / DEDUP_INDEX_DIVISOR)
		bits++;
	return bits;
}

/* Into a table of another size. False: no memory for it. */
static bool resize(struct dedup *dedup, unsigned bits)
{
	uint64_t *old = dedup->entries;
	uint64_t nr_old = old ? table_entries(dedup->bits) : 0, old_bytes = nr_old * sizeof(*old);
	void *space;

	if (arena_heap_alloc(dedup->slots->arena, table_bytes(bits), &space))
		return false;
	mutex_lock(&dedup->lock);
	dedup->entries = space;
	dedup->bits = bits;
	dedup->used = 0;
	for (uint64_t i = 0; i < nr_old; i++)
		if (old[i])
			entry_put(dedup, old[i]);
	mutex_unlock(&dedup->lock);
	arena_heap_free(dedup->slots->arena, old, old_bytes);
	atomic_store_explicit(&dedup->index_bytes, table_bytes(bits), memory_order_relaxed);
	return true;
}

/* Take out what names no object any more. */
static void sweep(struct dedup *dedup)
{

	for (uint64_t i = 0; i < table_entries(dedup->bits); i++) {
		uint64_t entry;

		mutex_lock(&dedup->lock);
		entry = dedup->entries[i];
		mutex_unlock(&dedup->lock);
		/* The pool's locks come before ours. */
		if (!entry || zs_is_live(dedup->slots->data, entry_ref(entry)))
			continue;
		mutex_lock(&dedup->lock);
		if (dedup->entries[i] == entry) {
			dedup->entries[i] = 0;
			dedup->used--;
		}
		mutex_unlock(&dedup->lock);
	}
}

static bool is_full(struct dedup *dedup)
{
	bool full;

	mutex_lock(&dedup->lock);
	full = dedup->used * FULL_DEN >= table_entries(dedup->bits) * FULL_NUM;
	mutex_unlock(&dedup->lock);
	return full;
}

void dedup_reserve(struct dedup *dedup)
{

	if (!dedup)
		return;
	if (!dedup->entries) {
		(void)resize(dedup, DEDUP_MIN_BITS); /* nothing is found until there is memory */
		return;
	}
	/* One that may not grow is looked through now and then, not each time. */
	if (!is_full(dedup) || dedup->noted < table_entries(dedup->bits) / FULL_DEN)
		return;
	dedup->noted = 0;
	sweep(dedup);
	if (is_full(dedup) && dedup->bits < bits_allowed(dedup))
		(void)resize(dedup, dedup->bits + 1); /* else older entries give way */
}

void dedup_trim(struct dedup *dedup)
{
	unsigned bits;

	if (!dedup || !dedup->entries || dedup->bits == DEDUP_MIN_BITS)
		return;
	bits = bits_allowed(dedup);
	/* Half as much in the arena is needed first, so that it does not go to and fro. */
	if (bits + 1 >= dedup->bits)
		return;
	sweep(dedup);
	(void)resize(dedup, bits); /* it stays larger, then */
}

/* ---- noting ---- */

uint64_t dedup_hash(const struct dedup *dedup, const void *data, uint32_t size)
{
	return XXH3_64bits_withSeed(data, size, dedup->slots->hash_key.k0) & dedup->hash_mask;
}

void dedup_note(struct dedup *dedup, uint64_t hash, ref_t ref)
{
	uint64_t entry = entry_make(hash, ref);

	mutex_lock(&dedup->lock);
	if (dedup->entries && !entry_find(dedup, entry)) {
		entry_put(dedup, entry);
		dedup->noted++;
	}
	mutex_unlock(&dedup->lock);
}

/* Codecs of what was noted, if it was: recompression has been there. */
static bool is_done(unsigned codec)
{
	return codec == SLOT_CODEC_MAIN_KEPT || codec == SLOT_CODEC_RAW_KEPT ||
	       codec == SLOT_CODEC_IDLE || codec >= SLOT_CODEC_DICT;
}

void dedup_moved(struct dedup *dedup, uint64_t word, ref_t old)
{
	ref_t ref = slot_ref(word);
	uint32_t size;
	uint64_t hash, *at;

	if (!dedup || slot_kind(word) != SLOT_OBJ || !is_done(slot_codec(word)))
		return;
	size = zs_size(dedup->slots->arena, ref);
	if (!dedup_may(dedup, word, size))
		return;
	hash = dedup_hash(dedup, zs_data(dedup->slots->arena, ref), size);
	mutex_lock(&dedup->lock);
	at = entry_find(dedup, entry_make(hash, old));
	if (at)
		*at = entry_make(hash, ref);
	mutex_unlock(&dedup->lock);
}

/* ---- joining ---- */

void dedup_set(struct dedup *dedup, bool on)
{
	if (dedup)
		atomic_store_explicit(&dedup->off, !on, memory_order_relaxed);
}

bool dedup_is_on(const struct dedup *dedup)
{
	return dedup && !atomic_load_explicit(&dedup->off, memory_order_relaxed);
}

bool dedup_may(const struct dedup *dedup, uint64_t word, uint32_t size)
{
	return dedup_is_on(dedup) && size >= DEDUP_MIN_SIZE && !(word & (SLOT_SPARSE | SLOT_CUT));
}

/* The number of the decoder: what was tried in vain is stored as what was not. */
static unsigned decoder_of(uint64_t word)
{
	if (slot_is_raw(word))
		return SLOT_CODEC_RAW;
	return slot_codec(word) == SLOT_CODEC_MAIN_KEPT ? SLOT_CODEC_MAIN : slot_codec(word);
}

struct twin {
	struct dedup *dedup;
	const struct dedup_object *object;
	struct zs_owner owner; /* out */
	struct rwlock *lock; /* out: held exclusive */
};

/* zs_visit_fn. ZS_STOP: it may be one, and does not move, change or go while its lock is held. */
static enum zs_verdict visit_twin(void *arg, ref_t ref, uint32_t len, struct zs_owner owner)
	ZT_NO_LOCK_CHECK /* the lock goes to the caller with the twin */
{
	struct twin *twin = arg;
	struct dedup *dedup = twin->dedup;
	const uint64_t other = twin->object->word;
	struct zs_owner now;
	uint64_t word;

	if (owner.word == 0 || len != twin->object->size)
		return ZS_UNSETTLED;
	if (owner.index == OWNER_SLOT)
		twin->lock = &slot_lock_at(dedup->slots, owner.word)->lock;
	else if (owner.index == OWNER_SHARE && !pack_by_place(dedup->slots, owner.word))
		twin->lock = &share_lock_at(dedup->slots, owner.word)->lock;
	else
		return ZS_UNSETTLED;
	if (!write_trylock(twin->lock))
		return ZS_UNSETTLED;
	/* Has it got or lost its share record since we looked? */
	now = zs_get_owner(dedup->slots->arena, ref);
	if (now.word == owner.word && now.index == owner.index) {
		word = word_get(slot_at(dedup->slots, owner.word));
		if (slot_kind(word) == SLOT_OBJ && slot_ref(word) == ref &&
		    !(word & (SLOT_SPARSE | SLOT_CUT)) && slot_length(word) == slot_length(other) &&
		    decoder_of(word) == decoder_of(other)) {
			twin->owner = owner;
			return ZS_STOP;
		}
	}
	rw_unlock(twin->lock);
	return ZS_UNSETTLED;
}

/* The slot of a twin gets a share record. Its lock is held. 0: no memory for one. */
static uint64_t share_slot(struct dedup *dedup, const struct zs_owner *owner,
			   struct dedup_object *object)
{
	struct slot_lock *lock = slot_lock_at(dedup->slots, owner->word);
	bool same = lock == slot_lock_at(dedup->slots, object->place) && lock->seq == object->seq;
	const uint64_t before = lock->seq;
	uint64_t word;
	ref_t rec;
	int error;

	/* What is spared for recompression comes back with the object that goes. */
	arena_use_spare(true);
	error = zs_malloc(dedup->slots->meta, sizeof(struct share_rec), &rec);
	arena_use_spare(false);
	if (error)
		return 0;
	word = share_begin(dedup->slots, slot_at(dedup->slots, owner->word), rec);
	if (dedup->changed)
		dedup->changed(dedup->changed_arg, &lock->seq, before, owner->word);
	if (same)
		object->seq = lock->seq;
	return word;
}

/* The twin that is locked gets another name. */
static uint64_t share_record(struct dedup *dedup, const struct zs_owner *owner)
{
	struct share_rec *rec = (struct share_rec *)slot_at(dedup->slots, owner->word);

	rec->count++;
	return slot_make_shared(word_get(&rec->word), share_rec_ref(dedup->slots, rec));
}

static bool take_from(struct dedup *dedup, ref_t ref, struct dedup_object *object,
		      uint64_t *out_word)
	ZT_NO_LOCK_CHECK /* the lock comes with the twin */
{
	struct twin twin = { .dedup = dedup, .object = object };
	uint64_t word = 0;

	if (!zs_visit(dedup->slots->data, ref, visit_twin, &twin))
		return false;
	if (memcmp(zs_data(dedup->slots->arena, ref), object->data, object->size) != 0)
		atomic_fetch_add_explicit(&dedup->collisions, 1, memory_order_relaxed);
	else if (twin.owner.index == OWNER_SLOT)
		word = share_slot(dedup, &twin.owner, object);
	else
		word = share_record(dedup, &twin.owner);
	rw_unlock(twin.lock);
	if (!word)
		return false;
	*out_word = word;
	return true;
}

bool dedup_take(struct dedup *dedup, struct dedup_object *object, uint64_t *out_word)
{
	uint64_t tag = entry_make(object->hash, 0), *buckets[2];
	ref_t refs[2 * DEDUP_BUCKET];
	unsigned nr = 0;

	mutex_lock(&dedup->lock);
	if (dedup->entries) {
		buckets_of(dedup, tag, buckets);
		for (unsigned i = 0; i < 2 * DEDUP_BUCKET; i++) {
			uint64_t entry = buckets[i / DEDUP_BUCKET][i % DEDUP_BUCKET];

			if (entry && entry_make(entry, 0) == tag &&
			    entry_ref(entry) != slot_ref(object->word))
				refs[nr++] = entry_ref(entry);
		}
	}
	mutex_unlock(&dedup->lock);
	for (unsigned i = 0; i < nr; i++)
		if (take_from(dedup, refs[i], object, out_word))
			return true;
	return false;
}

/* ---- life cycle ---- */

/* slots.moved */
static void moved(void *arg, uint64_t word, ref_t old)
{
	dedup_moved(arg, word, old);
}

int dedup_create(struct slots *slots, struct dedup **out_dedup)
{
	struct dedup *dedup = zt_zalloc(sizeof(*dedup));

	if (!dedup)
		return -ENOMEM;
	mutex_init(&dedup->lock, ZT_RANK_DEDUP);
	dedup->slots = slots;
	dedup->hash_mask = UINT64_MAX;
	slots->moved_arg = dedup;
	slots->moved = moved;
	*out_dedup = dedup;
	return 0;
}

void dedup_destroy(struct dedup *dedup)
{
	if (!dedup)
		return;
	dedup->slots->moved = NULL;
	mutex_exit(&dedup->lock);
	arena_heap_free(dedup->slots->arena, dedup->entries, table_bytes(dedup->bits));
	zt_free(dedup);
}

void dedup_get_stat(const struct dedup *dedup, struct blkmap_stat *out_stat)
{

	if (!dedup)
		return;
	out_stat->dedup_joined = atomic_load_explicit(&dedup->joined, memory_order_relaxed);
	out_stat->dedup_saved = atomic_load_explicit(&dedup->saved, memory_order_relaxed);
	out_stat->dedup_collisions = atomic_load_explicit(&dedup->collisions, memory_order_relaxed);
	out_stat->dedup_index = atomic_load_explicit(&dedup->index_bytes, memory_order_relaxed);
}
