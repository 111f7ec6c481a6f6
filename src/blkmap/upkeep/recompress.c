// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * recompress.c - objects that lie idle, compressed better: finding, reading, compressing, putting
 * in place.
 *
 * An object is found by the pool, with its slot: under class->lock it cannot be freed, and under its
 * slot lock, tried from there, not change. What is read under the slot lock is compressed under
 * none, and published only if the lock's seq has not moved; otherwise the slot's memory may not
 * even be there any more, and is not touched. With an object that several slots name the record and
 * its lock stand for the slot: whoever names the record finds the better object there.
 *
 * Locks: recompress.h.
 */
#include "blkmap/upkeep/recompress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blkmap/upkeep/dedup.h"
#include "util/alloc.h"

/* Ages beyond this are set back to it, so that they never wrap and look young. */
#define AGE_MAX 200u

/* ---- finding ---- */

struct visit {
	struct recompressor *rc;
	recomp_wanted_fn wanted;
	void *arg;
	struct recomp_item *item; /* out */
};

static struct rwlock *place_lock(const struct blkmap *map, uint64_t place, bool shared)
{
	return shared ? &share_lock_at(map, place)->lock : &slot_lock_at(map, place)->lock;
}

/* Guarded by that lock. */
static uint64_t *place_seq(const struct blkmap *map, uint64_t place, bool shared)
{
	return shared ? &share_lock_at(map, place)->seq : &slot_lock_at(map, place)->seq;
}

static bool word_is_wanted(struct visit *visit, uint64_t word, ref_t ref)
{
	return slot_kind(word) == SLOT_OBJ && slot_ref(word) == ref &&
	       visit->wanted(visit->arg, word);
}

/* zs_visit_fn. True: it is wanted, and its slot's or record's lock is held shared. */
static bool visit_object(void *arg, ref_t ref, uint32_t len, struct zs_owner owner)
{
	struct visit *visit = arg;
	struct blkmap *map = visit->rc->map;
	bool shared = owner.index == OWNER_SHARE;
	struct rwlock *lock = place_lock(map, owner.word, shared);
	struct zs_owner now;
	uint64_t word;

	(void)len;
	/* Pinned ones are on their way; bases and pages of cluster maps are folded first. */
	if (owner.word == 0 || (owner.index != OWNER_SLOT && !shared))
		return false;
	/* A look without the lock sorts most out; the word's memory stays while the object does. */
	if (!word_is_wanted(visit, word_get(slot_at(map, owner.word)), ref))
		return false;
	if (!read_trylock(lock))
		return false;
	now = zs_get_owner(map->arena, ref);
	/* Without its record nothing is there to be read. */
	word = now.index == owner.index ? word_get(slot_at(map, owner.word)) : 0;
	if (now.word != owner.word || !word_is_wanted(visit, word, ref)) {
		rw_unlock(lock);
		return false;
	}
	visit->item->place = owner.word;
	visit->item->shared = shared;
	visit->item->word = word;
	visit->item->seq = *place_seq(map, owner.word, shared);
	visit->item->len = slot_length(word);
	return true;
}

bool recomp_find(struct recompressor *rc, uint64_t *inout_cursor, recomp_wanted_fn wanted,
		 void *arg, struct recomp_item *out_item)
{
	struct visit visit = { .rc = rc, .wanted = wanted, .arg = arg, .item = out_item };

	return zs_scan(rc->map->data, inout_cursor, visit_object, &visit);
}

void recomp_unlock(struct recompressor *rc, const struct recomp_item *item)
{
	rw_unlock(place_lock(rc->map, item->place, item->shared));
}

int recomp_load(struct recompressor *rc, const struct recomp_item *item, char *dst)
{
	struct zcomp_strm *strm = zcomp_stream_get_private(rc->map->comp);
	/* What is decoded under a share lock is not kept for later. */
	const struct slot_lock *lock = item->shared ? NULL : slot_lock_at(rc->map, item->place);
	int error = cluster_load(rc->map, lock, strm, item->word, 0, item->len, dst);

	zcomp_stream_put(rc->map->comp, strm);
	return error;
}

