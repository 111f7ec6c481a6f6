// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dict.c - dictionaries that a mount makes by itself from its own small files.
 *
 * Each has a codec number of its own and stands in the metadata pool, pinned; the record (see
 * blkmap.h) says where. It lives until no slot has its number any more: only recompression gives
 * out these numbers, so one that nobody uses stays unused until it is given out again.
 *
 * Locks: recomp.pass_lock. Readers find a decoder by the number in a word, under the slot's lock:
 * the last word with a number is exchanged under the exclusive one, so none of them is left then.
 */
#include <errno.h>
#include <string.h>

#include "blkmap/recompress.h"
#include "util/alloc.h"
#include "zcomp/dict.h"
#include "zcomp/registry.h"

/* Small files are worth a dictionary from so many bytes on, and from so many of them. */
#define POPULATION_BYTES (1 * MIB)
#define POPULATION_NR    256u

/* A new one is made when so many times the bytes that the last was made from have come. */
#define RENEW_FACTOR 4u

/* It may cost a 32nd of what it is made for. */
#define DICT_SHARE 32u

/* Samples: bytes and pieces. */
#define SAMPLE_BYTES (2 * MIB)
#define SAMPLE_NR    16384u

static uint64_t nr_objects(const struct blkmap *map, unsigned codec)
{
	return atomic_load_explicit(&map->codec_objects[codec], memory_order_acquire);
}

/* ---- life ---- */

static void dict_free(struct blkmap *map, unsigned codec)
{
	ref_t ref = map->record->dicts[codec - SLOT_CODEC_DICT].ref;

	codec_destroy(map, codec);
	map->record->dicts[codec - SLOT_CODEC_DICT].size = 0;
	word_set(&map->record->dicts[codec - SLOT_CODEC_DICT].ref, 0);
	zs_free(map->meta, ref);
}

static void free_unused(struct recompressor *rc)
{
	struct blkmap *map = rc->map;

	for (unsigned codec = SLOT_CODEC_DICT; codec < SLOT_NR_CODECS; codec++) {
		if (map->record->dicts[codec - SLOT_CODEC_DICT].ref == 0 ||
		    nr_objects(map, codec) > 0)
			continue;
		if (codec == rc->dict) {
			rc->dict = 0;
			rc->dict_next = 0;
		}
		dict_free(map, codec);
	}
}

void dicts_exit(struct blkmap *map)
{
	for (unsigned codec = SLOT_CODEC_DICT; codec < SLOT_NR_CODECS; codec++)
		if (map->record->dicts[codec - SLOT_CODEC_DICT].ref != 0)
			dict_free(map, codec);
}

void dict_get_stat(struct blkmap *map, struct blkmap_stat *out_stat)
{
	for (unsigned i = 0; i < SLOT_CODEC_NR_DICT; i++) {
		uint64_t size = __atomic_load_n(&map->record->dicts[i].size, __ATOMIC_RELAXED);

		out_stat->dicts += size != 0;
		out_stat->dict_bytes += size;
		out_stat->dict_objects += nr_objects(map, SLOT_CODEC_DICT + i);
	}
}

static unsigned free_number(const struct blkmap *map)
{
	unsigned codec = SLOT_CODEC_DICT;

	while (codec < SLOT_NR_CODECS && map->record->dicts[codec - SLOT_CODEC_DICT].ref != 0)
		codec++;
	return codec < SLOT_NR_CODECS ? codec : 0;
}

/* Keep a dictionary in the arena, under a number of its own, and compress with it from now on. */
static int dict_publish(struct recompressor *rc, unsigned codec, const void *dict, size_t size)
{
	struct blkmap *map = rc->map;
	char error_text[ZCOMP_ERROR_TEXT];
	ref_t ref;
	int error = zs_malloc(map->meta, (uint32_t)size, &ref);

	if (error)
		return error;
	memcpy(zs_data(map->arena, ref), dict, size);
	error = codec_create(map, codec, rc->name, rc->level, zs_data(map->arena, ref), size,
			     error_text);
	if (error) {
		zs_free(map->meta, ref);
		return error;
	}
	__atomic_store_n(&map->record->dicts[codec - SLOT_CODEC_DICT].size, size, __ATOMIC_RELAXED);
	word_set(&map->record->dicts[codec - SLOT_CODEC_DICT].ref, ref);
	rc->dict = codec;
	rc->refresh = true;
	return 0;
}

bool dict_is_taken(const char *name)
{
	const struct zcomp_ops *ops = zcomp_find_ops(name);

	return ops && ops->dict_max >= DICT_MAX;
}

