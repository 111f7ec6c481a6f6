// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * check.c - the walker: is every slot backed by exactly what it says?
 *
 * Runs alone on the mount.
 */
#include "blkmap/cluster/cluster.h"
#include "blkmap/content/content.h"
#include "blkmap/slot/borrow.h"
#include "blkmap/slot/live.h"
#include "blkmap/slot/share.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/log.h"

struct check {
	struct content *content;
	struct zcomp_strm *strm;
	unsigned order;
	uint64_t objects, pages, shared;
};

static int bad(uint64_t idx, const char *what)
{
	zt_log(ZT_LOG_ERR, "blkmap: cluster %" PRIu64 ": %s", idx, what);
	return -EUCLEAN;
}

/* It is counted by its codec, as those in the pool are. */
static int check_spilled(struct check *check, uint64_t idx, uint64_t word, unsigned order)
{
	struct content *content = check->content;

	if (!content->slots->spill ||
	    !spill_is_id(content->slots->spill, slot_spilled_id(word)))
		return bad(idx, "names nothing that is out");
	if (slot_length(word) > cluster_size(order))
		return bad(idx, "is longer than its cluster");
	content->check.spilled++;
	content->check.codecs[slot_codec(word)]++;
	return 0;
}

/* Note that a slot names a record; content_check() counts the names. */
static int note_share(struct content *content, ref_t rec)
{
	if (content->check.nr == content->check.max) {
		uint64_t max = content->check.max ? 2 * content->check.max : 256;
		ref_t *bigger = zt_zalloc(max * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		if (content->check.refs)
			memcpy(bigger, content->check.refs, content->check.nr * sizeof(*bigger));
		zt_free(content->check.refs);
		content->check.refs = bigger;
		content->check.max = max;
	}
	content->check.refs[content->check.nr++] = rec;
	return 0;
}

/* The object of a word. */
static int check_object(struct check *check, uint64_t idx, uint64_t word, struct zs_owner should)
{
	struct slots *slots = check->content->slots;
	struct zs_owner owner;

	if (slots_borrow(slots))
		return borrow_has(slots, slot_ref(word)) ? 0 : bad(idx, "names nothing outside");
	if (!zs_is_live(slots->data, slot_ref(word)))
		return bad(idx, "names no live object");
	owner = zs_get_owner(slots->arena, slot_ref(word));
	return owner.word == should.word && owner.index == should.index ?
		       0 :
		       bad(idx, "names an object of another owner");
}

static int check_shared(struct check *check, uint64_t idx, uint64_t word, unsigned order)
{
	struct content *content = check->content;
	struct share_rec *rec;
	int error;

	if (!zs_is_live(content->slots->meta, slot_ref(word)))
		return bad(idx, "names no live share record");
	rec = share_rec_at(content->slots, word);
	if (slot_kind(rec->word) != SLOT_OBJ)
		return bad(idx, "its share record names no object");
	error = check_object(check, idx, rec->word,
			     (struct zs_owner){ .word = slot_place(content->slots, &rec->word),
						.index = OWNER_SHARE });
	if (error)
		return error;
	if (slot_length(word) > cluster_size(order))
		return bad(idx, "is longer than its cluster");
	if ((word ^ rec->word) & SLOT_SPARSE)
		return bad(idx, "and its share record differ about holes");
	check->shared += (slot_length(word) + ZT_PAGE_SIZE - 1) >> ZT_PAGE_SHIFT;
	return note_share(content, slot_ref(word));
}

/* One word that is no map: @place holds it, @index is the owner index that its object must have. */
static int check_word(struct check *check, uint64_t idx, const uint64_t *place, unsigned index,
		      unsigned order)
{
	struct content *content = check->content;
	uint64_t word = word_get(place);
	int error;

	if (slot_kind(word) == SLOT_SPILLED && index == OWNER_SLOT)
		return check_spilled(check, idx, word, order);
	if (slot_kind(word) == SLOT_SHARED && index <= OWNER_BASE)
		return check_shared(check, idx, word, order);
	if (slot_kind(word) > SLOT_OBJ)
		return bad(idx, "a word of an unknown kind");
	if (slot_kind(word) != SLOT_OBJ)
		return 0;
	error = check_object(check, idx, word,
			     (struct zs_owner){ .word = slot_place(content->slots, place),
						.index = index });
	if (error)
		return error;
	if (slot_length(word) > cluster_size(order))
		return bad(idx, "is longer than its cluster");
	check->objects++;
	return 0;
}

static int check_map(struct check *check, uint64_t idx, uint64_t *slot)
{
	struct content *content = check->content;
	struct cluster_map *cmap;
	int error;

	if (!zs_is_live(content->slots->meta, slot_ref(word_get(slot))))
		return bad(idx, "names no live cluster map");
	cmap = cluster_map_at(content->slots, word_get(slot));
	if (cmap->place != slot_place(content->slots, slot))
		return bad(idx, "its cluster map belongs to another slot");
	if (!live_map_find(content->slots, slot_lock(content->slots, slot), slot_place(content->slots, slot)))
		return bad(idx, "its cluster map is not listed");
	error = check_word(check, idx, &cmap->base, OWNER_BASE, check->order);
	for (unsigned p = 0; p < 1u << check->order && !error; p++)
		error = check_word(check, idx, &cmap->pages[p], OWNER_PAGE(p), 0);
	return error;
}

static int check_cluster(struct check *check, uint64_t idx, uint64_t *slot)
{
	struct content *content = check->content;
	const struct cluster c = cluster_of(content->codecs, NULL, slot, check->strm);
	int error;

	read_lock(&c.lock->lock);
	if (slot_kind(word_get(slot)) == SLOT_MAP)
		error = check_map(check, idx, slot);
	else
		error = check_word(check, idx, slot, OWNER_SLOT, check->order);
	if (!error) {
		uint32_t present = slot_present(content->slots, word_get(slot), check->order);

		check->pages += (unsigned)__builtin_popcount(present);
		/* The disk is asked under no lock, and not here; and nobody would read all of an image. */
		if (slot_kind(word_get(slot)) != SLOT_SPILLED && !slots_borrow(content->slots) &&
		    cluster_load(&c, word_get(slot), 0, cluster_size(check->order),
				 strm_bytes(check->strm)))
			error = bad(idx, "cannot be read");
	}
	rw_unlock(&c.lock->lock);
	return error;
}

/* The next walk begins anew. */
static void check_reset(struct content *content)
{
	content->check.nr = content->check.pages = content->check.spilled = 0;
	memset(content->check.codecs, 0, sizeof(content->check.codecs));
}

int content_check_file(struct content *content, const struct blkmap_file *file,
		       uint64_t *inout_objects)
{
	struct check check = {
		.content = content,
		.strm = zcomp_stream_get(content->codecs->comp, ZSTRM_DEFAULT),
		.order = file->order,
	};
	uint64_t *slot;
	int error = 0;

	for (uint64_t idx = 0;
	     !error && (slot = tree_next(content->slots->arena, &file->tree, &idx)); idx++)
		error = check_cluster(&check, idx, slot);
	zcomp_stream_put(content->codecs->comp, check.strm);
	if (!error && check.pages != *file->nr_pages) {
		zt_log(ZT_LOG_ERR, "blkmap: a file counts %" PRIu64 " pages and has %" PRIu64,
		       *file->nr_pages, check.pages);
		error = -EUCLEAN;
	}
	*inout_objects += check.objects;
	content->check.pages += check.shared;
	if (error) /* there is no end of this walk that the next one could begin behind */
		check_reset(content);
	return error;
}

struct codec_check {
	struct content *content;
	uint64_t objects[SLOT_NR_CODECS];
};

static enum zs_verdict count_codec(void *arg, ref_t ref, uint32_t len, struct zs_owner owner)
{
	struct codec_check *check = arg;

	(void)ref;
	(void)len;
	if (owner.word != 0)
		check->objects[slot_codec(word_get(slot_at(check->content->slots, owner.word)))]++;
	return ZS_UNSETTLED;
}

/* A dictionary lives by the number of its objects: they must be counted right. */
static int check_codecs(struct content *content)
{
	struct codec_check check = { .content = content };
	uint64_t cursor = 0;

	memcpy(check.objects, content->check.codecs, sizeof(check.objects));
	(void)zs_scan(content->slots->data, &cursor, count_codec, &check);
	for (unsigned codec = SLOT_CODEC_MAIN + 1; codec < SLOT_NR_CODECS; codec++) {
		uint64_t counted = atomic_load_explicit(
			&content->slots->account.codec_objects[codec], memory_order_relaxed);

		if (counted == check.objects[codec])
			continue;
		zt_log(ZT_LOG_ERR,
		       "blkmap: %" PRIu64 " objects with codec %u are counted, there are %" PRIu64,
		       counted, codec, check.objects[codec]);
		return -EUCLEAN;
	}
	return 0;
}

static int ref_cmp(const void *a, const void *b)
{
	ref_t x = *(const ref_t *)a, y = *(const ref_t *)b;

	return x < y ? -1 : x > y;
}

/* Each record has as many names as it counts. Their objects go to *inout_objects. */
static int check_shares(struct content *content, uint64_t *inout_objects)
{
	const ref_t *refs = content->check.refs;
	uint64_t nr = content->check.nr;

	if (nr)
		qsort(content->check.refs, nr, sizeof(*refs), ref_cmp);
	for (uint64_t i = 0, names; i < nr; i += names) {
		const struct share_rec *rec = zs_data(content->slots->arena, refs[i]);

		for (names = 1; i + names < nr && refs[i + names] == refs[i];)
			names++;
		++*inout_objects;
		if (rec->count == names)
			continue;
		zt_log(ZT_LOG_ERR,
		       "blkmap: a share record counts %" PRIu64 " names and has %" PRIu64,
		       rec->count, names);
		return -EUCLEAN;
	}
	if (content->check.pages == content->slots->account.shared_pages)
		return 0;
	zt_log(ZT_LOG_ERR, "blkmap: %" PRIu64 " shared pages are counted, files have %" PRIu64,
	       (uint64_t)content->slots->account.shared_pages, content->check.pages);
	return -EUCLEAN;
}

/* As many objects are out as words say so. */
static int check_spill(struct content *content)
{
	struct spill_stat stat;

	spill_get_stat(content->slots->spill, &stat);
	if (stat.objects == content->check.spilled)
		return 0;
	zt_log(ZT_LOG_ERR, "blkmap: %" PRIu64 " objects are out, files name %" PRIu64,
	       stat.objects, content->check.spilled);
	return -EUCLEAN;
}

static int check_all(struct content *content, uint64_t objects)
{
	struct zs_pool_stat stat;
	int error = check_shares(content, &objects);

	if (!error)
		error = check_spill(content);
	if (error)
		return error;
	zs_pool_get_stat(content->slots->data, &stat);
	if (slots_borrow(content->slots))
		return stat.objects == 0 ? 0 : bad(0, "objects were made of what is only read");
	if (stat.objects != objects) {
		zt_log(ZT_LOG_ERR,
		       "blkmap: the data pool has %" PRIu64 " objects, files name %" PRIu64,
		       stat.objects, objects);
		return -EUCLEAN;
	}
	return check_codecs(content) ? -EUCLEAN : zs_check(content->slots->data);
}

int content_check(struct content *content, uint64_t objects)
{
	const int error = check_all(content, objects);

	check_reset(content);
	return error;
}