/* ---- gathering ---- */

struct gather {
	struct recompressor *rc;
	struct recomp_pass *pass;
};

/* The codec that may make a word's object smaller; 0: none, or it was tried. */
static unsigned target_codec(const struct recompressor *rc, uint64_t word)
{
	const struct recomp_dict *dict = &rc->dicts[recomp_kind(word)];
	unsigned codec = slot_codec(word);

	if (codec == SLOT_CODEC_MAIN || codec == SLOT_CODEC_RAW || recomp_is_retired(rc, word))
		return dict->codec ? dict->codec : SLOT_CODEC_IDLE;
	if (dict->refresh > 0 && codec != dict->codec &&
	    (codec == SLOT_CODEC_MAIN_KEPT || codec == SLOT_CODEC_IDLE || codec >= SLOT_CODEC_DICT))
		return dict->codec;
	return 0;
}

/* Whether it has been left alone for long enough. */
static bool is_idle(struct gather *gather, ref_t ref)
{
	struct blkmap *map = gather->rc->map;
	unsigned age = age_of(map, ref);

	if (age > AGE_MAX)
		__atomic_store_n(
			&map->ages[ref / ARENA_PAGE_REFS],
			(uint8_t)(atomic_load_explicit(&map->age_now, memory_order_relaxed) -
				  AGE_MAX),
			__ATOMIC_RELAXED);
	if (age >= gather->pass->idle)
		return true;
	gather->pass->nr_young++;
	return false;
}

static bool gather_wants(void *arg, uint64_t word)
{
	struct gather *gather = arg;
	struct recompressor *rc = gather->rc;

	if (slot_codec(word) >= SLOT_CODEC_DICT)
		rc->held[slot_codec(word) - SLOT_CODEC_DICT] += slot_length(word);
	if (!target_codec(rc, word))
		return false;
	/* What is always in use may not keep a dictionary for ever. */
	return recomp_is_retired(rc, word) || is_idle(gather, slot_ref(word));
}

/*
 * Most bytes of a result that would be worth having: it takes less room than the object has, which
 * was overwritten in place by less, maybe. What is raw now reads fastest: it is to save as much as
 * it would have had to when it was written. An older dictionary is left for the same room, so that
 * it can go; one that has to go, for any.
 */
static uint32_t useful_size(const struct recompressor *rc, const struct recomp_item *item)
{
	const struct blkmap *map = rc->map;
	uint32_t most = slot_codec(item->word) >= SLOT_CODEC_DICT
				? item->room
				: zs_room_below(map->data, item->room);
	uint32_t prefix = item->word & SLOT_SPARSE ? SLOT_SPARSE_PREFIX : 0;

	if (recomp_is_retired(rc, item->word))
		return item->len;
	if (most <= prefix)
		return 0;
	most -= prefix;
	if (slot_is_raw(item->word))
		most = (uint32_t)min_u64(most, encode_cap(item->len));
	return (uint32_t)min_u64(most, item->len);
}

static struct zcomp **item_comp(struct recompressor *rc, const struct recomp_item *item)
{
	return item->codec == SLOT_CODEC_IDLE ? &rc->plain
					      : &rc->dicts[recomp_kind(item->word)].comp;
}

static uint32_t kind_unit(enum recomp_kind kind)
{
	return kind == RECOMP_SMALL ? RECOMP_SMALL_MAX : ZCOMP_MAX_UNIT;
}

