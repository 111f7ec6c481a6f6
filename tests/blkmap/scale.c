// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scale.c - prints what single operations take in small and in large mounts, on a block map without
 * FUSE: scale [--long] [SECTION...]. Not a test: times are for a quiet machine.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blkmap/blkmap.h"
#include "blkmap/parts.h"
#include "tests/lib/zt_check.h"
#include "util/clock.h"
#include "util/lock.h"

#define CLUSTER (4 * ZT_PAGE_SIZE)

struct scale {
	struct arena *arena;
	struct zs_pool *meta;
	struct blkmap *map;
	ref_t record;
	struct blkmap_file file;
};

static bool is_long;
static uint64_t seed = 1;
static char bytes[64 * KIB], back[64 * KIB];

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "scale: %s failed\n", what);
	exit(1);
}

static void scale_start(struct scale *s, unsigned order, const char *recompress)
{
	const struct arena_params arena_params = { .reserve = 64 * GIB };
	const struct zs_pool_params pool_params = { .name = "meta", .id = 2 };
	struct blkmap_params params = {
		.comp = { .name = "lz4", .level = ZCOMP_LEVEL_DEFAULT, .nr_streams = 4 },
		.recompress = recompress,
		.recompress_level = ZCOMP_LEVEL_DEFAULT,
	};
	uint64_t *record;
	char text[256];

	must(arena_create(&arena_params, &s->arena) == 0, "arena_create()");
	must(zs_pool_create(s->arena, &pool_params, &s->meta) == 0, "zs_pool_create()");
	params.arena = s->arena;
	params.meta = s->meta;
	must(blkmap_create(&params, text, &s->map) == 0, "blkmap_create()");
	must(zs_malloc(s->meta, 2 * sizeof(*record), &s->record) == 0, "zs_malloc()");
	record = zs_data(s->arena, s->record);
	record[0] = record[1] = 0;
	s->file = (struct blkmap_file){
		.tree = { .word = &record[0] },
		.nr_pages = &record[1],
		.order = order,
		.setting = BLKMAP_SETTING_DEFAULT,
	};
}

static void scale_stop(struct scale *s)
{
	must(blkmap_truncate(s->map, &s->file, 0) == 0, "blkmap_truncate()");
	blkmap_destroy(s->map);
	zs_pool_destroy(s->meta);
	arena_destroy(s->arena);
}

static void write_at(struct scale *s, uint64_t off, const void *buf, size_t len)
{
	size_t done;

	if (!blkmap_covers(&s->file, off, len))
		must(blkmap_grow(s->map, &s->file, off, len) == 0, "blkmap_grow()");
	must(blkmap_write(s->map, &s->file, &(struct blkmap_bytes){ off, buf, len, ZSTRM_DEFAULT },
			  &done) == 0,
	     "blkmap_write()");
}

static void read_at(struct scale *s, uint64_t off, size_t len)
{
	must(blkmap_read(s->map, &s->file, off, back, len) == 0, "blkmap_read()");
}

static uint64_t nr_meta(struct scale *s)
{
	struct zs_pool_stat stat;

	zs_pool_get_stat(s->meta, &stat);
	return stat.objects;
}

static double us_since(uint64_t begin, uint64_t nr)
{
	return (double)(zt_now_ns() - begin) / 1000.0 / (double)nr;
}

/* Clusters @from to @to of 16 KiB; with a page written over each they have cluster maps. */
static void fill_clusters(struct scale *s, uint64_t from, uint64_t to, bool maps)
{
	for (uint64_t i = from; i < to; i++) {
		memset(bytes, 'a', CLUSTER);
		memcpy(bytes, &i, sizeof(i));
		write_at(s, i * CLUSTER, bytes, CLUSTER);
		memset(bytes, 'b', ZT_PAGE_SIZE);
		memcpy(bytes, &i, sizeof(i));
		if (maps)
			write_at(s, i * CLUSTER + ZT_PAGE_SIZE, bytes, ZT_PAGE_SIZE);
	}
}

static void scale_maps(void)
{
	enum { NR = 20000 };
	const uint64_t steps[] = { 16384, 65536, 262144, 1048576 };
	uint64_t have = 0, begin;
	struct scale s;

	scale_start(&s, 2, NULL);
	for (unsigned i = 0; i < (is_long ? 4 : 2); i++) {
		fill_clusters(&s, have, steps[i], true);
		have = steps[i];
		begin = zt_now_ns();
		for (unsigned j = 0; j < NR; j++) {
			uint64_t at = zt_random(&seed) % have * CLUSTER + ZT_PAGE_SIZE;

			memcpy(bytes, &seed, sizeof(seed));
			write_at(&s, at, bytes, ZT_PAGE_SIZE);
		}
		printf("maps     %9" PRIu64 " cluster maps: an overwrite of 4 KiB %8.2f us\n", have,
		       us_since(begin, NR));
	}
	scale_stop(&s);
}

