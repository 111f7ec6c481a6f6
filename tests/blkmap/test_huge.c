// SPDX-License-Identifier: GPL-2.0-or-later
/* test_huge.c - files that do not compress are not tried for every cluster, and lose nothing by it. */
#include <errno.h>
#include <pthread.h>

#include "blkmap/cluster/huge.h"
#include "tests/blkmap/bm_fixture.h"

enum { ORDER = 4, CLUSTER = 65536, PAGES = 16, NR = 64 };

static char data[NR * CLUSTER], back[NR * CLUSTER];

static void start(struct bm *bm, const struct bm_config *config)
{
	uint64_t seed = zt_seed();

	bm_start(bm, config);
	ck_assert_int_eq(blkmap_grow(bm->map, &bm->file, 0, 32 * MIB), 0);
	for (size_t i = 0; i + 8 <= sizeof(data); i += 8) {
		uint64_t value = zt_random(&seed);

		memcpy(data + i, &value, sizeof(value));
	}
}

static void start_plain(struct bm *bm)
{
	start(bm, &(struct bm_config){ .order = ORDER });
}

static void stop(struct bm *bm, size_t len)
{
	ck_assert_int_eq(blkmap_read(bm->map, &bm->file, 0, back, len), 0);
	ck_assert_int_eq(memcmp(back, data, len), 0);
	bm_stop(bm);
}

static void fill_text(char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = "a few words of text, "[(i * i / 7 + i) % 21];
}

static void write_clusters(struct bm *bm, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		ck_assert_int_eq(
			bm_write(bm, (uint64_t)i * CLUSTER, data + (size_t)i * CLUSTER, CLUSTER),
			0);
}

static struct blkmap_stat stat_now(struct bm *bm)
{
	struct blkmap_stat stat;

	blkmap_get_stat(bm->map, &stat);
	return stat;
}

START_TEST(test_noise_is_tried_four_times_and_then_now_and_again)
{
	struct bm bm;
	struct blkmap_stat stat;

	start_plain(&bm);
	write_clusters(&bm, 0, 4);
	stat = stat_now(&bm);
	ck_assert_uint_eq(stat.huge_pages_skipped, 0);
	ck_assert_uint_eq(stat.zcomp.compress_calls, 4);
	write_clusters(&bm, 4, NR);
	stat = stat_now(&bm);
	/* Behind the proof one of 16; a look may take noise for something else, hardly ever. */
	ck_assert_uint_ge(stat.zcomp.compress_calls, 4 + 3);
	ck_assert_uint_le(stat.zcomp.compress_calls, 4 + 3 + 2);
	ck_assert_uint_eq(stat.huge_pages_skipped, (NR - stat.zcomp.compress_calls) * PAGES);
	ck_assert_uint_eq(stat.huge_pages, NR * PAGES);
	ck_assert_uint_eq(stat.huge_pages_since, NR * PAGES);
	stop(&bm, sizeof(data));
}
END_TEST

START_TEST(test_text_behind_noise_is_compressed_from_its_first_cluster_on)
{
	struct bm bm;
	struct blkmap_stat stat;
	uint64_t calls;

	start_plain(&bm);
	fill_text(data + 20 * CLUSTER, 3 * CLUSTER);
	/* A cluster of noise with a little text, anywhere. */
	fill_text(data + 23 * CLUSTER + 30000, 5000);
	write_clusters(&bm, 0, 20);
	calls = stat_now(&bm).zcomp.compress_calls;
	write_clusters(&bm, 20, 23);
	stat = stat_now(&bm);
	ck_assert_uint_eq(stat.zcomp.compress_calls, calls + 3);
	ck_assert_uint_eq(stat.huge_pages, 20 * PAGES);
	/* After that noise must prove itself again. */
	write_clusters(&bm, 24, 28);
	ck_assert_uint_eq(stat_now(&bm).zcomp.compress_calls, calls + 7);
	write_clusters(&bm, 23, 24);
	ck_assert_uint_eq(stat_now(&bm).zcomp.compress_calls, calls + 8);
	ck_assert_uint_eq(stat_now(&bm).huge_pages, 24 * PAGES);
	stop(&bm, 28 * CLUSTER);
}
END_TEST

