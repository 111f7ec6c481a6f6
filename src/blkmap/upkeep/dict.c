// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dict.c - dictionaries that a mount makes by itself from its own files, small and large ones.
 *
 * Each has a codec number of its own and stands in the metadata pool, pinned; the record (see
 * blkmap.h) says where. It lives until no slot has its number any longer. Only recompression gives
 * out these numbers, so an unused one stays unused until it is given out again.
 *
 * A newer one of its kind takes most of its objects over. It is retired when its objects would take
 * less than itself, or when its number is wanted. Its objects are then compressed anew, whatever
 * that takes. Weakness: objects below a cluster map wait until that is folded.
 *
 * Locks: recomp.pass_lock. Readers find a decoder by the number in a word, under the slot's lock:
 * the last word with a number is exchanged under the exclusive one, so none of them is left then.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blkmap/slot/age.h"
#include "blkmap/upkeep/recompress.h"
#include "blkmap/upkeep/worker.h"
#include "util/alloc.h"
#include "util/store.h"
#include "zcomp/dict.h"
#include "zcomp/registry.h"
#include "zsmalloc/attach.h"

/* When objects of a kind are worth a dictionary, and what is taken of them for it. */
static const struct {
	uint64_t bytes; /* of objects, at least */
	uint64_t nr;
	uint32_t divisor; /* it may cost such a part of what it is made for */
	uint32_t piece; /* bytes of a sample, at most */
} rules[] = {
	[RECOMP_SMALL] = { .bytes = MIB, .nr = 256, .divisor = 32, .piece = RECOMP_SMALL_MAX },
	/*
	 * It saves about 1 % of the content. Many short samples see more than few long ones:
	 * 512 of 4 KiB make as good a one as 128 of 64 KiB.
	 */
	[RECOMP_LARGE] = { .bytes = 16 * MIB, .nr = 256, .divisor = 256, .piece = 4096 },
};

/*
 * A new one is made, or tried again, when so many times the bytes that the last was made from have
 * come, however many have gone meanwhile.
 */
#define RENEW_FACTOR 4u

/* Samples: bytes and pieces. */
#define SAMPLE_BYTES (2 * MIB)
#define SAMPLE_NR    16384u

static uint64_t nr_objects(const struct recompressor *rc, unsigned codec)
{
	return atomic_load_explicit(&rc->slots->account.codec_objects[codec], memory_order_acquire);
}

/* dict_get_stat() reads it without a lock. */
static void set_size(struct recompressor *rc, unsigned codec, uint64_t size)
{
	__atomic_store_n(&rc->codecs->record->dicts[codec - SLOT_CODEC_DICT].size, size,
			 __ATOMIC_RELAXED);
	zt_stored("dict: its size");
}

/* ---- life ---- */

static void dict_free(struct recompressor *rc, unsigned codec)
{
	ref_t ref = rc->codecs->record->dicts[codec - SLOT_CODEC_DICT].ref;

	codec_destroy(rc->codecs, codec);
	set_size(rc, codec, 0);
	word_set(&rc->codecs->record->dicts[codec - SLOT_CODEC_DICT].ref, 0);
	zs_free(rc->slots->meta, ref);
}

/* The kind whose dictionary in use has that number; RECOMP_NR_KINDS: none. */
static enum recomp_kind kind_of(const struct recompressor *rc, unsigned codec)
{
	enum recomp_kind kind = 0;

	while (kind < RECOMP_NR_KINDS && rc->dicts[kind].codec != codec)
		kind++;
	return kind;
}

/* One in use that has no objects. False: it is new, no pass has been made with it yet. */
static bool give_up(struct recomp_dict *dict)
{
	if (!dict->served && dict->refresh == DICT_REFRESHES)
		return false;
	/* Of what it was made from nothing is left; or it is of no use for what is there. */
	if (dict->served)
		dict->tried = false;
	dict->codec = 0;
	dict->refresh = 0;
	return true;
}

static void free_unused(struct recompressor *rc)
{
	for (unsigned codec = SLOT_CODEC_DICT; codec < SLOT_NR_CODECS; codec++) {
		enum recomp_kind kind = kind_of(rc, codec);

		if (rc->codecs->record->dicts[codec - SLOT_CODEC_DICT].ref == 0 ||
		    nr_objects(rc, codec) > 0)
			continue;
		if (kind < RECOMP_NR_KINDS && !give_up(&rc->dicts[kind]))
			continue;
		rc->held[codec - SLOT_CODEC_DICT] = (struct recomp_held){ 0 };
		dict_free(rc, codec);
	}
}

/* Whether an older one is there, and not on its way out yet. */
static bool may_retire(const struct recompressor *rc, unsigned i)
{
	return rc->codecs->record->dicts[i].ref != 0 && !rc->held[i].retired &&
	       kind_of(rc, SLOT_CODEC_DICT + i) == RECOMP_NR_KINDS;
}