static void scale_heat(void)
{
	const uint64_t nr = is_long ? 524288 : 131072;
	struct scale s;
	uint64_t before, begin;

	scale_start(&s, 2, NULL);
	fill_clusters(&s, 0, nr, false);
	before = nr_meta(&s);
	begin = zt_now_ns();
	for (uint64_t i = 0; i < nr; i++)
		read_at(&s, i * UINT64_C(2654435761) % nr * CLUSTER + 3 * ZT_PAGE_SIZE,
			ZT_PAGE_SIZE);
	printf("heat     %9" PRIu64 " clusters, 4 KiB of each read once: %8.2f us, %" PRIu64
	       " spread\n",
	       nr, us_since(begin, nr), nr_meta(&s) - before);
	scale_stop(&s);
}

static void scale_fold(void)
{
	const uint64_t nr = is_long ? 100000 : 30000;
	struct blkmap_stat stat;
	struct scale s;
	uint64_t begin;

	scale_start(&s, 2, NULL);
	fill_clusters(&s, 0, nr, true);
	begin = zt_now_ns();
	(void)blkmap_trim(s.map);
	blkmap_get_stat(s.map, &stat);
	printf("fold     %9" PRIu64 " cluster maps: %" PRIu64 " folded by compact, %.2f us each\n",
	       nr, stat.folds, us_since(begin, nr));
	scale_stop(&s);
}

/* The pages of a few objects are cached, among many zspages without any. */
static void scale_trim(void)
{
	enum { SIZE = 24, A_PAGE = ZT_PAGE_SIZE / (SIZE + ZS_HDR_SIZE) };
	const uint64_t nr = is_long ? 15000000 : 1500000;
	const struct arena_params arena_params = { .reserve = 64 * GIB };
	const struct zs_pool_params pool_params = { .name = "p", .id = 1 };
	ref_t *refs = malloc(nr * sizeof(*refs));
	struct zs_pool_stat stat;
	struct zs_pool *pool;
	struct arena *arena;
	uint64_t begin;
	double idle;

	must(refs != NULL, "malloc()");
	must(arena_create(&arena_params, &arena) == 0, "arena_create()");
	must(zs_pool_create(arena, &pool_params, &pool) == 0, "zs_pool_create()");
	for (uint64_t i = 0; i < nr; i++)
		must(zs_malloc(pool, SIZE, &refs[i]) == 0, "zs_malloc()");
	(void)zs_trim(pool, 0);
	begin = zt_now_ns();
	(void)zs_trim(pool, 0);
	idle = us_since(begin, 1);
	for (uint64_t i = nr / 2; i < nr / 2 + 3 * A_PAGE; i++)
		zs_free(pool, refs[i]);
	zs_pool_get_stat(pool, &stat);
	begin = zt_now_ns();
	printf("trim     %9" PRIu64 " zspages: with nothing cached %.2f us", stat.zspages, idle);
	must(zs_trim(pool, 0) > 0, "zs_trim()");
	printf(", with a few pages %.2f us\n", us_since(begin, 1));
	zs_pool_destroy(pool);
	arena_destroy(arena);
	free(refs);
}

/* Does not compress by much: no recompression gives it a smaller class often. */
static void fill_pages(struct scale *s, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		memset(bytes, 'a', ZT_PAGE_SIZE);
		memcpy(bytes, &i, sizeof(i));
		for (unsigned k = 0; k < 60; k++)
			bytes[64 + zt_random(&seed) % 4000] = (char)zt_random(&seed);
		write_at(s, i * ZT_PAGE_SIZE, bytes, ZT_PAGE_SIZE);
	}
}

