// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pass.c - one pass of recompression: objects are gathered, compressed and put in place.
 *
 * What is read under the slot lock is compressed under none, by the batch: see publish.c.
 *
 * Locks: recompress.h.
 */
#include <errno.h>
#include <string.h>

#include "blkmap/cluster/cluster.h"
#include "blkmap/slot/age.h"
#include "blkmap/upkeep/dedup.h"
#include "blkmap/upkeep/packer.h"
#include "blkmap/upkeep/recompress.h"
#include "blkmap/upkeep/worker.h"
#include "util/alloc.h"

/* Ages beyond this are set back to it, so that they never wrap and look young. */
#define AGE_MAX 200u

/* ---- gathering ---- */

struct gather {
	struct recompressor *rc;
	struct recomp_pass *pass;
};

static unsigned best_codec(const struct recompressor *rc, uint64_t word)
{
	const unsigned codec = rc->dicts[recomp_kind(word)].codec;

	return codec ? codec : SLOT_CODEC_IDLE;
}

/* The codec that may make a word's object smaller; 0: none, or it was tried. */
static unsigned target_codec(const struct recompressor *rc, uint64_t word)
{
	const struct recomp_dict *dict = &rc->dicts[recomp_kind(word)];
	unsigned codec = slot_codec(word);

	if (codec == SLOT_CODEC_MAIN || codec == SLOT_CODEC_RAW || recomp_is_retired(rc, word))
		return best_codec(rc, word);
	if (dict->refresh > 0 && codec != dict->codec &&
	    (codec == SLOT_CODEC_MAIN_KEPT || codec == SLOT_CODEC_IDLE || codec >= SLOT_CODEC_DICT))
		return dict->codec;
	return 0;
}

/* Whether it has been left alone for long enough. */
static bool is_idle(struct gather *gather, ref_t ref)
{
	struct slots *slots = gather->rc->slots;
	unsigned age = age_of(slots, ref);

	if (age > AGE_MAX)
		age_limit(slots, ref, AGE_MAX);
	if (age >= gather->pass->idle)
		return true;
	gather->pass->nr_young++;
	return false;
}

/* So many objects tell how long the others are; older ones count less and less. */
#define HELD_NR (UINT64_C(1) << 20)

static void note_held(struct recomp_held *held, uint64_t word)
{
	if (held->nr == HELD_NR) {
		held->bytes /= 2;
		held->nr /= 2;
	}
	held->bytes += slot_length(word);
	held->nr++;
}

static enum recomp_want gather_wants(void *arg, uint64_t word, bool thin)
{
	struct gather *gather = arg;
	struct recompressor *rc = gather->rc;

	if (slot_codec(word) >= SLOT_CODEC_DICT)
		note_held(&rc->held[slot_codec(word) - SLOT_CODEC_DICT], word);
	if (thin)
		return RECOMP_NOW;
	if (!target_codec(rc, word))
		return RECOMP_NEVER;
	/* What is always in use may not keep a dictionary for ever. */
	if (recomp_is_retired(rc, word) || is_idle(gather, slot_ref(word)))
		return RECOMP_NOW;
	return RECOMP_LATER;
}

/* Bytes in front of what is compressed. */
static uint32_t item_prefix(const struct recomp_item *item)
{
	if (item->pack)
		return sizeof(struct pack_head);
	return item->word & SLOT_SPARSE ? SLOT_SPARSE_PREFIX : 0;
}

/*
 * Most bytes of a result that would be worth having: it takes less room than the object has, which
 * was overwritten in place by less, maybe. What is raw now reads fastest: it is to save as much as
 * it would have had to when it was written. An older dictionary is left for the same room, so that
 * it can go; one that has to go, for any.
 */
static uint32_t useful_size(const struct recompressor *rc, const struct recomp_item *item)
{
	/* A thin pack is made anew for the same room, too: then it is thin no more. */
	const bool shrinks = item->len < slot_length(item->word);
	uint32_t most = shrinks || slot_codec(item->word) >= SLOT_CODEC_DICT
				? item->room
				: zs_room_below(rc->slots->data, item->room);
	uint32_t prefix = item_prefix(item);

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

/* What it takes was set aside when the recompressor was made. */
struct zcomp *recomp_compressor(struct recompressor *rc, const struct recomp_item *item)
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
		return *comp;
	if (item->codec != SLOT_CODEC_IDLE) {
		unsigned i = item->codec - SLOT_CODEC_DICT;

		config.unit = kind_unit(recomp_kind(item->word));
		config.dict = zs_data(rc->slots->arena, rc->codecs->record->dicts[i].ref);
		config.dict_size = rc->codecs->record->dicts[i].size;
	}
	return zcomp_create(&config, error_text, comp) ? NULL : *comp;
}

/*
 * Remember how an item is stored, for when it cannot be made smaller but others are stored alike:
 * raw ones are what was read, others are copied to where the result would be.
 */
static void keep_stored(struct recompressor *rc, struct recomp_item *item)
{
	item->size = zs_size(rc->slots->arena, slot_ref(item->word));
	item->alike = dedup_may(rc->dedup, item->word, item->size) && item->size <= item->len;
	if (item->alike && !slot_is_raw(item->word))
		memcpy(rc->out + item->at, zs_data(rc->slots->arena, slot_ref(item->word)),
		       item->size);
}