START_TEST(test_noise_that_repeats_is_found_by_a_probe)
{
	struct bm bm;
	struct blkmap_stat stat;

	start_plain(&bm);
	for (size_t at = 8 * CLUSTER + 4096; at < sizeof(data); at += 4096)
		memcpy(data + at, data + 8 * CLUSTER, 4096);
	write_clusters(&bm, 0, 8 + 16);
	stat = stat_now(&bm);
	ck_assert_uint_lt(stat.huge_pages, (8 + 16) * PAGES);
	write_clusters(&bm, 8 + 16, NR);
	/* From there on all are tried. */
	ck_assert_uint_eq(stat_now(&bm).huge_pages, stat.huge_pages);
	stop(&bm, sizeof(data));
}
END_TEST

START_TEST(test_a_file_that_is_cut_to_nothing_begins_anew)
{
	struct bm bm;
	uint64_t calls;

	start_plain(&bm);
	write_clusters(&bm, 0, 10);
	calls = stat_now(&bm).zcomp.compress_calls;
	/* Not when something is left. */
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, CLUSTER), 0);
	write_clusters(&bm, 1, 2);
	ck_assert_uint_eq(stat_now(&bm).zcomp.compress_calls, calls);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
	write_clusters(&bm, 0, 1);
	ck_assert_uint_eq(stat_now(&bm).zcomp.compress_calls, calls + 1);
	stop(&bm, CLUSTER);
}
END_TEST

START_TEST(test_another_file_has_to_prove_itself)
{
	struct bm bm;
	static uint64_t others[20000];
	struct bm_file record = { 0 };
	struct blkmap_file mine;
	uint64_t calls;

	start_plain(&bm);
	write_clusters(&bm, 0, 10);
	calls = stat_now(&bm).zcomp.compress_calls;
	mine = bm.file;
	/* The same tree, but the counter that tells files apart is elsewhere. */
	record.nr_pages = *bm.file.nr_pages;
	bm.file.nr_pages = &record.nr_pages;
	write_clusters(&bm, 10, 11);
	ck_assert_uint_eq(stat_now(&bm).zcomp.compress_calls, calls + 1);
	*mine.nr_pages = record.nr_pages;
	bm.file = mine;
	/* Of so many others one has the same entry, and takes it. */
	ck_assert(huge_skip(&bm.map->codecs, &mine, data, CLUSTER));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		bm.file.nr_pages = &others[i];
		huge_note(&bm.map->codecs, &bm.file, false);
	}
	ck_assert(!huge_skip(&bm.map->codecs, &mine, data, CLUSTER));
	bm.file = mine;
	stop(&bm, 11 * CLUSTER);
}
END_TEST

START_TEST(test_a_files_own_algorithm_is_spared_too)
{
	struct bm bm;
	struct blkmap_usage usage;
	char text[256];

	start_plain(&bm);
	ck_assert_int_eq(
		blkmap_setting_find(bm.map, BLKMAP_ANY_MAKER, "zstd", ZCOMP_LEVEL_DEFAULT, text, &bm.file.setting),
		0);
	write_clusters(&bm, 0, 14);
	ck_assert_uint_ge(stat_now(&bm).huge_pages_skipped, 8 * PAGES);
	ck_assert_int_eq(blkmap_usage(bm.map, &bm.file, &usage), 0);
	/* For recompression to leave alone, tried or not. */
	ck_assert_uint_eq(usage.pages[SLOT_CODEC_RAW_KEPT], 14 * PAGES);
	bm.file.setting = BLKMAP_SETTING_NONE;
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
	write_clusters(&bm, 0, 14);
	ck_assert_uint_le(stat_now(&bm).huge_pages_skipped, 10 * PAGES);
	bm.file.setting = BLKMAP_SETTING_DEFAULT;
	stop(&bm, 14 * CLUSTER);
}
END_TEST