/* What it takes was set aside when the recompressor was made. */
static int make_compressor(struct recompressor *rc, const struct recomp_item *item)
{
	struct zcomp **comp = item_comp(rc, item);
	struct zcomp_config config = {
		.name = rc->name,
		.level = rc->level,
		.unit = ZCOMP_MAX_UNIT,
		.nr_streams = 1,
	};
	char error_text[ZCOMP_ERROR_TEXT];

	if (*comp)
		return 0;
	if (item->codec != SLOT_CODEC_IDLE) {
		unsigned i = item->codec - SLOT_CODEC_DICT;

		config.unit = kind_unit(recomp_kind(item->word));
		config.dict = zs_data(rc->map->arena, rc->map->record->dicts[i].ref);
		config.dict_size = rc->map->record->dicts[i].size;
	}
	return zcomp_create(&config, error_text, comp);
}

/*
 * Remember how an item is stored, for when it cannot be made smaller but others are stored alike:
 * raw ones are what was read, others are copied to where the result would be.
 */
static void keep_stored(struct recompressor *rc, struct recomp_item *item)
{
	item->size = zs_size(rc->map->arena, slot_ref(item->word));
	item->alike = dedup_may(rc->map, item->word, item->size) && item->size <= item->len;
	if (item->alike && !slot_is_raw(item->word))
		memcpy(rc->out + item->at, zs_data(rc->map->arena, slot_ref(item->word)),
		       item->size);
}

/* Add the object of an item, whose slot is locked, to the batch. */
static int batch_add(struct recompressor *rc, struct recomp_item *item)
{
	struct recomp_batch *batch = &rc->batch;

	item->at = batch->used;
	item->mask = slot_present(rc->map, item->word, 0);
	item->room = zs_room_of(rc->map->data, slot_ref(item->word));
	item->cap = useful_size(rc, item);
	item->codec = target_codec(rc, item->word);
	item->out_len = 0;
	keep_stored(rc, item);
	return recomp_load(rc, item, rc->in + item->at);
}

/* Fill the batch from pass->cursor on. False: the end was reached, or memory is short. */
static bool gather_batch(struct recompressor *rc, struct recomp_pass *pass)
{
	struct recomp_batch *batch = &rc->batch;
	struct gather gather = { .rc = rc, .pass = pass };

	batch->nr = 0;
	batch->used = 0;
	while (batch->nr < RECOMP_ITEMS) {
		uint64_t before = pass->cursor;
		struct recomp_item *item = &batch->items[batch->nr];
		int error;

		if (!recomp_find(rc, &pass->cursor, gather_wants, &gather, item))
			return false;
		if (item->len > RECOMP_BYTES - batch->used) {
			/* It begins the next batch. */
			recomp_unlock(rc, item);
			pass->cursor = before;
			return true;
		}
		error = batch_add(rc, item);
		recomp_unlock(rc, item);
		if (error)
			continue; /* damaged: whoever reads it will hear of it */
		if (make_compressor(rc, item)) {
			pass->nr_young++;
			pass->cut_short = true;
			return false;
		}
		batch->used += item->len;
		batch->nr++;
	}
	return true;
}

/* ---- compressing: in the worker ---- */

/* Its dictionary has to go, and without one it does not compress. */
static void store_raw(struct recompressor *rc, struct recomp_item *item)
{
	memcpy(rc->out + item->at, rc->in + item->at, item->len);
	item->out_len = item->len;
	item->codec = SLOT_CODEC_RAW_KEPT;
}

static void compress_batch(struct recompressor *rc, void *arg)
{
	struct recomp_batch *batch = arg;

	for (unsigned i = 0; i < batch->nr; i++) {
		struct recomp_item *item = &batch->items[i];
		struct zcomp *comp = *item_comp(rc, item);
		struct zcomp_strm *strm;

		if (item->cap == 0)
			continue;
		strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
		if (zcomp_compress(comp, strm, rc->in + item->at, item->len, item->cap,
				   &item->out_len))
			item->out_len = 0;
		else
			memcpy(rc->out + item->at, strm->buffer, item->out_len);
		zcomp_stream_put(comp, strm);
		if (item->out_len == 0 && recomp_is_retired(rc, item->word))
			store_raw(rc, item);
	}
}

/* ---- putting in place ---- */

/*
 * When memory is used up, both have room in what the arena spares; it comes back when the old one
 * is freed. Nobody else gets it, however much they write meanwhile.
 */
