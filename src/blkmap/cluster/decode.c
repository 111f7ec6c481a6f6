// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * decode.c - from objects to the bytes of a cluster.
 *
 * Context: the slot lock is held, shared is enough.
 */
#include <errno.h>
#include <string.h>

#include "blkmap/cluster/cluster.h"
#include "blkmap/slot/age.h"
#include "blkmap/slot/borrow.h"
#include "blkmap/slot/heat.h"
#include "blkmap/slot/pack.h"
#include "blkmap/slot/share.h"

static void fill_same(char *dst, uint32_t from, uint32_t to, uint64_t value)
{
	const uint32_t len = to - from, turn = from % sizeof(value);
	char pattern[2 * sizeof(value)];
	uint32_t at = 0;

	memcpy(pattern, &value, sizeof(value));
	memcpy(pattern + sizeof(value), &value, sizeof(value));
	/* One byte that is repeated is the usual case. */
	if (memcmp(pattern, pattern + 1, sizeof(value)) == 0) {
		memset(dst, pattern[0], len);
		return;
	}
	memcpy(&value, pattern + turn, sizeof(value));
	for (; len - at >= sizeof(value); at += (uint32_t)sizeof(value))
		memcpy(dst + at, &value, sizeof(value));
	memcpy(dst + at, &value, len - at);
}

/* Where the bytes of an object stand, without the mask of pages in front of them. */
struct stored {
	const char *data;
	uint32_t len;
};

/* What keeps decoded bytes right: as long as this lock's seq is this. */
struct kept_by {
	const void *lock; /* NULL: they are not kept */
	uint64_t seq;
};

static struct kept_by slot_keeps(const struct cluster *c)
{
	return (struct kept_by){ c->lock, c->lock ? c->lock->seq : 0 };
}

/*
 * The first @end bytes of what an object decodes to, in the workspace. Only so much is decoded
 * where the codec can, and all of it when the same object is asked for more: then somebody goes
 * through it in small steps, and finds the rest here.
 */
static int load_scratch(const struct cluster *c, uint64_t word, const struct stored *stored,
			uint32_t end, const struct kept_by *by)
{
	struct workspace *work = strm_workspace(c->strm);
	struct loaded *loaded = &work->loaded;
	bool same = by->lock && loaded->lock == by->lock && loaded->seq == by->seq &&
		    loaded->word == word;
	const struct decoding what = {
		.src = stored->data,
		.src_len = stored->len,
		.dst = work->decoded,
		.dst_cap = ZCOMP_MAX_UNIT,
		.want = same ? ZCOMP_MAX_UNIT : end,
	};
	size_t out_len;
	int error;

	if (same && loaded->len >= end)
		return 0;
	loaded->lock = NULL;
	error = codec_decompress(c->codecs, slot_codec(word), c->strm, &what, &out_len);
	if (!error && out_len < end)
		error = -EIO;
	if (error)
		return error;
	loaded->lock = by->lock;
	loaded->seq = by->seq;
	loaded->word = word;
	loaded->len = (uint32_t)out_len;
	loaded->effort += !same && out_len > what.want ? HEAT_DECODE : HEAT_READ;
	return 0;
}

char *strm_take_scratch(struct zcomp_strm *strm)
{
	struct workspace *work = strm_workspace(strm);

	work->loaded.lock = NULL;
	return work->decoded;
}

uint64_t strm_effort(struct zcomp_strm *strm)
{
	return strm_workspace(strm)->loaded.effort;
}

/* Bytes [from, to) of what a word stands for whose object is @stored. */
static int load_stored(const struct cluster *c, uint64_t word, const struct stored *stored,
		       uint32_t from, uint32_t to, char *dst)
{
	uint32_t length = slot_length(word), end = (uint32_t)min_u64(to, length);
	const char *data = stored->data;
	uint32_t data_len = stored->len;
	const struct kept_by by = slot_keeps(c);
	size_t out_len;
	int error = 0;

	if (slot_is_raw(word)) {
		if (data_len < length)
			return -EIO;
		memcpy(dst, data + from, end - from);
	} else if (from == 0 && end == length && !(word & SLOT_CUT)) {
		const struct decoding what = {
			.src = data,
			.src_len = data_len,
			.dst = dst,
			.dst_cap = length,
			.want = length,
		};

		error = codec_decompress(c->codecs, slot_codec(word), c->strm, &what, &out_len);
		if (!error && out_len != length)
			error = -EIO;
	} else {
		error = load_scratch(c, word, stored, end, &by);
		if (!error)
			memcpy(dst, strm_workspace(c->strm)->decoded + from, end - from);
	}
	if (error)
		return -EIO;
	memset(dst + (end - from), 0, to - end);
	return 0;
}

