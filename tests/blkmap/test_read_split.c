// SPDX-License-Identifier: GPL-2.0-or-later
/* test_read_split.c - large reads that several threads unpack. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/blkmap/bm_fixture.h"
#include "util/alloc.h"

#define FILE_SIZE ((size_t)4 * MIB)
#define READ_SIZE ((size_t)MIB)

static struct bm bm;
static char *content, *got;

/* Some clusters compress, some do not, some are holes. */
static void start(unsigned order, unsigned nr_cpus)
{
	const struct bm_config config = { .order = order };
	uint64_t seed = zt_seed();
	size_t done;

	bm_start(&bm, &config);
	bm.map->content.nr_cpus = nr_cpus; /* whatever the machine has */
	content = calloc(1, FILE_SIZE);
	got = malloc(FILE_SIZE);
	ck_assert(content && got);
	for (size_t at = 0; at < FILE_SIZE; at += 96 * KIB) {
		const size_t len = min_u64(64 * KIB, FILE_SIZE - at);

		bm_fill(&seed, content + at, len);
		ck_assert_int_eq(blkmap_grow(bm.map, &bm.file, at, len), 0);
		ck_assert_int_eq(
			blkmap_write(bm.map, &bm.file,
				     &(struct blkmap_bytes){ at, content + at, len, ZSTRM_DEFAULT },
				     &done),
			0);
	}
}

static void stop(void)
{
	free(content);
	free(got);
	bm_stop(&bm);
}

static uint64_t nr_split(void)
{
	struct blkmap_stat stat;

	blkmap_get_stat(bm.map, &stat);
	return stat.reads_split;
}

static void expect_read(size_t off, size_t len)
{
	memset(got, 0xee, len);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, off, got, len), 0);
	ck_assert_msg(memcmp(got, content + off, len) == 0, "%zu bytes at %zu", len, off);
}

static void read_everywhere(unsigned order)
{
	uint64_t seed = zt_seed();

	start(order, 4);
	expect_read(0, READ_SIZE);
	expect_read(0, FILE_SIZE);
	for (unsigned i = 0; i < 200; i++) {
		const size_t len = 512 * KIB + zt_random(&seed) % (2 * MIB);

		expect_read(zt_random(&seed) % (FILE_SIZE - len), len);
	}
	ck_assert_uint_eq(nr_split(), 202);
	stop();
}

START_TEST(test_large_reads_are_split_and_whole)
{
	read_everywhere(4);
}
END_TEST

START_TEST(test_with_the_smallest_clusters)
{
	read_everywhere(0);
}
END_TEST

START_TEST(test_with_the_largest_clusters)
{
	read_everywhere(BLKMAP_MAX_ORDER);
}
END_TEST

START_TEST(test_small_reads_are_not_split)
{
	start(4, 4);
	expect_read(0, 512 * KIB - 1);
	ck_assert_uint_eq(nr_split(), 0);
	ck_assert(!bm.map->content.readers.started);
	expect_read(0, 512 * KIB);
	ck_assert_uint_eq(nr_split(), 1);
	stop();
}
END_TEST

START_TEST(test_no_helper_is_called_when_no_cpu_is_free)
{
	start(4, 2);
	/* As if another read and a write were under way. */
	atomic_fetch_add(&bm.map->content.active_writes, 1);
	expect_read(0, READ_SIZE);
	ck_assert_uint_eq(nr_split(), 0);
	atomic_fetch_sub(&bm.map->content.active_writes, 1);
	expect_read(0, READ_SIZE);
	ck_assert_uint_eq(nr_split(), 1);
	stop();
	start(4, 1);
	expect_read(0, READ_SIZE);
	ck_assert_uint_eq(nr_split(), 0);
	stop();
}
END_TEST

START_TEST(test_threads_that_cannot_be_made_are_done_without)
{
	start(4, 4);
	zt_fault_set(2);
	expect_read(0, READ_SIZE);
	zt_fault_set(0);
	ck_assert_uint_eq(bm.map->content.readers.nr_threads, 1);
	ck_assert_uint_eq(nr_split(), 1);
	stop();
}
END_TEST

static pthread_barrier_t held, read_enough;

/* In a thread of its own: nobody waits for a stream while holding others. */
static void *hold_streams(void *arg)
{
	struct zcomp_strm *streams[11];

	(void)arg;
	for (unsigned i = 0; i < ARRAY_SIZE(streams); i++) {
		streams[i] = zcomp_stream_try(bm.map->codecs.comp);
		ck_assert_ptr_nonnull(streams[i]);
	}
	pthread_barrier_wait(&held);
	pthread_barrier_wait(&read_enough);
	for (unsigned i = 0; i < ARRAY_SIZE(streams); i++)
		zcomp_stream_put(bm.map->codecs.comp, streams[i]);
	return NULL;
}

