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
#include "blkmap/slot/pack.h"
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
	uint64_t objects, pages, shared, packed;
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

/* A name of a record: its ref, and below that which member of a pack it names. */
static uint64_t name_make(ref_t rec, unsigned member)
{
	return rec << SLOT_CODEC_BITS | member;
}

static ref_t name_ref(uint64_t name)
{
	return name >> SLOT_CODEC_BITS;
}

/* Note that a slot names a record; content_check() counts the names. */
static int note_share(struct content *content, uint64_t name)
{
	if (content->check.nr == content->check.max) {
		uint64_t max = content->check.max ? 2 * content->check.max : 256;
		uint64_t *bigger = zt_zalloc(max * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		if (content->check.names)
			memcpy(bigger, content->check.names, content->check.nr * sizeof(*bigger));
		zt_free(content->check.names);
		content->check.names = bigger;
		content->check.max = max;
	}
	content->check.names[content->check.nr++] = name;
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

static int check_member(struct check *check, uint64_t idx, uint64_t word, const struct pack_rec *pack)
{
	struct content *content = check->content;

	if (!pack_is_sound(content->slots, pack) || !pack_holds(content->slots, pack, word))
		return bad(idx, "and its pack differ about what it holds");
	check->packed += (slot_length(word) + ZT_PAGE_SIZE - 1) >> ZT_PAGE_SHIFT;
	return note_share(content, name_make(slot_ref(word), pack_member(word)));
}

static int check_shared(struct check *check, uint64_t idx, uint64_t word, unsigned order)
{
	struct content *content = check->content;
	struct share_rec *rec;
	struct pack_rec *pack;
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
	pack = pack_of(content->slots, word);
	if (pack)
		return check_member(check, idx, word, pack);
	if ((word ^ rec->word) & SLOT_SPARSE)
		return bad(idx, "and its share record differ about holes");
	check->shared += (slot_length(word) + ZT_PAGE_SIZE - 1) >> ZT_PAGE_SHIFT;
	return note_share(content, name_make(slot_ref(word), 0));
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
	content->check.packed = 0;
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
	content->check.packed += check.packed;
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

static int name_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The first of @nr names is that of a record: whether it counts its names right. */
static int check_record(struct content *content, const uint64_t *names, uint64_t nr,
			uint64_t *out_names)
{
	const ref_t ref = name_ref(names[0]);
	const struct share_rec *rec = zs_data(content->slots->arena, ref);
	const struct pack_rec *pack = pack_at(content->slots, ref);
	uint64_t of[PACK_MEMBERS] = { 0 };

	for (*out_names = 0; *out_names < nr && name_ref(names[*out_names]) == ref; ++*out_names)
		of[names[*out_names] % PACK_MEMBERS]++;
	for (unsigned i = 0; pack && i < PACK_MEMBERS; i++)
		if (pack->names[i] != of[i]) {
			zt_log(ZT_LOG_ERR,
			       "blkmap: a pack counts %u names of a member and has %" PRIu64,
			       pack->names[i], of[i]);
			return -EUCLEAN;
		}
	if (rec->count == *out_names)
		return 0;
	zt_log(ZT_LOG_ERR,
	       "blkmap: a share record counts %" PRIu64 " names and has %" PRIu64, rec->count,
	       *out_names);
	return -EUCLEAN;
}

static int check_counter(const char *what, uint64_t counted, uint64_t found)
{
	if (counted == found)
		return 0;
	zt_log(ZT_LOG_ERR, "blkmap: %" PRIu64 " %s are counted, files have %" PRIu64, counted, what,
	       found);
	return -EUCLEAN;
}

/* Each record has as many names as it counts. Their objects go to *inout_objects. */
static int check_shares(struct content *content, uint64_t *inout_objects)
{
	const struct account *account = &content->slots->account;
	const uint64_t *names = content->check.names;
	uint64_t nr = content->check.nr, packs = 0;
	int error;

	if (nr)
		qsort(content->check.names, nr, sizeof(*names), name_cmp);
	for (uint64_t i = 0, of_one; i < nr; i += of_one) {
		error = check_record(content, names + i, nr - i, &of_one);
		if (error)
			return error;
		packs += pack_at(content->slots, name_ref(names[i])) != NULL;
		++*inout_objects;
	}
	error = check_counter("shared pages", account->shared_pages, content->check.pages);
	if (!error)
		error = check_counter("packed pages", account->packed_pages, content->check.packed);
	return error ? error : check_counter("packs", account->packs, packs);
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