/* Nothing of an object is looked at for bytes behind what it stands for. */
static bool load_end(uint64_t word, uint32_t from, uint32_t to, char *dst)
{
	if (min_u64(to, slot_length(word)) > from)
		return false;
	memset(dst, 0, to - from);
	return true;
}

/* The same of one that is outside. What was decoded of bytes that were not good is forgotten. */
static int load_borrowed(const struct cluster *c, uint64_t word, uint32_t from, uint32_t to,
			 char *dst)
{
	const uint32_t prefix = word & SLOT_SPARSE ? SLOT_SPARSE_PREFIX : 0;
	struct borrowed object = { .data = NULL };
	int error;

	if (load_end(word, from, to, dst))
		return 0;
	error = borrow_open(c->slots, slot_ref(word), &object);
	if (!error && object.size > prefix) {
		const struct stored stored = { object.data + prefix, object.size - prefix };

		error = load_stored(c, word, &stored, from, to, dst);
	} else if (!error) {
		error = -EIO;
	}
	/* Asked in any case: it tells of bytes that have gone. */
	if (object.data && !borrow_held(c->slots, &object))
		error = -EIO;
	if (error)
		(void)strm_take_scratch(c->strm);
	return error;
}

/* Bytes [from, to) of what an OBJ word stands for. */
static int load_obj(const struct cluster *c, uint64_t word, uint32_t from, uint32_t to, char *dst)
{
	const uint32_t prefix = word & SLOT_SPARSE ? SLOT_SPARSE_PREFIX : 0;
	struct stored stored;
	uint32_t size;

	if (unlikely(slots_borrow(c->slots)))
		return load_borrowed(c, word, from, to, dst);
	if (load_end(word, from, to, dst))
		return 0;
	size = zs_size(c->slots->arena, slot_ref(word));
	stored.data = (const char *)zs_data(c->slots->arena, slot_ref(word)) + prefix;
	stored.len = size - prefix;
	return size > prefix ? load_stored(c, word, &stored, from, to, dst) : -EIO;
}

/* The same of an object that is out: from its copy, or -EREMOTE, and the thread wants it. */
static int load_spilled(const struct cluster *c, uint64_t word, uint32_t from, uint32_t to,
			char *dst)
{
	const spill_id id = slot_spilled_id(word);
	struct spill *spill = c->slots->spill;
	struct stored stored = { .len = spill_len(spill, id) };
	int error;

	if (load_end(word, from, to, dst))
		return 0;
	error = spill_hold(spill, id, &stored.data);
	if (error == -EREMOTE)
		(void)spill_want(spill, id); /* in vain: another thing is read first */
	if (error)
		return error;
	error = load_stored(c, word, &stored, from, to, dst);
	spill_let(spill, id);
	return error;
}

/*
 * Bytes [from, to) of all that a pack has, whose object is @object; its share lock is held. It is
 * decoded as a whole, and kept: its neighbours are read next.
 */
static int load_pack(const struct cluster *c, const struct pack_rec *rec,
		     const struct stored *object, uint32_t from, uint32_t to, char *dst)
{
	const struct share_lock *lock = share_lock(c->slots, &rec->share);
	const struct kept_by by = { lock, lock->seq };
	const uint64_t word = word_get(&rec->share.word);
	const struct stored stored = { object->data + sizeof(struct pack_head),
				       object->len - (uint32_t)sizeof(struct pack_head) };
	const uint64_t effort = strm_effort(c->strm);
	int error;

	if (to > slot_length(word) || (slot_is_raw(word) && to > stored.len))
		return -EIO;
	if (slot_is_raw(word)) {
		memcpy(dst, stored.data + from, to - from);
		return 0;
	}
	error = load_scratch(c, word, &stored, slot_length(word), &by);
	if (!error)
		memcpy(dst, strm_workspace(c->strm)->decoded + from, to - from);
	/* To read it again does not make it faster: it is not spread. */
	strm_workspace(c->strm)->loaded.effort = effort;
	return error ? -EIO : 0;
}

static struct stored pack_object(const struct slots *slots, const struct pack_rec *rec)
{
	const ref_t ref = slot_ref(word_get(&rec->share.word));

	return (struct stored){ zs_data(slots->arena, ref), zs_size(slots->arena, ref) };
}

int cluster_load_pack(const struct cluster *c, const struct pack_rec *rec, char *dst)
{
	const struct stored object = pack_object(c->slots, rec);

	return load_pack(c, rec, &object, 0, slot_length(word_get(&rec->share.word)), dst);
}

/* Bytes [from, to) of a member. */
struct part {
	const struct pack_rec *rec;
	unsigned member;
	uint32_t from, to;
};