START_TEST(test_engines_are_spared_too)
{
	struct bm bm;
	struct blkmap_stat stat;
	uint64_t calls = 0;

	start(&bm, &(struct bm_config){ .order = ORDER, .accel = BLKMAP_ACCEL_ON });
	for (unsigned i = 0; i < NR; i += 16) {
		ck_assert_int_eq(bm_write(&bm, (uint64_t)i * CLUSTER, data + (size_t)i * CLUSTER,
					  16 * CLUSTER),
				 0);
		stat = stat_now(&bm);
		if (i == 0)
			calls = stat.zcomp.compress_calls + stat.zcomp.mgmt_calls;
	}
	/* A probe each now and then. */
	ck_assert_uint_ge(stat.huge_pages_skipped, 40 * PAGES);
	ck_assert_uint_le(stat.zcomp.compress_calls + stat.zcomp.mgmt_calls, calls + 8);
	ck_assert_uint_eq(stat.huge_pages, NR * PAGES);
	stop(&bm, sizeof(data));
}
END_TEST

START_TEST(test_what_looks_even_is_noise_and_little_else)
{
	static const uint32_t sizes[] = { 4096, 5000, 16384, 65536, 131072 };
	unsigned even = 0, nr = 0;

	struct bm bm;

	start_plain(&bm);
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		for (uint32_t at = 0; at + sizes[s] <= sizeof(data) / 4; at += sizes[s], nr++)
			even += huge_looks_even(data + at, sizes[s]);
	}
	ck_assert_uint_ge(even * 100, nr * 99);
	ck_assert(!huge_looks_even(data, 4095));
	/* Seven bits of eight; pairs of letters; an eighth of text. */
	for (size_t i = 0; i < CLUSTER; i++) {
		back[i] = data[i] & 0x7f;
		back[CLUSTER + i] = "0123456789abcdef"[data[i] & 0xf];
	}
	memcpy(back + 2 * CLUSTER, data, CLUSTER);
	fill_text(back + 2 * CLUSTER + 10000, CLUSTER / 8);
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
		for (unsigned i = 0; i < 2 && sizes[s] <= CLUSTER; i++)
			ck_assert(!huge_looks_even(back + (size_t)i * CLUSTER, sizes[s]));
	ck_assert(!huge_looks_even(back + 2 * CLUSTER, CLUSTER));
	bm_stop(&bm);
}
END_TEST

static void *writer(void *arg)
{
	struct bm *bm = arg;
	static atomic_uint turn;
	unsigned begin = atomic_fetch_add(&turn, 1) % 4 * 16;

	for (unsigned round = 0; round < 4; round++)
		write_clusters(bm, begin, begin + 16);
	return NULL;
}

START_TEST(test_writers_side_by_side_share_the_proof)
{
	struct bm bm;
	pthread_t threads[4];

	start_plain(&bm);
	fill_text(data + 16 * CLUSTER, 16 * CLUSTER);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, writer, &bm), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_uint_eq(stat_now(&bm).huge_pages, 48 * PAGES);
	stop(&bm, sizeof(data));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("huge");
	TCase *tc = tcase_create("huge");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_noise_is_tried_four_times_and_then_now_and_again);
	tcase_add_test(tc, test_text_behind_noise_is_compressed_from_its_first_cluster_on);
	tcase_add_test(tc, test_noise_that_repeats_is_found_by_a_probe);
	tcase_add_test(tc, test_a_file_that_is_cut_to_nothing_begins_anew);
	tcase_add_test(tc, test_another_file_has_to_prove_itself);
	tcase_add_test(tc, test_a_files_own_algorithm_is_spared_too);
	tcase_add_test(tc, test_engines_are_spared_too);
	tcase_add_test(tc, test_what_looks_even_is_noise_and_little_else);
	tcase_add_test(tc, test_writers_side_by_side_share_the_proof);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