static void scale_pass(void)
{
	const uint64_t nr = is_long ? 1048576 : 131072;
	uint64_t begin;
	struct scale s;
	double first;

	scale_start(&s, 0, "zstd");
	fill_pages(&s, nr);
	begin = zt_now_ns();
	(void)blkmap_recompress(s.map, 0);
	first = us_since(begin, nr);
	begin = zt_now_ns();
	(void)blkmap_recompress(s.map, 0);
	printf("pass     %9" PRIu64
	       " objects: the first pass %.2f us each, the next %.2f us in all,",
	       nr, first, us_since(begin, 1));
	/* What the first has made, the second has called settled. */
	for (unsigned i = 0; i < 8; i++)
		(void)blkmap_recompress(s.map, 0);
	begin = zt_now_ns();
	(void)blkmap_recompress(s.map, 0);
	printf(" one with nothing new %.2f us,", us_since(begin, 1));
	for (uint64_t i = 0; i < 10; i++)
		write_at(&s, i * ZT_PAGE_SIZE, bytes, ZT_PAGE_SIZE);
	begin = zt_now_ns();
	(void)blkmap_recompress(s.map, 0);
	printf(" with ten new %.2f us\n", us_since(begin, 1));
	begin = zt_now_ns();
	(void)zs_compact(blkmap_data_pool(s.map), 1);
	printf("compact  %9" PRIu64 " objects: with next to nothing to move %.2f us\n", nr,
	       us_since(begin, 1));
	scale_stop(&s);
}

static void read_often(struct scale *s, const char *what)
{
	enum { NR = 2000 };
	uint64_t begin;

	write_at(s, 0, bytes, sizeof(bytes));
	read_at(s, 0, sizeof(bytes));
	begin = zt_now_ns();
	for (unsigned i = 0; i < NR; i++)
		read_at(s, 0, sizeof(bytes));
	printf("same     64 KiB of %s: read in %8.2f us\n", what, us_since(begin, NR));
}

static void scale_same(void)
{
	struct scale s;
	size_t at = 0;

	scale_start(&s, 4, NULL);
	memset(bytes, 0xab, sizeof(bytes));
	read_often(&s, "one byte");
	for (at = 0; at < sizeof(bytes); at++)
		bytes[at] = (char)(at % 8);
	read_often(&s, "one word");
	memset(bytes, 0, sizeof(bytes));
	read_often(&s, "zeros   ");
	for (at = 0; at + 64 <= sizeof(bytes); at += 64)
		snprintf(bytes + at, 64, "line %zu: the quick brown fox jumps over it all again\n",
			 at);
	read_often(&s, "text    ");
	scale_stop(&s);
}

/* A mount as large as few machines hold: a small object in each cluster of a file, its words, its tree. */
static void scale_terabyte(void)
{
	enum { NR = 20000, UNIT = 64 * 1024 };
	const uint64_t steps[] = { 16384, 1048576, 16777216 };
	struct arena_stat stat;
	uint64_t have = 0, begin;
	struct scale s;

	scale_start(&s, 4, "lz4");
	for (unsigned i = 0; i < (is_long ? 3 : 2); i++) {
		for (; have < steps[i]; have++)
			write_at(&s, have * UNIT, &have, sizeof(have));
		for (unsigned pass = 0; pass < 3; pass++)
			(void)blkmap_recompress(s.map, 0);
		arena_get_stat(s.arena, &stat);
		printf("terabyte %9" PRIu64 " GiB in clusters of 64 KiB: %.1f bytes a cluster,",
		       have * UNIT / GIB, (double)stat.used / (double)have);
		begin = zt_now_ns();
		for (unsigned j = 0; j < NR; j++)
			read_at(&s, zt_random(&seed) % have * UNIT, ZT_PAGE_SIZE);
		printf(" read %.2f us,", us_since(begin, NR));
		begin = zt_now_ns();
		for (unsigned j = 0; j < NR; j++) {
			memcpy(bytes, &seed, sizeof(seed));
			write_at(&s, zt_random(&seed) % have * UNIT, bytes, ZT_PAGE_SIZE);
		}
		printf(" write %.2f us,", us_since(begin, NR));
		for (unsigned pass = 0; pass < 8; pass++)
			(void)blkmap_recompress(s.map, 0);
		begin = zt_now_ns();
		(void)blkmap_recompress(s.map, 0);
		printf(" a pass %.0f us,", us_since(begin, 1));
		begin = zt_now_ns();
		(void)blkmap_trim(s.map);
		printf(" trim %.0f us\n", us_since(begin, 1));
	}
	begin = zt_now_ns();
	scale_stop(&s);
	printf("terabyte all of it freed: %.2f us a cluster\n", us_since(begin, have));
}

/* ---- callers ---- */

#define CALLERS_MAX   64u
#define CALLERS_UNITS 256u /* clusters of a file */
#define CALLERS_OPS   64000u /* of all together */

struct caller {
	pthread_t thread;
	struct scale *scale;
	struct blkmap_file file;
	uint64_t seed;
	unsigned nr_ops;
};