/* @object: the pack's; its share lock is held. */
static int load_part(const struct cluster *c, const struct part *part, const struct stored *object,
		     char *dst)
{
	struct pack_head head;
	uint32_t start;

	if (object->len <= sizeof(head))
		return -EIO;
	memcpy(&head, object->data, sizeof(head));
	start = pack_start(&head, part->member);
	if (part->to > head.len[part->member])
		return -EIO;
	return load_pack(c, part->rec, object, start + part->from, start + part->to, dst);
}

/* The same of a pack that is outside. */
static int load_part_borrowed(const struct cluster *c, const struct part *part, char *dst)
{
	struct borrowed object;
	int error = borrow_open(c->slots, slot_ref(word_get(&part->rec->share.word)), &object);

	if (error)
		return error;
	error = load_part(c, part, &(struct stored){ object.data, object.size }, dst);
	/* Asked in any case: it tells of bytes that have gone. */
	if (!borrow_held(c->slots, &object))
		error = -EIO;
	if (error)
		(void)strm_take_scratch(c->strm);
	return error;
}

static int load_member(const struct cluster *c, uint64_t word, uint32_t from, uint32_t to,
		       char *dst)
{
	const uint32_t end = (uint32_t)min_u64(to, slot_length(word));
	const struct part part = { pack_of(c->slots, word), pack_member(word), from, end };
	struct stored object;
	int error;

	if (load_end(word, from, to, dst))
		return 0;
	(void)share_hold(c->slots, word);
	if (unlikely(slots_borrow(c->slots))) {
		error = load_part_borrowed(c, &part, dst);
	} else {
		object = pack_object(c->slots, part.rec);
		error = load_part(c, &part, &object, dst);
	}
	age_touch(c->slots, slot_ref(word_get(&part.rec->share.word)));
	share_drop(c->slots, word);
	memset(dst + (end - from), 0, to - end);
	return error;
}

/* What is decoded of a record's object is not kept: it changes under a lock of its own. */
static int load_shared(const struct cluster *c, uint64_t word, uint32_t from, uint32_t to,
		       char *dst)
{
	struct cluster unkept = *c;
	uint64_t obj = share_hold(c->slots, word);
	int error;

	unkept.lock = NULL;
	error = load_obj(&unkept, obj, from, to, dst);
	age_touch(c->slots, slot_ref(obj));
	share_drop(c->slots, word);
	return error;
}

static int load_simple(const struct cluster *c, uint64_t word, uint32_t from, uint32_t to,
		       char *dst)
{
	switch (slot_kind(word)) {
	case SLOT_HOLE:
	case SLOT_ZERO:
		memset(dst, 0, to - from);
		return 0;
	case SLOT_SAME:
		fill_same(dst, from, to, slot_same_value(word));
		return 0;
	case SLOT_OBJ:
		return load_obj(c, word, from, to, dst);
	case SLOT_SHARED:
		return pack_of(c->slots, word) ? load_member(c, word, from, to, dst)
					       : load_shared(c, word, from, to, dst);
	case SLOT_SPILLED:
		return load_spilled(c, word, from, to, dst);
	case SLOT_MAP:
		break;
	}
	return -EIO;
}

/* Whether every page of [from, to) has a word of its own: then base need not be unpacked. */
static bool base_hidden(const struct cluster_map *cmap, uint32_t from, uint32_t to)
{
	for (uint32_t p = from >> ZT_PAGE_SHIFT; p << ZT_PAGE_SHIFT < to; p++)
		if (!word_get(&cmap->pages[p]))
			return false;
	return true;
}

int cluster_load(const struct cluster *c, uint64_t word, uint32_t from, uint32_t to, char *dst)
{
	const struct cluster_map *cmap;
	int error;

	if (from >= to)
		return 0;
	if (slot_kind(word) != SLOT_MAP)
		return load_simple(c, word, from, to, dst);
	cmap = cluster_map_at(c->slots, word);
	if (!base_hidden(cmap, from, to)) {
		error = load_simple(c, word_get(&cmap->base), from, to, dst);
		if (error)
			return error;
	}
	for (uint32_t p = from >> ZT_PAGE_SHIFT; p << ZT_PAGE_SHIFT < to; p++) {
		uint32_t start = p << ZT_PAGE_SHIFT;
		uint32_t page_from = (uint32_t)max_u64(start, from);
		uint32_t page_to = (uint32_t)min_u64(start + ZT_PAGE_SIZE, to);
		uint64_t page = word_get(&cmap->pages[p]);

		if (!page)
			continue;
		error = load_simple(c, page, page_from - start, page_to - start,
				    dst + (page_from - from));
		if (error)
			return error;
	}
	return 0;
}