/* ---- samples ---- */

struct survey {
	const struct blkmap *map;
	unsigned idle; /* ticks without use; younger ones are not counted */
	uint64_t bytes, nr; /* of small objects */
	uint64_t stride, passed; /* sampling: one sample for so many bytes; bytes since the last */
};

static bool word_is_small(uint64_t word)
{
	return slot_length(word) <= RECOMP_SMALL && slot_codec(word) != SLOT_CODEC_RAW_KEPT;
}

/* recomp_wanted_fn: only counts. */
static bool survey_counts(void *arg, uint64_t word)
{
	struct survey *survey = arg;

	if (word_is_small(word) && age_of(survey->map, slot_ref(word)) >= survey->idle) {
		survey->bytes += slot_length(word);
		survey->nr++;
	}
	return false;
}

/* recomp_wanted_fn: small objects spread evenly over all there are. */
static bool survey_samples(void *arg, uint64_t word)
{
	struct survey *survey = arg;

	if (!word_is_small(word))
		return false;
	if (survey->passed + slot_length(word) >= survey->stride)
		return true;
	survey->passed += slot_length(word);
	return false;
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

/* What the trainer takes for itself: 3.0 MiB with as many bytes of samples, in 130 to 16,384 pieces. */
#define TRAINER_SIZE (4 * MIB)

static void take_samples(struct recompressor *rc, struct survey *survey, struct training *training)
{
	struct recomp_item item;
	uint64_t cursor = 0;

	while (training->nr < SAMPLE_NR &&
	       recomp_find(rc, &cursor, survey_samples, survey, &item)) {
		int error = -ENOSPC;

		survey->passed = 0;
		if (item.len <= SAMPLE_BYTES - training->used)
			error = recomp_load(rc, &item, training->samples + training->used);
		recomp_unlock(rc, &item);
		if (error)
			continue;
		training->sizes[training->nr++] = item.len;
		training->used += item.len;
	}
}

/* In the worker. */
static void train(struct recompressor *rc, void *arg)
{
	struct training *training = arg;
	char error_text[ZCOMP_ERROR_TEXT];

	(void)rc;
	training->error =
		zcomp_dict_train(training->samples, training->sizes, training->nr, training->dict,
				 training->dict_cap, error_text, &training->dict_size);
}

static int dict_make(struct recompressor *rc, struct survey *survey, unsigned codec)
{
	char *space;
	struct training training = {
		.dict_cap = (size_t)min_u64(survey->bytes / DICT_SHARE, DICT_MAX),
	};
	int error;

	error = arena_set_aside(rc->map->arena, TRAINING_SIZE + TRAINER_SIZE);
	if (error)
		return error;
	space = zt_map(TRAINING_SIZE);
	if (!space) {
		arena_unset_aside(rc->map->arena, TRAINING_SIZE + TRAINER_SIZE);
		return -ENOMEM;
	}
	training.samples = space;
	training.sizes = (size_t *)(space + SAMPLE_BYTES);
	training.dict = space + SAMPLE_BYTES + SAMPLE_NR * sizeof(size_t);
	survey->stride = survey->bytes / SAMPLE_BYTES * (survey->bytes / survey->nr);
	take_samples(rc, survey, &training);
	recomp_run(rc, train, &training);
	error = training.error;
	if (!error)
		error = dict_publish(rc, codec, training.dict, training.dict_size);
	zt_unmap(space, TRAINING_SIZE);
	/* The trainer takes a few MiB from the heap, in pieces. */
	zt_heap_trim();
	arena_unset_aside(rc->map->arena, TRAINING_SIZE + TRAINER_SIZE);
	return error;
}

void dict_prepare(struct recompressor *rc, unsigned idle)
{
	struct survey survey = { .map = rc->map, .idle = idle };
	struct recomp_item item;
	uint64_t cursor = 0;
	unsigned codec;

	free_unused(rc);
	if (!rc->takes_dict)
		return;
	codec = free_number(rc->map);
	if (!codec || (rc->dict && rc->dict_done < RENEW_FACTOR * rc->dict_population))
		return;
	(void)recomp_find(rc, &cursor, survey_counts, &survey, &item); /* it wants none */
	if (survey.nr < POPULATION_NR || survey.bytes < max_u64(POPULATION_BYTES, rc->dict_next))
		return;
	rc->dict_population = survey.bytes;
	rc->dict_done = 0;
	/* What cannot be made from these is not tried again with the same. */
	rc->dict_next = RENEW_FACTOR * survey.bytes;
	if (dict_make(rc, &survey, codec))
		rc->refresh = false;
}
