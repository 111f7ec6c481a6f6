// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fetch.c - objects that are out come back into memory, out of the copies that they were read to.
 *
 * Locks: one slot lock at a time. Nothing is read from the disk here (spill/spill.h).
 */
#include <errno.h>
#include <string.h>

#include "blkmap/content/attempt.h"
#include "blkmap/content/change.h"
#include "blkmap/content/content.h"

/* An object on its way back: its bytes are in the stream's workspace. */
struct fetch {
	struct change change;
};

static int fetch_look(const struct cluster *c, void *arg)
{
	struct fetch *fetch = arg;
	const uint64_t word = word_get(c->slot);
	struct spill *spill = c->slots->spill;
	const spill_id id = slot_spilled_id(word);
	const char *bytes;
	int error;

	fetch->change = (struct change){ .rest = slot_fresh(0) };
	if (slot_kind(word) != SLOT_SPILLED)
		return ATTEMPT_DONE;
	error = spill_hold(spill, id, &bytes);
	if (error == -EREMOTE)
		(void)spill_want(spill, id); /* in vain: another thing is read first */
	if (error)
		return error;
	fetch->change.enc = (struct encoded){
		.word = slot_unspilled(word),
		.data = strm_bytes(c->strm),
		.len = spill_len(spill, id),
		.mask = spill_mask(spill, id),
	};
	memcpy(strm_bytes(c->strm), bytes, spill_len(spill, id));
	spill_let(spill, id);
	return 0;
}

static int fetch_prepare(const struct cluster *c, void *arg, bool kept)
{
	struct fetch *fetch = arg;

	change_place(c, &fetch->change, kept);
	return fetch->change.refused;
}

static int fetch_publish(const struct cluster *c, void *arg)
{
	struct fetch *fetch = arg;

	return change_publish(c, &fetch->change);
}

static void fetch_end(const struct cluster *c, void *arg)
{
	struct fetch *fetch = arg;

	change_end(c, &fetch->change);
}

static const struct attempt_ops fetch_ops = {
	.look = fetch_look,
	.prepare = fetch_prepare,
	.publish = fetch_publish,
	.end = fetch_end,
};

int cluster_fetch(const struct cluster *c)
{
	struct fetch fetch;

	return attempt_run(c, &fetch_ops, &fetch);
}

/* Whether the object of a slot has to be read before its bytes can be had. */
static bool wants_disk(const struct cluster *c, spill_id *out_id)
{
	const uint64_t word = word_get(c->slot);
	struct spill *spill = c->slots->spill;
	const char *bytes;

	if (slot_kind(word) != SLOT_SPILLED)
		return false;
	*out_id = slot_spilled_id(word);
	if (spill_hold(spill, *out_id, &bytes))
		return true;
	spill_let(spill, *out_id);
	return false;
}

void content_want(struct content *content, const struct blkmap_file *file, uint64_t first,
		  uint64_t last)
{
	bool more = true;
	uint64_t *slot;

	for (uint64_t idx = first;
	     more && (slot = tree_next(content->slots->arena, &file->tree, &idx)) && idx <= last;
	     idx++) {
		const struct cluster c = cluster_of(content->codecs, file, slot, NULL);
		spill_id id;

		read_lock_counted(&c.lock->lock, ZT_LOCK_SLOT);
		if (wants_disk(&c, &id))
			more = spill_want(c.slots->spill, id);
		rw_unlock(&c.lock->lock);
	}
}

static bool is_out(const struct cluster *c)
{
	bool out;

	read_lock_counted(&c->lock->lock, ZT_LOCK_SLOT);
	out = slot_kind(word_get(c->slot)) == SLOT_SPILLED;
	rw_unlock(&c->lock->lock);
	return out;
}

int content_fetch(struct content *content, const struct blkmap_file *file, uint64_t off,
		  uint64_t *out_next)
{
	const uint32_t size = cluster_size(file->order);
	struct zcomp_strm *strm;
	uint64_t idx = off / size;
	uint64_t *slot;
	int error = 0;

	strm = zcomp_stream_get(content->codecs->comp, ZSTRM_DEFAULT);
	for (; !error && (slot = tree_next(content->slots->arena, &file->tree, &idx)); idx++) {
		const struct cluster c = cluster_of(content->codecs, file, slot, strm);

		if (is_out(&c))
			error = cluster_fetch(&c);
		if (error)
			break;
		if (zt_round_spent(file->round, 1)) {
			idx++;
			error = -EAGAIN;
			break;
		}
	}
	zcomp_stream_put(content->codecs->comp, strm);
	/* The next ones are read with it. */
	if (error == -EREMOTE)
		content_want(content, file, idx + 1, UINT64_MAX - 1);
	*out_next = idx * size;
	return error;
}