void dict_retire(struct recompressor *rc, unsigned i)
{
	rc->held[i].retired = true;
	zs_note_all(rc->slots->data);
}

/* Bytes of content of the objects of a dictionary, as long as those that passes have come by. */
static uint64_t held_bytes(const struct recompressor *rc, unsigned i)
{
	const struct recomp_held *held = &rc->held[i];

	return held->nr ? nr_objects(rc, SLOT_CODEC_DICT + i) * (held->bytes / held->nr)
			: UINT64_MAX;
}

/*
 * Even stored as they are, all objects of such a one would take less than it does. One in use that
 * has come to that was made for what is gone.
 */
static void retire_small(struct recompressor *rc)
{
	for (unsigned i = 0; i < SLOT_CODEC_NR_DICT; i++) {
		enum recomp_kind kind = kind_of(rc, SLOT_CODEC_DICT + i);

		if (rc->codecs->record->dicts[i].ref == 0 || rc->held[i].retired ||
		    held_bytes(rc, i) >= rc->codecs->record->dicts[i].size)
			continue;
		if (kind < RECOMP_NR_KINDS &&
		    (rc->dicts[kind].refresh > 0 || !give_up(&rc->dicts[kind])))
			continue;
		dict_retire(rc, i);
	}
}

/* A number is wanted, and none is free: the one that has least goes, and the next one next time. */
static void retire_one(struct recompressor *rc)
{
	unsigned least = SLOT_CODEC_NR_DICT;

	for (unsigned i = 0; i < SLOT_CODEC_NR_DICT; i++)
		if (may_retire(rc, i) &&
		    (least == SLOT_CODEC_NR_DICT ||
		     nr_objects(rc, SLOT_CODEC_DICT + i) < nr_objects(rc, SLOT_CODEC_DICT + least)))
			least = i;
	if (least < SLOT_CODEC_NR_DICT)
		dict_retire(rc, least);
}

void dicts_exit(struct recompressor *rc)
{
	for (unsigned codec = SLOT_CODEC_DICT; codec < SLOT_NR_CODECS; codec++)
		if (rc->codecs->record->dicts[codec - SLOT_CODEC_DICT].ref != 0)
			dict_free(rc, codec);
}

void dict_get_stat(const struct recompressor *rc, struct blkmap_stat *out_stat)
{
	for (unsigned i = 0; i < SLOT_CODEC_NR_DICT; i++) {
		uint64_t size =
			__atomic_load_n(&rc->codecs->record->dicts[i].size, __ATOMIC_RELAXED);

		out_stat->dicts += size != 0;
		out_stat->dict_bytes += size;
		out_stat->dict_objects += nr_objects(rc, SLOT_CODEC_DICT + i);
	}
}

static unsigned free_number(const struct recompressor *rc)
{
	unsigned codec = SLOT_CODEC_DICT;

	while (codec < SLOT_NR_CODECS &&
	       rc->codecs->record->dicts[codec - SLOT_CODEC_DICT].ref != 0)
		codec++;
	return codec < SLOT_NR_CODECS ? codec : 0;
}

/* What decodes with the dictionary at @ref. */
static int dict_decoder(struct recompressor *rc, unsigned codec, ref_t ref, size_t size,
			char error_text[ZCOMP_ERROR_TEXT])
{
	const struct zcomp_config config = {
		.name = rc->name,
		.level = rc->level,
		.unit = ZCOMP_MAX_UNIT,
		.dict = zs_data(rc->slots->arena, ref),
		.dict_size = size,
		.decode_only = true,
		.lender = rc->codecs->decoders[SLOT_CODEC_IDLE],
	};

	return codec_create(rc->codecs, codec, &config, error_text);
}

/* Keep a dictionary in the arena, under a number of its own, and compress with it from now on. */
static int dict_publish(struct recompressor *rc, enum recomp_kind kind, unsigned codec,
			const void *dict, size_t size)
{
	char error_text[ZCOMP_ERROR_TEXT];
	ref_t ref;
	int error = zs_malloc(rc->slots->meta, (uint32_t)size, &ref);

	if (error)
		return error;
	memcpy(zs_data(rc->slots->arena, ref), dict, size);
	error = dict_decoder(rc, codec, ref, size, error_text);
	if (error) {
		zs_free(rc->slots->meta, ref);
		return error;
	}
	set_size(rc, codec, size);
	word_set(&rc->codecs->record->dicts[codec - SLOT_CODEC_DICT].ref, ref);
	rc->dicts[kind].codec = codec;
	rc->dicts[kind].refresh = DICT_REFRESHES;
	rc->dicts[kind].served = false;
	/* What was tried without it is tried again. */
	zs_note_all(rc->slots->data);
	return 0;
}

