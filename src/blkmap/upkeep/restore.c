// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * restore.c - what was recompressed and is read again and again is stored as it was written.
 *
 * Readers have noted the objects (content/reread.h). Each is found by the pool, read under its lock,
 * compressed by the mount's own algorithm under none, and published as a recompressed one is
 * (publish.c). When it has lain idle once more, recompression takes it again.
 *
 * Not where memory is short, and not the last quarter of what a limit allows.
 *
 * Weakness: objects that several slots name stay as they are.
 *
 * Locks: recompress.h.
 */
#include "blkmap/upkeep/restore.h"

#include <string.h>

#include "blkmap/cluster/cluster.h"
#include "blkmap/slot/age.h"
#include "blkmap/upkeep/worker.h"
#include "util/alloc.h"

struct restore_visit {
	struct recompressor *rc;
	struct recomp_item *item; /* out */
};

/* Recompressed, and used since it would have been by the next pass. */
static bool is_wanted(const struct recompressor *rc, uint64_t word, ref_t ref)
{
	const unsigned idle = atomic_load_explicit(&rc->idle, memory_order_relaxed);

	return slot_kind(word) == SLOT_OBJ && slot_ref(word) == ref && slot_is_recompressed(word) &&
	       (idle == 0 || age_of(rc->slots, ref) < idle);
}

/* zs_visit_fn. ZS_STOP: it is wanted, and its slot's lock is held shared. */
static enum zs_verdict visit_noted(void *arg, ref_t ref, uint32_t len, struct zs_owner owner)
	ZT_NO_LOCK_CHECK /* the lock goes to the caller with the item */
{
	struct restore_visit *visit = arg;
	struct slots *slots = visit->rc->slots;
	uint64_t word;

	(void)len;
	if (owner.word == 0 || owner.index != OWNER_SLOT || !owner_try(slots, ref, owner, &word))
		return ZS_UNSETTLED;
	if (!is_wanted(visit->rc, word, ref)) {
		rw_unlock(place_lock(slots, owner.word, false));
		return ZS_UNSETTLED;
	}
	*visit->item = (struct recomp_item){
		.place = owner.word,
		.seq = *place_seq(slots, owner.word, false),
		.word = word,
		.len = slot_length(word),
		.codec = SLOT_CODEC_MAIN,
	};
	return ZS_STOP;
}

/* The object @ref, if it is still wanted. False: it is, but does not fit. */
static bool batch_take(struct recompressor *rc, ref_t ref)
{
	struct recomp_batch *batch = &rc->batch;
	struct recomp_item *item = &batch->items[batch->nr];
	struct restore_visit visit = { .rc = rc, .item = item };
	bool fits;
	int error = 0;

	if (!zs_visit(rc->slots->data, ref, visit_noted, &visit))
		return true;
	fits = item->len <= RECOMP_BYTES - batch->used;
	if (fits) {
		item->at = batch->used;
		item->mask = slot_present(rc->slots, item->word, 0);
		item->cap = (uint32_t)encode_cap(item->len);
		error = recomp_load(rc, item, rc->in + item->at);
	}
	recomp_unlock(rc, item);
	/* A damaged one is left out: a read of it will report that. */
	if (fits && !error) {
		batch->used += item->len;
		batch->nr++;
	}
	return fits;
}

/* In the worker. */
static void compress_batch(struct recompressor *rc, void *arg)
{
	struct recomp_batch *batch = arg;

	for (unsigned i = 0; i < batch->nr; i++) {
		struct recomp_item *item = &batch->items[i];
		struct zcomp_strm *strm = zcomp_stream_get(rc->main, ZSTRM_DEFAULT);

		if (zcomp_compress(rc->main, strm, rc->in + item->at, item->len, item->cap,
				   &item->out_len))
			item->out_len = 0;
		else
			memcpy(rc->out + item->at, strm->buffer, item->out_len);
		zcomp_stream_put(rc->main, strm);
	}
}

/* Counted against the limit, since nothing was set aside for it. */
int restore_begin(struct recompressor *rc)
{
	const struct zcomp_params *params = zcomp_get_params(rc->codecs->comp);
	const struct zcomp_config config = {
		.name = zcomp_name(rc->codecs->comp),
		.level = params->level,
		.unit = params->unit,
		.nr_streams = 1,
		.dict = params->dict,
		.dict_size = params->dict_size,
	};
	char error_text[ZCOMP_ERROR_TEXT];

	return comp_create(rc->codecs, &config, error_text, &rc->main);
}

bool restore_step(struct recompressor *rc, struct recomp_restore *restore)
{
	struct recomp_batch *batch = &rc->batch;
	bool more = true;

	batch->nr = 0;
	batch->used = 0;
	while (more && batch->nr < RECOMP_ITEMS) {
		if (!restore->next)
			restore->next = rereads_take(&rc->content->rereads, &restore->at);
		more = restore->next != 0;
		if (more && !batch_take(rc, restore->next))
			break; /* it begins the next batch */
		restore->next = 0;
	}
	if (batch->nr > 0)
		recomp_run(rc, compress_batch, batch);
	for (unsigned i = 0; i < batch->nr; i++)
		if (batch->items[i].out_len > 0 && recomp_publish_faster(rc, &batch->items[i]))
			recomp_count(&rc->undone, 1);
	return more;
}

void restore_end(struct recompressor *rc)
{
	comp_destroy(rc->codecs, rc->main);
	rc->main = NULL;
	zt_map_drop(rc->in, 2 * (size_t)RECOMP_BYTES);
}