static void make_file(struct scale *s, struct blkmap_file *file, const char *data)
{
	struct scale of_file = *s;
	uint64_t *record;
	ref_t ref;

	must(zs_malloc(s->meta, 2 * sizeof(*record), &ref) == 0, "zs_malloc()");
	record = zs_data(s->arena, ref);
	record[0] = record[1] = 0;
	file->tree.word = &record[0];
	file->nr_pages = &record[1];
	of_file.file = *file;
	for (unsigned i = 0; i < CALLERS_UNITS; i++)
		write_at(&of_file, (uint64_t)i * sizeof(bytes), data, sizeof(bytes));
	*file = of_file.file;
}

/* Half reads, a quarter whole clusters, a quarter pages. The file is as long as it will be. */
static void *caller_main(void *arg)
{
	struct caller *caller = arg;
	struct scale *s = caller->scale;
	char *buf = malloc(sizeof(bytes));
	size_t done;

	must(buf != NULL, "malloc()");
	memcpy(buf, bytes, sizeof(bytes));
	for (unsigned i = 0; i < caller->nr_ops; i++) {
		const uint64_t at = zt_random(&caller->seed) % CALLERS_UNITS * sizeof(bytes);
		const uint64_t what = zt_random(&caller->seed) % 4;
		const size_t len = what == 2 ? sizeof(bytes) : ZT_PAGE_SIZE;

		memcpy(buf, &caller->seed, sizeof(caller->seed));
		if (what < 2)
			must(blkmap_read(s->map, &caller->file, at, buf, len) == 0, "blkmap_read()");
		else
			must(blkmap_write(s->map, &caller->file,
					  &(struct blkmap_bytes){ at, buf, len, ZSTRM_DEFAULT },
					  &done) == 0,
			     "blkmap_write()");
	}
	free(buf);
	return NULL;
}

static void run_callers(struct caller *callers, unsigned nr, const char *what)
{
	struct zt_lock_waits before[ZT_NR_LOCK_KINDS], now;
	const uint64_t begin = zt_now_ns();

	for (unsigned kind = 0; kind < ZT_NR_LOCK_KINDS; kind++)
		before[kind] = zt_lock_waits(kind);
	for (unsigned i = 0; i < nr; i++) {
		callers[i].nr_ops = CALLERS_OPS / nr;
		must(pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]) == 0,
		     "pthread_create()");
	}
	for (unsigned i = 0; i < nr; i++)
		must(pthread_join(callers[i].thread, NULL) == 0, "pthread_join()");
	printf("callers  %9u, %s: %.2f us each; waits in 1,000:", nr, what,
	       us_since(begin, CALLERS_OPS));
	for (unsigned kind = 0; kind < ZT_NR_LOCK_KINDS; kind++) {
		now = zt_lock_waits(kind);
		if (now.waits > before[kind].waits)
			printf(" %s %.2f", zt_lock_name(kind),
			       (double)(now.waits - before[kind].waits) * 1000 / CALLERS_OPS);
	}
	printf("\n");
}

static void scale_callers(void)
{
	static const unsigned numbers[] = { 1, 2, 8, CALLERS_MAX };
	static struct caller callers[CALLERS_MAX];
	struct scale s;

	scale_start(&s, 4, NULL);
	for (size_t at = 0; at + 64 <= sizeof(bytes); at += 64)
		snprintf(bytes + at, 64, "line %" PRIu64 ": of text that says little\n",
			 zt_random(&seed));
	for (unsigned i = 0; i < CALLERS_MAX; i++) {
		callers[i] = (struct caller){ .scale = &s, .seed = i + 1, .file = s.file };
		make_file(&s, &callers[i].file, bytes);
	}
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		run_callers(callers, numbers[i], "a file each");
	for (unsigned i = 1; i < CALLERS_MAX; i++)
		must(blkmap_truncate(s.map, &callers[i].file, 0) == 0, "blkmap_truncate()");
	for (unsigned i = 1; i < CALLERS_MAX; i++)
		callers[i].file = callers[0].file;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		run_callers(callers, numbers[i], "one file   ");
	must(blkmap_truncate(s.map, &callers[0].file, 0) == 0, "blkmap_truncate()");
	scale_stop(&s);
}

static const struct section {
	const char *name;
	void (*run)(void);
} sections[] = {
	{ "maps", scale_maps }, { "heat", scale_heat }, { "fold", scale_fold },
	{ "trim", scale_trim }, { "pass", scale_pass }, { "same", scale_same },
	{ "terabyte", scale_terabyte }, { "callers", scale_callers },
};

int main(int argc, char **argv)
{
	bool all = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--long") == 0)
			is_long = true;
		else
			all = false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		bool asked = all;

		for (int j = 1; j < argc; j++)
			asked |= strcmp(argv[j], sections[i].name) == 0;
		if (asked)
			sections[i].run();
	}
	return 0;
}