/* The helpers find none, and the reader does all by itself with the one that is left. */
START_TEST(test_helpers_without_a_stream_go_away)
{
	pthread_t thread;

	start(4, 4);
	pthread_barrier_init(&held, NULL, 2);
	pthread_barrier_init(&read_enough, NULL, 2);
	ck_assert_int_eq(pthread_create(&thread, NULL, hold_streams, NULL), 0);
	pthread_barrier_wait(&held);
	for (unsigned i = 0; i < 100; i++)
		expect_read(0, READ_SIZE);
	pthread_barrier_wait(&read_enough);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	pthread_barrier_destroy(&held);
	pthread_barrier_destroy(&read_enough);
	stop();
}
END_TEST

START_TEST(test_reads_go_on_after_the_helpers_have_gone)
{
	start(4, 4);
	expect_read(0, READ_SIZE);
	blkmap_stop(bm.map);
	expect_read(0, READ_SIZE);
	ck_assert_uint_eq(nr_split(), 1);
	/* A read that is over is no longer in anybody's queue. */
	ck_assert_ptr_null(bm.map->content.readers.queue);
	stop();
}
END_TEST

/* The first cluster of the file that LZ4 has made smaller. */
static uint64_t compressed_word(void)
{
	for (uint64_t nr = 0; nr < FILE_SIZE / (64 * KIB); nr++) {
		const uint64_t *slot = tree_slot(bm.arena, &bm.file.tree, nr);

		if (slot && slot_kind(*slot) == SLOT_OBJ && slot_codec(*slot) == SLOT_CODEC_MAIN)
			return *slot;
	}
	ck_abort_msg("nothing is compressed");
	return 0;
}

/* A cluster that cannot be unpacked fails the read, whoever comes upon it. */
START_TEST(test_an_error_of_any_piece_is_the_reads)
{
	char *data, before[32];

	start(4, 4);
	data = zs_data(bm.arena, slot_ref(compressed_word()));
	memcpy(before, data, sizeof(before));
	/* Literals without an end. */
	memset(data, 0xff, sizeof(before));
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, got, FILE_SIZE), -EIO);
	memcpy(data, before, sizeof(before));
	expect_read(0, FILE_SIZE);
	ck_assert_uint_eq(nr_split(), 2);
	stop();
}
END_TEST

static atomic_bool ended;

static void *reader(void *arg)
{
	char *mine = malloc(READ_SIZE);
	uint64_t seed = *(uint64_t *)arg;

	while (!atomic_load(&ended)) {
		const size_t off = zt_random(&seed) % (FILE_SIZE - READ_SIZE);

		if (blkmap_read(bm.map, &bm.file, off, mine, READ_SIZE) ||
		    memcmp(mine, content + off, READ_SIZE) != 0)
			abort();
	}
	free(mine);
	return NULL;
}

/* Several readers, while clusters are written anew with the same bytes, and objects move. */
START_TEST(test_many_readers_beside_a_writer)
{
	uint64_t seeds[3] = { zt_seed(), zt_seed() + 1, zt_seed() + 2 }, seed = zt_seed() + 3;
	pthread_t threads[3];

	start(4, 8);
	atomic_store(&ended, false);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, reader, &seeds[i]), 0);
	for (unsigned i = 0; i < 300; i++) {
		const size_t at = zt_random(&seed) % (FILE_SIZE / (96 * KIB)) * 96 * KIB;
		size_t done;

		ck_assert_int_eq(blkmap_write(bm.map, &bm.file,
					      &(struct blkmap_bytes){ at, content + at, 64 * KIB,
								      ZSTRM_DEFAULT },
					      &done),
				 0);
		if (i % 50 == 0)
			(void)zs_compact(bm.map->slots.data, 0);
	}
	atomic_store(&ended, true);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_uint_gt(nr_split(), 0);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("read_split");
	TCase *tc = tcase_create("read_split");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_large_reads_are_split_and_whole);
	tcase_add_test(tc, test_with_the_smallest_clusters);
	tcase_add_test(tc, test_with_the_largest_clusters);
	tcase_add_test(tc, test_small_reads_are_not_split);
	tcase_add_test(tc, test_no_helper_is_called_when_no_cpu_is_free);
	tcase_add_test(tc, test_threads_that_cannot_be_made_are_done_without);
	tcase_add_test(tc, test_helpers_without_a_stream_go_away);
	tcase_add_test(tc, test_reads_go_on_after_the_helpers_have_gone);
	tcase_add_test(tc, test_an_error_of_any_piece_is_the_reads);
	tcase_add_test(tc, test_many_readers_beside_a_writer);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