/* What is left of a pack: the members that are named, side by side. Its record is locked. */
static int load_live(struct recompressor *rc, struct recomp_item *item)
{
	const struct pack_rec *pack = pack_by_place(rc->slots, item->place);
	const struct pack_head *head = pack_head(rc->slots, pack);
	char *bytes = rc->in + item->at;
	uint32_t members, from = 0;
	int error = recomp_load(rc, item, bytes);

	item->alike = false;
	item->len = 0;
	item->head = (struct pack_head){ 0 };
	if (pack_live(rc->slots, pack, &members) == 0)
		return -EIO;
	for (unsigned i = 0; i < PACK_MEMBERS && !error; from += head->len[i++]) {
		if (!(members & 1u << i))
			continue;
		memmove(bytes + item->len, bytes + from, head->len[i]);
		item->head.len[i] = head->len[i];
		item->len += head->len[i];
	}
	return error;
}

/* Add the object of an item, whose slot or record is locked, to the batch. */
static int batch_add(struct recompressor *rc, struct recomp_item *item)
{
	struct recomp_batch *batch = &rc->batch;
	int error;

	item->at = batch->used;
	item->mask = slot_present(rc->slots, item->word, 0);
	item->room = zs_room_of(rc->slots->data, slot_ref(item->word));
	item->codec = target_codec(rc, item->word);
	item->out_len = 0;
	if (item->pack) {
		item->codec = best_codec(rc, item->word);
		error = load_live(rc, item);
	} else {
		keep_stored(rc, item);
		error = recomp_load(rc, item, rc->in + item->at);
	}
	item->cap = useful_size(rc, item);
	return error;
}

/* Bytes in the batch. The largest cluster fits alone: what is in front of others comes later. */
static uint32_t item_space(const struct recomp_item *item)
{
	return item->len + (item->pack ? (uint32_t)sizeof(struct pack_head) : 0);
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

		if (!recomp_find_new(rc, &pass->cursor, gather_wants, &gather, item))
			return false;
		if (item_space(item) > RECOMP_BYTES - batch->used) {
			/* It begins the next batch. */
			recomp_unlock(rc, item);
			pass->cursor = before;
			return true;
		}
		error = batch_add(rc, item);
		recomp_unlock(rc, item);
		if (error)
			continue; /* damaged: a read of it will report that */
		if (!recomp_compressor(rc, item)) {
			pass->nr_young++;
			pass->cut_short = true;
			return false;
		}
		batch->used += item_space(item);
		batch->nr++;
	}
	return true;
}

/* ---- compressing: in the worker ---- */

/* Where what is compressed goes; what is in front of it comes later, but for a pack. */
static char *item_out(struct recompressor *rc, const struct recomp_item *item)
{
	return rc->out + item->at + (item->pack ? sizeof(struct pack_head) : 0);
}

/* Its dictionary has to go, and without one it does not compress. */
static void store_raw(struct recompressor *rc, struct recomp_item *item)
{
	memcpy(item_out(rc, item), rc->in + item->at, item->len);
	item->out_len = item->len;
	item->codec = SLOT_CODEC_RAW_KEPT;
}

void recomp_compress(struct recompressor *rc, struct recomp_item *item)
{
	struct zcomp *comp = *item_comp(rc, item);
	struct zcomp_strm *strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);

	if (zcomp_compress(comp, strm, rc->in + item->at, item->len, item->cap, &item->out_len))
		item->out_len = 0;
	else
		memcpy(item_out(rc, item), strm->buffer, item->out_len);
	zcomp_stream_put(comp, strm);
	if (item->out_len == 0 && recomp_is_retired(rc, item->word))
		store_raw(rc, item);
	if (item->out_len > 0 && item->pack) {
		memcpy(rc->out + item->at, &item->head, sizeof(item->head));
		item->out_len += sizeof(item->head);
	}
}

static void compress_batch(struct recompressor *rc, void *arg)
{
	struct recomp_batch *batch = arg;

	for (unsigned i = 0; i < batch->nr; i++)
		if (batch->items[i].cap > 0)
			recomp_compress(rc, &batch->items[i]);
}

/* ---- one pass ---- */

void recomp_pass_begin(struct recompressor *rc, const struct recomp_pass *pass)
{
	dict_prepare(rc, pass->idle);
	dedup_trim(rc->dedup);
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
	bool more;

	if (pass->packing)
		return pack_step(rc, pass);
	more = gather_batch(rc, pass);
	if (batch->nr > 0)
		recomp_run(rc, compress_batch, batch);
	for (unsigned i = 0; i < batch->nr; i++) {
		const struct recomp_item *item = &batch->items[i];

		pass->nr_done += recomp_publish(rc, item);
		note_dict(rc, item);
	}
	/* Behind all objects come the small files, whose objects were recompressed before. */
	return more || pack_begin_pass(rc, pass);
}

void recomp_pass_end(struct recompressor *rc, struct recomp_pass *pass, bool complete)
{
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
