/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bm_fixture.h - a block map with one file, and what file contents look like.
 */
#ifndef ZT_TESTS_BLKMAP_BM_FIXTURE_H
#define ZT_TESTS_BLKMAP_BM_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "blkmap/blkmap.h"
#include "blkmap/parts.h"
#include "tests/lib/zt_check.h"

struct bm_file {
	uint64_t word;
	uint64_t nr_pages;
};

struct bm {
	struct arena *arena;
	struct zs_pool *meta;
	struct blkmap *map;
	ref_t record; /* the file's canonical fields */
	struct blkmap_file file;
};

struct bm_config {
	unsigned order;
	const char *compress;
	enum blkmap_accel accel;
	struct zcomp_accel_params accel_params; /* engines 0: two */
	uint64_t limit; /* of memory, beside what is set aside for streams and tables */
	uint64_t max_pages;
	const char *recompress;
	int32_t recompress_level; /* 0: default */
	uint32_t recompress_idle;
	bool no_dicts, dedup;
	bool background;
	uint32_t nr_streams; /* 0: 12 */
	uint64_t spill_size; /* 0: nothing goes out */
	int spill_fd;
	uint32_t spill_idle;
};

/* The algorithm of tests that name none; tests/blkmap/scribble has them run with another. */
static inline const char *bm_compress(void)
{
	const char *name = getenv("ZT_COMPRESS");

	return name ? name : "lz4";
}

static inline void bm_start(struct bm *bm, const struct bm_config *config)
{
	struct arena_params arena_params = { .reserve = GIB,
					     .limit =
						     config->limit ? config->limit + 64 * MIB : 0 };
	struct zs_pool_params pool_params = { .name = "meta", .id = 2 };
	struct blkmap_params params = {
		.comp.name = config->compress ? config->compress : bm_compress(),
		.comp.level = ZCOMP_LEVEL_DEFAULT,
		.comp.nr_streams = config->nr_streams ? config->nr_streams : 12,
		.accel = config->accel,
		.comp.accel_params = config->accel_params,
		.max_pages = config->max_pages,
		.recompress = config->recompress,
		.recompress_level =
			config->recompress_level ? config->recompress_level : ZCOMP_LEVEL_DEFAULT,
		.recompress_idle = config->recompress_idle,
		.dicts = !config->no_dicts,
		.dedup = config->dedup,
		.background = config->background,
		.spill_size = config->spill_size,
		.spill_fd = config->spill_fd,
		.spill_idle = config->spill_idle,
	};
	struct bm_file *record;
	char text[256];

	if (!params.comp.accel_params.engines)
		params.comp.accel_params.engines = 2;
	ck_assert_int_eq(arena_create(&arena_params, &bm->arena), 0);
	ck_assert_int_eq(zs_pool_create(bm->arena, &pool_params, &bm->meta), 0);
	params.arena = bm->arena;
	params.meta = bm->meta;
	ck_assert_msg(blkmap_create(&params, text, &bm->map) == 0, "%s", text);
	if (config->limit) {
		struct arena_stat stat;

		arena_get_stat(bm->arena, &stat);
		arena_set_limit(bm->arena, config->limit + stat.aside);
	}
	ck_assert_int_eq(zs_malloc(bm->meta, sizeof(struct bm_file), &bm->record), 0);
	record = zs_data(bm->arena, bm->record);
	memset(record, 0, sizeof(*record));
	bm->file = (struct blkmap_file){
		.tree = { .word = &record->word },
		.nr_pages = &record->nr_pages,
		.order = config->order,
		.setting = BLKMAP_SETTING_DEFAULT,
	};
}

static inline void bm_check(struct bm *bm)
{
	uint64_t objects = 0;

	ck_assert_int_eq(blkmap_check_file(bm->map, &bm->file, &objects), 0);
	ck_assert_int_eq(blkmap_check(bm->map, objects), 0);
	ck_assert_int_eq(zs_check(bm->meta), 0);
	ck_assert_int_eq(arena_check(bm->arena), 0);
}

/* Empties the file, and nothing may be left but its record. */
static inline void bm_stop(struct bm *bm)
{
	struct zs_pool_stat stat;
	struct blkmap_stat bm_stat;

	bm_check(bm);
	ck_assert_int_eq(blkmap_truncate(bm->map, &bm->file, 0), 0);
	bm_check(bm);
	blkmap_get_stat(bm->map, &bm_stat);
	ck_assert_uint_eq(bm_stat.nr_pages, 0);
	ck_assert_uint_eq(bm_stat.same_pages, 0);
	ck_assert_uint_eq(bm_stat.huge_pages, 0);
	ck_assert_uint_eq(bm_stat.data.objects, 0);
	zs_pool_get_stat(bm->meta, &stat);
	ck_assert_uint_eq(stat.objects, 1 + bm_stat.dicts);
	blkmap_destroy(bm->map);
	zs_pool_destroy(bm->meta);
	arena_destroy(bm->arena);
}

static inline int bm_write(struct bm *bm, uint64_t off, const void *buf, size_t len)
{
	size_t done;

	if (!blkmap_covers(&bm->file, off, len)) {
		int error = blkmap_grow(bm->map, &bm->file, off, len);

		if (error)
			return error;
	}
	return blkmap_write(bm->map, &bm->file,
			    &(struct blkmap_bytes){ off, buf, len, ZSTRM_PREFER_MGMT }, &done);
}

/* Text-like, incompressible, zero, one value repeated. */
static inline void bm_fill(uint64_t *seed, char *buf, size_t len)
{
	static const char *const words[] = { "static ", "int ",   "return ", "cluster ", "0x1f, ",
					     "struct ", "page\n", "\t",      "if (",     "error)" };
	uint64_t kind = zt_random(seed) % 8, value = zt_random(seed);
	size_t at = 0;

	if (kind == 0) {
		memset(buf, 0, len);
	} else if (kind == 1) {
		/* Every second value fits a slot. */
		value = value % 2 ? value % 1000 + 1 : value | UINT64_C(1) << 63;
		for (size_t i = 0; i < len; i++)
			buf[i] = (char)(value >> 8 * (i % 8));
	} else if (kind == 2) {
		for (size_t i = 0; i < len; i++)
			buf[i] = (char)zt_random(seed);
	} else {
		while (at < len) {
			const char *word = words[zt_random(seed) % ARRAY_SIZE(words)];
			size_t n = strlen(word) < len - at ? strlen(word) : len - at;

			memcpy(buf + at, word, n);
			at += n;
		}
	}
}

#endif