static int place(struct recompressor *rc, const struct encoded *enc, uint64_t *out_word)
{
	int error;

	arena_use_spare(true);
	error = encoded_place_hard(rc->map, enc, out_word);
	arena_use_spare(false);
	return error;
}

static void count(atomic_uint_fast64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
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

void recomp_moved(struct recompressor *rc, const uint64_t *seq, uint64_t before, uint64_t place)
{
	for (unsigned i = 0; i < rc->batch.nr; i++) {
		struct recomp_item *item = &rc->batch.items[i];

		if (item->seq == before && item->place != place &&
		    place_seq(rc->map, item->place, item->shared) == seq)
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
	struct blkmap *map = rc->map;
	uint64_t *place = slot_at(map, item->place);
	uint64_t *seq = place_seq(map, item->place, item->shared), before;
	bool same_object = slot_ref(word) == slot_ref(item->word);

	ZT_ASSERT(word_get(place) == item->word);
	if (item->shared) {
		/* Of the rest each name counts its own part. */
		codec_count(map, word, 1);
		codec_count(map, item->word, -1);
	} else {
		slot_count(map, word, 0, 1);
		slot_count(map, item->word, 0, -1);
	}
	if (!same_object)
		slot_set_owner(map, word, place, item->shared ? OWNER_SHARE : OWNER_SLOT);
	word_set(place, word);
	if (same_object)
		return (struct loose_word){ 0 };
	before = (*seq)++;
	recomp_moved(rc, seq, before, item->place);
	return slot_disown(map, item->word, 0);
}

static uint32_t room_of(const struct blkmap *map, ref_t ref)
{
	return zs_room(map->data, zs_size(map->arena, ref));
}

/* The item as it is to be stored, @word being that without a ref or as it is now. */
static struct dedup_object item_object(struct recompressor *rc, const struct recomp_item *item,
				       uint64_t word)
{
	struct dedup_object object = { .word = word, .place = item->place, .seq = item->seq };
	bool better = item->out_len > 0;
	uint32_t size = better ? (uint32_t)item->out_len : item->size;

	if (better ? !dedup_may(rc->map, word, size) : !item->alike)
		return object;
	object.size = size;
	object.data = (better || !slot_is_raw(item->word) ? rc->out : rc->in) + item->at;
	object.hash = dedup_hash(rc->map, object.data, size);
	return object;
}

/* A new object for what was made of the item. 0, or there is no room for it. */
static int item_place(struct recompressor *rc, const struct recomp_item *item, uint64_t word,
		      uint64_t *out_word)
{
	struct encoded enc = { .word = word,
			       .data = rc->out + item->at,
			       .len = (uint32_t)item->out_len,
			       .mask = item->mask };

	return place(rc, &enc, out_word);
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
	struct rwlock *lock = place_lock(rc->map, item->place, item->shared);

	write_lock(lock);
	if (*place_seq(rc->map, item->place, item->shared) == object->seq) {
		old = item_exchange(rc, item, word);
	} else {
		if (wanted != OUTCOME_KEPT)
			old = slot_fresh(word);
		wanted = OUTCOME_LATE;
	}
	/* While nothing can move it. */
	if (object->data && (wanted == OUTCOME_KEPT || wanted == OUTCOME_BETTER))
		dedup_note(rc->map, object->hash, slot_ref(word));
	rw_unlock(lock);
	slot_release(rc->map, old, 0);
	return wanted;
}

/* @saved: below 0 where a dictionary had to go. */
static void item_count(struct recompressor *rc, enum outcome outcome, int64_t saved)
{
	if (outcome == OUTCOME_KEPT) {
		count(&rc->kept, 1);
	} else if (outcome == OUTCOME_BETTER && saved > 0) {
		count(&rc->done, 1);
		count(&rc->saved, (uint64_t)saved);
	} else if (outcome == OUTCOME_JOINED) {
		count(&rc->map->dedup->joined, 1);
		count(&rc->map->dedup->saved, (uint64_t)saved);
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

/* Return: whether it takes less room now. */
static bool item_publish(struct recompressor *rc, const struct recomp_item *item)
{
	struct blkmap *map = rc->map;
	enum outcome wanted = item->out_len > 0 ? OUTCOME_BETTER : OUTCOME_KEPT, outcome;
	uint64_t made = word_made(item);
	uint64_t word = wanted == OUTCOME_BETTER ? made : word_kept(item->word);
	struct dedup_object object = item_object(rc, item, word);
	int64_t saved = item->room;

	dedup_reserve(map);
	/* One that is shared is found by others, and cannot give itself up. */
	if (object.data && !item->shared && dedup_take(map, &object, &word))
		wanted = OUTCOME_JOINED;
	/* No room: the old one stays, and may be tried again. */
	else if (wanted == OUTCOME_BETTER && item_place(rc, item, made, &word))
		return false;
	if (wanted == OUTCOME_BETTER)
		saved -= room_of(map, slot_ref(word));
	outcome = item_commit(rc, item, &object, word, wanted);
	spare_give_back(map);
	item_count(rc, outcome, saved);
	return (outcome == OUTCOME_BETTER && saved > 0) || outcome == OUTCOME_JOINED;
}

/* ---- one pass ---- */

void recomp_pass_begin(struct recompressor *rc, const struct recomp_pass *pass)
{
	dict_prepare(rc, pass->idle);
	memset(rc->held, 0, sizeof(rc->held));
	rc->held_known = false;
	dedup_trim(rc->map);
}

/* What an item says about the dictionary of its kind. */
static void note_dict(struct recompressor *rc, const struct recomp_item *item)
{
	struct recomp_dict *dict = &rc->dicts[recomp_kind(item->word)];
	unsigned codec = slot_codec(item->word);

	/* What is tried again with a new dictionary is not new itself. */
	if (codec == SLOT_CODEC_MAIN || codec == SLOT_CODEC_RAW)
		dict->done += item->len;
	if (item->codec == dict->codec && item->out_len > 0)
		dict->served = true;
}

bool recomp_step(struct recompressor *rc, struct recomp_pass *pass)
{
	struct recomp_batch *batch = &rc->batch;
	bool more = gather_batch(rc, pass);

	if (batch->nr > 0)
		recomp_run(rc, compress_batch, batch);
	for (unsigned i = 0; i < batch->nr; i++) {
		const struct recomp_item *item = &batch->items[i];

		pass->nr_done += item_publish(rc, item);
		note_dict(rc, item);
	}
	return more;
}

void recomp_pass_end(struct recompressor *rc, struct recomp_pass *pass, bool complete)
{
	rc->held_known = complete && !pass->cut_short;
	zcomp_destroy(rc->plain);
	rc->plain = NULL;
	for (unsigned kind = 0; kind < RECOMP_NR_KINDS; kind++) {
		struct recomp_dict *dict = &rc->dicts[kind];

		zcomp_destroy(dict->comp);
		dict->comp = NULL;
		if (complete && dict->refresh > 0)
			dict->refresh = pass->nr_young == 0 ? 0 : dict->refresh - 1;
	}
	zt_map_drop(rc->in, 2 * (size_t)RECOMP_BYTES);
}

/* ---- life cycle ---- */

/* What a compressor of a pass takes; @dict_size: bytes of a dictionary, or 0. */
static int measure_compressor(const struct recompressor *rc, uint32_t unit, size_t dict_size,
			      char error_text[256], uint64_t *out_bytes)
{
	struct zcomp_config config = {
		.name = rc->name,
		.level = rc->level,
		.unit = unit,
		.nr_streams = 1,
		.dict = dict_size > 0 ? rc->in : NULL, /* any bytes are one */
		.dict_size = dict_size,
	};
	struct zcomp *comp;
	int error = zcomp_create(&config, error_text, &comp);

	if (error)
		return error;
	*out_bytes = zcomp_memory(comp);
	zcomp_destroy(comp);
	return 0;
}

/*
 * A pass must not fail for want of memory when memory is short: what its compressors take is counted
 * from the beginning. Where that would be much of the limit there are no dictionaries.
 */
static int set_aside(struct recompressor *rc, bool dicts, char error_text[256])
{
	uint64_t size;
	struct arena_stat arena;
	int error = measure_compressor(rc, ZCOMP_MAX_UNIT, 0, error_text, &size);

	if (error)
		return error;
	arena_get_stat(rc->map->arena, &arena);
	rc->set_aside = 2 * (uint64_t)RECOMP_BYTES + sizeof(*rc) + size;
	for (unsigned kind = 0; dicts && kind < RECOMP_NR_KINDS; kind++) {
		size_t max = dict_max(rc->name, kind);

		if (max == 0)
			continue;
		error = measure_compressor(rc, kind_unit(kind), max, error_text, &size);
		if (error)
			return error;
		if (arena.limit && (rc->set_aside + size) * DICT_LIMIT_SHARE > arena.limit)
			continue;
		rc->dicts[kind].max = max;
		rc->set_aside += size;
	}
	error = arena_set_aside(rc->map->arena, rc->set_aside);
	if (error)
		snprintf(error_text, 256,
			 "the memory limit is too small: recompress= takes %llu KiB of it",
			 (unsigned long long)(rc->set_aside / KIB));
	return error;
}

int recomp_init(struct blkmap *map, const struct blkmap_params *params, char error_text[256])
{
	struct recompressor *rc;
	struct arena_stat arena;
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
	snprintf(rc->name, sizeof(rc->name), "%s", params->recompress);
	rc->level = params->recompress_level;
	error = set_aside(rc, params->dicts, error_text);
	if (error) {
		zt_unmap(rc->in, 2 * (size_t)RECOMP_BYTES);
		zt_free(rc);
		return error;
	}
	arena_get_stat(map->arena, &arena);
	if (arena.limit >= RECOMP_SPARE_SHARE * RECOMP_SPARE)
		arena_set_spare(map->arena, RECOMP_SPARE);
	/* A hundred ticks and more are left before an age would wrap. */
	rc->tick_seconds = 1 + params->recompress_idle / 100;
	rc->idle = params->recompress_idle / rc->tick_seconds;
	mutex_init(&rc->pass_lock, ZT_RANK_PASS);
	map->recomp = rc;
	error = params->dedup ? dedup_init(map) : 0;
	if (error)
		recomp_exit(map);
	return error;
}

void recomp_exit(struct blkmap *map)
{
	struct recompressor *rc = map->recomp;

	if (!rc)
		return;
	dedup_exit(map);
	dicts_exit(map);
	arena_set_spare(map->arena, 0);
	arena_unset_aside(map->arena, rc->set_aside);
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
	recomp_pass_begin(rc, &pass);
	while (more)
		more = recomp_step(rc, &pass);
	recomp_pass_end(rc, &pass, true);
	mutex_unlock(&rc->pass_lock);
	count(&rc->passes, 1);
	return pass.nr_done;
}

void recomp_get_stat(struct blkmap *map, struct blkmap_stat *out_stat)
{
	const struct recompressor *rc = map->recomp;

	if (!rc)
		return;
	dict_get_stat(map, out_stat);
	out_stat->recompressed = atomic_load_explicit(&rc->done, memory_order_relaxed);
	out_stat->recompress_kept = atomic_load_explicit(&rc->kept, memory_order_relaxed);
	out_stat->recompress_saved = atomic_load_explicit(&rc->saved, memory_order_relaxed);
	out_stat->recompress_passes = atomic_load_explicit(&rc->passes, memory_order_relaxed);
	out_stat->recompress_pressures = atomic_load_explicit(&rc->pressures, memory_order_relaxed);
	out_stat->recompress_pauses = atomic_load_explicit(&rc->pauses, memory_order_relaxed);
}