/* They serve what has their numbers; which kind they were for is not known, and newer ones come. */
int dicts_attach(struct codecs *codecs, struct recompressor *rc, char text[256])
{
	for (unsigned i = 0; i < SLOT_CODEC_NR_DICT; i++) {
		uint64_t ref = codecs->record->dicts[i].ref, size = codecs->record->dicts[i].size;
		bool claimed;
		int error;

		/* It was about to be there, or to be freed: what is not claimed is. */
		if (ref == 0 || size == 0) {
			codecs->record->dicts[i].size = 0;
			word_set(&codecs->record->dicts[i].ref, 0);
			continue;
		}
		claimed = size <= DICT_MAX &&
			  zs_claim_sized(codecs->slots->meta, ref, (uint32_t)size);
		if ((!rc && codecs->unread.recompress[0] == '\0') || !claimed) {
			snprintf(text, 256, "a dictionary of the mount is damaged");
			return -EUCLEAN;
		}
		if (codecs_unread(codecs))
			continue;
		error = dict_decoder(rc, SLOT_CODEC_DICT + i, ref, size, text);
		if (error)
			return error;
	}
	return 0;
}

size_t recomp_dict_max(const char *name, enum recomp_kind kind)
{
	const struct zcomp_ops *ops = zcomp_find_ops(name);
	size_t max = ops ? ops->dict_max : 0;

	/* One that is as short as the codec's window is out of reach behind the first bytes. */
	if (kind == RECOMP_LARGE && max < DICT_MAX)
		return 0;
	return (size_t)min_u64(max, DICT_MAX);
}

/* ---- samples ---- */

struct survey {
	const struct slots *slots;
	unsigned idle; /* ticks without use; younger ones are not counted */
	struct population {
		uint64_t bytes, nr;
		uint64_t all_bytes, all_nr; /* with those that are too young */
	} of[RECOMP_NR_KINDS];
	/* Sampling: of which kind, one sample for so many bytes; bytes since the last. */
	enum recomp_kind kind;
	uint64_t stride, passed;
};

/* What did not compress at all may be small text; if it is large it only dilutes the samples. */
static bool word_may_teach(uint64_t word)
{
	return recomp_kind(word) == RECOMP_SMALL ? slot_codec(word) != SLOT_CODEC_RAW_KEPT
						 : !slot_is_raw(word);
}

/* recomp_wanted_fn: only counts. */
static enum recomp_want survey_counts(void *arg, uint64_t word, bool thin)
{
	struct survey *survey = arg;
	struct population *population = &survey->of[recomp_kind(word)];

	(void)thin;
	if (!word_may_teach(word))
		return RECOMP_NEVER;
	population->all_bytes += slot_length(word);
	population->all_nr++;
	if (age_of(survey->slots, slot_ref(word)) >= survey->idle) {
		population->bytes += slot_length(word);
		population->nr++;
	}
	return RECOMP_NEVER;
}

/* recomp_wanted_fn: objects of a kind, spread evenly over all there are. */
static enum recomp_want survey_samples(void *arg, uint64_t word, bool thin)
{
	struct survey *survey = arg;

	(void)thin;
	if (recomp_kind(word) != survey->kind || !word_may_teach(word))
		return RECOMP_NEVER;
	if (survey->passed + slot_length(word) >= survey->stride)
		return RECOMP_NOW;
	survey->passed += slot_length(word);
	return RECOMP_NEVER;
}

struct training {
	char *samples; /* SAMPLE_BYTES */
	size_t *sizes; /* SAMPLE_NR */
	char *dict; /* DICT_MAX */
	unsigned nr;
	size_t used; /* of samples */
	size_t dict_cap, dict_size;
	int error;
};

#define TRAINING_SIZE (SAMPLE_BYTES + SAMPLE_NR * sizeof(size_t) + DICT_MAX)

/* What the trainer takes for itself: 2.9 to 3.1 MiB with as many bytes of samples, in 128 to 16,384 pieces. */
#define TRAINER_SIZE (4 * MIB)

/* A piece of an object, whose slot is locked, wherever in it. */
static void take_sample(struct recompressor *rc, const struct recomp_item *item, uint32_t most,
			struct training *training)
{
	uint32_t len = (uint32_t)min_u64(item->len, most);
	uint32_t from = (uint32_t)(item->place * UINT32_C(0x9e3779b1)) % (item->len - len + 1);

	if (len > SAMPLE_BYTES - training->used || recomp_load(rc, item, rc->in))
		return;
	memcpy(training->samples + training->used, rc->in + from, len);
	training->sizes[training->nr++] = len;
	training->used += len;
}

