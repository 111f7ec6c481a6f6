// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_threads.c - writers, readers, folding and compaction inside the same clusters.
 *
 * Tests cluster_write.c, overlay.c and merge.c of content, and relocate.c of slot, side by side.
 */
#include <stdatomic.h>
#include <string.h>

#include "tests/blkmap/bm_fixture.h"

#define WRITERS   8u
#define CLUSTERS  6u
#define CLUSTER   65536u
#define FILE_SIZE (CLUSTERS * CLUSTER)
#ifdef ZT_SANITIZERS
#define ROUNDS 300
#else
#define ROUNDS 3000
#endif

static struct bm bm;
static atomic_bool stop;
static uint64_t base_seed;

struct writer {
	pthread_t thread;
	unsigned nr;
	char model[FILE_SIZE]; /* valid where the writer owns the page */
};

/* Page p belongs to writer p % WRITERS: every cluster is shared by all. */
static bool owns(unsigned nr, uint64_t page)
{
	return page % WRITERS == nr;
}

static void *writer_run(void *arg)
{
	struct writer *writer = arg;
	uint64_t seed = base_seed + writer->nr;
	char buf[ZT_PAGE_SIZE];

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t page = zt_random(&seed) % (FILE_SIZE / ZT_PAGE_SIZE / WRITERS) * WRITERS +
				writer->nr;
		uint64_t from = page * ZT_PAGE_SIZE, len = ZT_PAGE_SIZE;
		size_t done;

		if (zt_random(&seed) % 3 == 0) {
			from += zt_random(&seed) % ZT_PAGE_SIZE;
			len = 1 + zt_random(&seed) % ((page + 1) * ZT_PAGE_SIZE - from);
		}
		bm_fill(&seed, buf, len);
		memcpy(writer->model + from, buf, len);
		if (blkmap_write(bm.map, &bm.file,
				 &(struct blkmap_bytes){ from, buf, len, ZSTRM_PREFER_MGMT },
				 &done))
			abort();
		if (blkmap_read(bm.map, &bm.file, page * ZT_PAGE_SIZE, buf, ZT_PAGE_SIZE))
			abort();
		if (memcmp(buf, writer->model + page * ZT_PAGE_SIZE, ZT_PAGE_SIZE))
			abort();
	}
	return NULL;
}

static void *reader_run(void *arg)
{
	char *buf = malloc(FILE_SIZE);

	(void)arg;
	while (!atomic_load(&stop))
		if (blkmap_read(bm.map, &bm.file, 0, buf, FILE_SIZE))
			abort();
	free(buf);
	return NULL;
}

static void *maintain_run(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		fold_idle(&bm.map->upkeep.folder, 0);
		blkmap_recompress(bm.map, 0);
		zs_compact(bm.map->slots.data, 0);
		zs_trim(bm.map->slots.data, 0);
	}
	return NULL;
}

static const struct bm_config configs[] = {
	{ .order = 4, .recompress = "zstd" },
	{ .order = 5, .accel = BLKMAP_ACCEL_ON },
	{ .order = 0, .recompress = "zstd" },
};

START_TEST(test_eight_writers_share_clusters_and_lose_nothing)
{
	static struct writer writers[WRITERS];
	static char content[FILE_SIZE];
	pthread_t reader, maintainer;
	size_t done;

	base_seed = zt_seed();
	bm_start(&bm, &configs[_i]);
	memset(content, 0, sizeof(content));
	ck_assert_int_eq(blkmap_grow(bm.map, &bm.file, 0, FILE_SIZE), 0);
	for (uint64_t i = 0; i < FILE_SIZE; i++)
		content[i] = (char)(i % 251);
	ck_assert_int_eq(
		blkmap_write(bm.map, &bm.file,
			     &(struct blkmap_bytes){ 0, content, FILE_SIZE, ZSTRM_DEFAULT }, &done),
		0);
	atomic_store(&stop, false);
	ck_assert_int_eq(pthread_create(&reader, NULL, reader_run, NULL), 0);
	ck_assert_int_eq(pthread_create(&maintainer, NULL, maintain_run, NULL), 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i].nr = i;
		memcpy(writers[i].model, content, FILE_SIZE);
		ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]),
				 0);
	}
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	atomic_store(&stop, true);
	pthread_join(reader, NULL);
	pthread_join(maintainer, NULL);

	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, content, FILE_SIZE), 0);
	for (uint64_t page = 0; page < FILE_SIZE / ZT_PAGE_SIZE; page++)
		for (unsigned i = 0; i < WRITERS; i++)
			if (owns(i, page))
				ck_assert_int_eq(memcmp(content + page * ZT_PAGE_SIZE,
							writers[i].model + page * ZT_PAGE_SIZE,
							ZT_PAGE_SIZE),
						 0);
	bm_stop(&bm);
}
END_TEST

/*
 * Whole clusters by several threads into one file, through the accelerator, growing nodes side
 * by side.
 */
static void *stream_run(void *arg)
{
	uint64_t nr = (uintptr_t)arg, seed = base_seed + nr;
	enum { REQUEST = 512 * 1024 };
	char *buf = malloc(REQUEST), *back = malloc(REQUEST);
	size_t done;

	for (uint64_t i = 0; i < 16; i++) {
		uint64_t off = (i * 4 + nr) * REQUEST;

		bm_fill(&seed, buf, REQUEST);
		if (blkmap_write(bm.map, &bm.file,
				 &(struct blkmap_bytes){ off, buf, REQUEST, ZSTRM_PREFER_MGMT },
				 &done) ||
		    blkmap_read(bm.map, &bm.file, off, back, REQUEST) || memcmp(buf, back, REQUEST))
			abort();
	}
	free(buf);
	free(back);
	return NULL;
}

START_TEST(test_streams_of_whole_clusters_side_by_side)
{
	pthread_t threads[4];

	base_seed = zt_seed();
	bm_start(&bm, &(struct bm_config){ .order = 4, .accel = BLKMAP_ACCEL_ON });
	ck_assert_int_eq(blkmap_grow(bm.map, &bm.file, 0, 64 * MIB), 0);
	for (uintptr_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, stream_run, (void *)i), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	bm_stop(&bm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("blkmap threads");
	TCase *tc = tcase_create("threads");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_eight_writers_share_clusters_and_lose_nothing, 0,
			    ARRAY_SIZE(configs));
	tcase_add_test(tc, test_streams_of_whole_clusters_side_by_side);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