static void take_samples(struct recompressor *rc, struct survey *survey, struct training *training)
{
	const struct population *population = &survey->of[survey->kind];
	uint64_t most = min_u64(rules[survey->kind].piece, population->bytes / population->nr);
	struct recomp_item item;
	uint64_t cursor = 0;

	survey->stride = population->bytes * most / SAMPLE_BYTES;
	survey->passed = 0;
	while (training->nr < SAMPLE_NR &&
	       recomp_find(rc, &cursor, survey_samples, survey, &item)) {
		survey->passed = 0;
		take_sample(rc, &item, rules[survey->kind].piece, training);
		recomp_unlock(rc, &item);
	}
}

/* In the worker. */
static void train(struct recompressor *rc, void *arg)
{
	struct training *training = arg;
	char error_text[ZCOMP_ERROR_TEXT];

	(void)rc;
	training->error = zcomp_dict_train(training->samples, training->sizes, training->nr,
					   training->dict, training->dict_cap, ZCOMP_DICT_SEGMENT,
					   error_text, &training->dict_size);
}

static int dict_make(struct recompressor *rc, struct survey *survey, unsigned codec)
{
	char *space;
	struct training training = {
		.dict_cap = (size_t)min_u64(survey->of[survey->kind].bytes /
						    rules[survey->kind].divisor,
					    rc->dicts[survey->kind].max),
	};
	int error;

	error = arena_set_aside(rc->slots->arena, TRAINING_SIZE + TRAINER_SIZE);
	if (error)
		return error;
	space = zt_map(TRAINING_SIZE);
	if (!space) {
		arena_unset_aside(rc->slots->arena, TRAINING_SIZE + TRAINER_SIZE);
		return -ENOMEM;
	}
	training.samples = space;
	training.sizes = (size_t *)(space + SAMPLE_BYTES);
	training.dict = space + SAMPLE_BYTES + SAMPLE_NR * sizeof(size_t);
	take_samples(rc, survey, &training);
	recomp_run(rc, train, &training);
	error = training.error;
	if (!error)
		error = dict_publish(rc, survey->kind, codec, training.dict, training.dict_size);
	zt_unmap(space, TRAINING_SIZE);
	/* The trainer takes a few MiB from the heap, in pieces. */
	zt_heap_trim();
	arena_unset_aside(rc->slots->arena, TRAINING_SIZE + TRAINER_SIZE);
	return error;
}

/*
 * A survey reads the header of every object. Where it has found too few, the next one comes when
 * such a part of all objects is new.
 */
#define SURVEY_DIVISOR 16u

static bool is_enough(enum recomp_kind kind, uint64_t nr, uint64_t bytes)
{
	return nr >= rules[kind].nr && bytes >= rules[kind].bytes;
}

/* Whether none has been tried that still fits what is there. */
static bool dict_is_due(const struct recomp_dict *dict)
{
	return dict->max > 0 && (!dict->tried || dict->done >= RENEW_FACTOR * dict->population);
}

/* Whether enough may have come for one that is due. */
static bool survey_is_due(struct recompressor *rc)
{
	struct zs_pool_stat stat;
	bool much, due = false;

	zs_pool_get_stat(rc->slots->data, &stat);
	much = stat.made - rc->surveyed_made > stat.objects / SURVEY_DIVISOR;
	for (unsigned kind = 0; kind < RECOMP_NR_KINDS; kind++)
		due |= dict_is_due(&rc->dicts[kind]) && (much || !rc->dicts[kind].hopeless);
	if (due)
		rc->surveyed_made = stat.made;
	return due;
}

static void dict_renew(struct recompressor *rc, struct survey *survey)
{
	const struct population *population = &survey->of[survey->kind];
	struct recomp_dict *dict = &rc->dicts[survey->kind];
	unsigned codec = free_number(rc);

	dict->hopeless = !is_enough(survey->kind, population->all_nr, population->all_bytes);
	if (!is_enough(survey->kind, population->nr, population->bytes))
		return;
	if (codec == 0) {
		retire_one(rc);
		return;
	}
	/* What cannot be made from these is not tried again with the same. */
	dict->tried = true;
	dict->population = population->bytes;
	dict->done = 0;
	if (dict_make(rc, survey, codec))
		dict->refresh = 0;
}

void dict_prepare(struct recompressor *rc, unsigned idle)
{
	struct survey survey = { .slots = rc->slots, .idle = idle };
	struct recomp_item item;
	uint64_t cursor = 0;

	free_unused(rc);
	retire_small(rc);
	if (!survey_is_due(rc))
		return;
	(void)recomp_find(rc, &cursor, survey_counts, &survey, &item); /* it wants none */
	for (unsigned kind = 0; kind < RECOMP_NR_KINDS; kind++) {
		survey.kind = kind;
		if (dict_is_due(&rc->dicts[kind]))
			dict_renew(rc, &survey);
	}
}
