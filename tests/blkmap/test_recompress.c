// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_recompress.c - what lies idle becomes smaller, stays readable, and is not tried twice.
 *
 * Tests recompress.c, recompress_thread.c, scan.c, pass.c, worker.c, publish.c, dict.c and restore.c of upkeep, and
 * reread.c of content.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "blkmap/slot/age.h"
#include "blkmap/slot/heat.h"
#include "blkmap/upkeep/recompress.h"
#include "blkmap/upkeep/restore.h"
#include "tests/blkmap/bm_fixture.h"
#include "util/alloc.h"
#include "util/clock.h"

#define CLUSTER ((size_t)65536)
#define SIZE    (16 * CLUSTER)

static struct bm bm;
static char content[SIZE], buf[SIZE];

static struct blkmap_stat get_stat(void)
{
	struct blkmap_stat stat;

	blkmap_get_stat(bm.map, &stat);
	return stat;
}

/* Words in random order: lz4 finds little, zstd's entropy coding much. */
static void fill_text(uint64_t seed, char *dst, size_t len)
{
	for (size_t i = 0; i < len; i++)
		dst[i] = "etaoin shrdlucmf"[zt_random(&seed) % 16];
}

static void fill_noise(uint64_t seed, char *dst, size_t len)
{
	for (size_t i = 0; i < len; i++)
		dst[i] = (char)zt_random(&seed);
}

static void start(unsigned order)
{
	bm_start(&bm, &(struct bm_config){ .order = order, .recompress = "zstd" });
}

static void check_content(size_t len)
{
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, buf, len), 0);
	ck_assert_int_eq(memcmp(buf, content, len), 0);
	bm_check(&bm);
}

START_TEST(test_idle_clusters_take_less_and_read_the_same)
{
	struct blkmap_stat before, after;

	start(4);
	fill_text(1, content, SIZE);
	ck_assert_int_eq(bm_write(&bm, 0, content, SIZE - 100), 0);
	before = get_stat();
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 16);
	after = get_stat();
	ck_assert_uint_eq(after.recompressed, 16);
	ck_assert_uint_lt(after.data.object_bytes, before.data.object_bytes * 9 / 10);
	ck_assert_uint_ge(after.recompress_saved,
			  before.data.object_bytes - after.data.object_bytes - 16 * 1024);
	ck_assert_uint_eq(after.huge_pages, 0);
	memset(content + SIZE - 100, 0, 100);
	check_content(SIZE);
	/* In parts, too. */
	for (size_t at = 1; at + 5000 < SIZE; at += 30011) {
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, at, buf, 5000), 0);
		ck_assert_int_eq(memcmp(buf, content + at, 5000), 0);
	}
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 0);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_what_does_not_shrink_is_kept_and_not_tried_until_rewritten)
{
	struct blkmap_stat stat;
	uint64_t word;

	start(4);
	fill_noise(2, content, 2 * CLUSTER);
	ck_assert_int_eq(bm_write(&bm, 0, content, 2 * CLUSTER), 0);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 0);
	stat = get_stat();
	ck_assert_uint_eq(stat.recompress_kept, 2);
	ck_assert_uint_eq(stat.huge_pages, 32);
	ck_assert_uint_eq(stat.huge_pages_since, 32);
	word = word_get(tree_slot(bm.arena, &bm.file.tree, 0));
	ck_assert_uint_eq(slot_codec(word), SLOT_CODEC_RAW_KEPT);
	check_content(2 * CLUSTER);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 0);
	ck_assert_uint_eq(get_stat().recompress_kept, 2);
	/* Written again, it is tried again. */
	fill_text(3, content, CLUSTER);
	ck_assert_int_eq(bm_write(&bm, 0, content, CLUSTER), 0);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 1);
	check_content(2 * CLUSTER);
	bm_stop(&bm);
}
END_TEST

/* The same algorithm and level cannot do better. */
START_TEST(test_a_result_of_the_same_size_is_not_kept_and_not_tried_again)
{
	struct blkmap_stat before, after;
	uint64_t word;

	bm_start(&bm, &(struct bm_config){ .order = 4, .compress = "zstd", .recompress = "zstd" });
	fill_text(14, content, 4 * CLUSTER);
	ck_assert_int_eq(bm_write(&bm, 0, content, 4 * CLUSTER), 0);
	before = get_stat();
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 0);
	after = get_stat();
	ck_assert_uint_eq(after.recompressed, 0);
	ck_assert_uint_eq(after.recompress_saved, 0);
	ck_assert_uint_eq(after.recompress_kept, 4);
	ck_assert_uint_eq(after.data.object_bytes, before.data.object_bytes);
	word = word_get(tree_slot(bm.arena, &bm.file.tree, 0));
	ck_assert_uint_eq(slot_codec(word), SLOT_CODEC_MAIN_KEPT);
	check_content(4 * CLUSTER);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 0);
	ck_assert_uint_eq(get_stat().recompress_kept, 4);
	bm_stop(&bm);
}
END_TEST

/* What readers have noted is stored as it was written. */
static void restore_all(void)
{
	struct recompressor *rc = bm.map->upkeep.recomp;
	struct recomp_restore restore = { 0 };

	mutex_lock(&rc->pass_lock);
	ck_assert_int_eq(restore_begin(rc), 0);
	while (restore_step(rc, &restore))
		;
	restore_end(rc);
	mutex_unlock(&rc->pass_lock);
}

/* Clusters whose objects recompression has made. */
static unsigned nr_recompressed(size_t len)
{
	unsigned nr = 0;

	for (size_t i = 0; i < len / CLUSTER; i++) {
		uint64_t word = word_get(tree_slot(bm.arena, &bm.file.tree, i));

		nr += slot_kind(word) == SLOT_OBJ && slot_is_recompressed(word);
	}
	return nr;
}

static void write_recompressed(size_t len)
{
	fill_text(21, content, len);
	ck_assert_int_eq(bm_write(&bm, 0, content, len), 0);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), len / CLUSTER);
	ck_assert_uint_eq(nr_recompressed(len), len / CLUSTER);
}

START_TEST(test_what_is_read_twice_is_stored_as_it_was_written)
{
	struct blkmap_stat before, after;

	start(4);
	fill_text(21, content, SIZE);
	ck_assert_int_eq(bm_write(&bm, 0, content, SIZE), 0);
	before = get_stat();
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 16);
	check_content(SIZE);
	restore_all();
	ck_assert_uint_eq(nr_recompressed(SIZE), 16);
	/* All of it once more, but for the last cluster. */
	check_content(SIZE - CLUSTER);
	restore_all();
	after = get_stat();
	ck_assert_uint_eq(nr_recompressed(SIZE), 1);
	ck_assert_uint_eq(after.recompress_undone, 15);
	ck_assert_uint_gt(after.data.object_bytes, before.data.object_bytes * 9 / 10);
	check_content(SIZE);
	/* It is as any other that was written: it becomes smaller again when it lies idle. */
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 15);
	check_content(SIZE);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_what_is_read_long_after_is_not_read_twice)
{
	start(4);
	write_recompressed(SIZE);
	check_content(SIZE);
	for (unsigned i = 0; i < 6; i++)
		heat_cool(&bm.map->slots);
	check_content(SIZE);
	restore_all();
	ck_assert_uint_eq(nr_recompressed(SIZE), 16);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_small_reads_ask_for_nothing)
{
	start(4);
	write_recompressed(2 * CLUSTER);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, CLUSTER + 100, buf, 4096), 0);
	restore_all();
	ck_assert_uint_eq(get_stat().recompress_undone, 0);
	check_content(2 * CLUSTER);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_what_was_noted_and_is_gone_is_left_alone)
{
	struct rereads *rereads;

	start(4);
	rereads = &bm.map->content.rereads;
	write_recompressed(4 * CLUSTER);
	check_content(4 * CLUSTER);
	check_content(4 * CLUSTER);
	/* Overwritten, dropped, lying idle again; the last one stays. */
	fill_text(22, content, CLUSTER);
	ck_assert_int_eq(bm_write(&bm, 0, content, CLUSTER), 0);
	ck_assert_int_eq(blkmap_punch(bm.map, &bm.file, CLUSTER, CLUSTER), 0);
	memset(content + CLUSTER, 0, CLUSTER);
	/* And names of what never was. */
	for (unsigned i = 0; i < REREADS_MAX; i++)
		rereads_note(rereads, &bm.map->slots, 8, 12345 + 7 * i);
	ck_assert_uint_le(rereads->nr, REREADS_MAX);
	restore_all();
	ck_assert(!rereads_are_there(rereads));
	ck_assert_uint_eq(get_stat().recompress_undone, 2);
	check_content(4 * CLUSTER);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_without_memory_it_stays_recompressed)
{
	struct recompressor *rc;
	struct recomp_restore restore = { 0 };
	struct arena_stat stat;

	start(4);
	rc = bm.map->upkeep.recomp;
	write_recompressed(SIZE);
	check_content(SIZE);
	check_content(SIZE);
	/* None for a compressor. */
	arena_get_stat(bm.arena, &stat);
	arena_set_limit(bm.arena, stat.used);
	mutex_lock(&rc->pass_lock);
	ck_assert_int_eq(restore_begin(rc), -ENOSPC);
	/* One for it, but none for what it makes. */
	arena_set_limit(bm.arena, 0);
	ck_assert_int_eq(restore_begin(rc), 0);
	(void)zs_trim(blkmap_data_pool(bm.map), 0);
	zt_fault_set_from(1);
	while (restore_step(rc, &restore))
		;
	zt_fault_set(0);
	restore_end(rc);
	mutex_unlock(&rc->pass_lock);
	ck_assert_uint_eq(nr_recompressed(SIZE), 16);
	ck_assert_uint_eq(get_stat().recompress_undone, 0);
	/* Read once more, it finds memory. */
	check_content(SIZE);
	restore_all();
	ck_assert_uint_eq(nr_recompressed(SIZE), 0);
	check_content(SIZE);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_nothing_is_noted_where_both_algorithms_are_the_same)
{
	bm_start(&bm, &(struct bm_config){ .order = 4, .compress = "zstd", .recompress = "zstd" });
	ck_assert_ptr_null(bm.map->content.rereads.refs);
	bm_stop(&bm);
}
END_TEST

struct overwriter {
	pthread_t thread;
	atomic_bool stop;
	unsigned rounds;
};

/* Each round another text, whole clusters and parts of them. */
static void *overwrite(void *arg)
{
	struct overwriter *writer = arg;

	while (!atomic_load(&writer->stop)) {
		size_t part = writer->rounds % 3 ? CLUSTER : 30000;

		fill_text(100 + writer->rounds++, content, 4 * CLUSTER);
		for (size_t at = 0; at < 4 * CLUSTER; at += part) {
			size_t len = part < 4 * CLUSTER - at ? part : 4 * CLUSTER - at;

			if (bm_write(&bm, at, content + at, len))
				return writer;
		}
	}
	return NULL;
}

START_TEST(test_what_is_overwritten_meanwhile_is_left_alone)
{
	struct overwriter writer = { 0 };
	struct timespec begin, now;
	void *complaint;

	bm_start(&bm,
		 &(struct bm_config){ .order = 4, .recompress = "zstd", .recompress_level = 15 });
	fill_text(100, content, 4 * CLUSTER);
	ck_assert_int_eq(bm_write(&bm, 0, content, 4 * CLUSTER), 0);
	ck_assert_int_eq(pthread_create(&writer.thread, NULL, overwrite, &writer), 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		blkmap_recompress(bm.map, 0);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < 2);
	atomic_store(&writer.stop, true);
	ck_assert_int_eq(pthread_join(writer.thread, &complaint), 0);
	ck_assert_ptr_null(complaint);
	ck_assert_uint_gt(writer.rounds, 2);
	check_content(4 * CLUSTER);
	blkmap_recompress(bm.map, 0);
	check_content(4 * CLUSTER);
	bm_stop(&bm);
}
END_TEST

/* A writer that read the old object before must not find the lock's count as it was. */
START_TEST(test_each_new_object_moves_its_locks_count)
{
	struct slot_lock *lock;
	uint64_t seq;

	start(4);
	fill_text(15, content, CLUSTER);
	ck_assert_int_eq(bm_write(&bm, 0, content, CLUSTER), 0);
	lock = slot_lock(&bm.map->slots, tree_slot(bm.arena, &bm.file.tree, 0));
	seq = lock->seq;
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 1);
	ck_assert_uint_eq(lock->seq, seq + 1);
	check_content(CLUSTER);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_sparse_cut_and_overlaid_clusters_keep_their_pages)
{
	uint64_t pages;

	start(4);
	fill_text(4, content, 4 * CLUSTER);
	ck_assert_int_eq(bm_write(&bm, 0, content, 4 * CLUSTER), 0);
	/* Holes in cluster 1, an overlay in cluster 2, the end cut off cluster 3. */
	ck_assert_int_eq(blkmap_punch(bm.map, &bm.file, CLUSTER + 8192, 12288), 0);
	memset(content + CLUSTER + 8192, 0, 12288);
	memset(content + 2 * CLUSTER + 4096, 'x', 4095);
	ck_assert_int_eq(bm_write(&bm, 2 * CLUSTER + 4096, content + 2 * CLUSTER + 4096, 4096), 0);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 3 * CLUSTER + 20000), 0);
	memset(content + 3 * CLUSTER + 20000, 0, CLUSTER - 20000);
	pages = *bm.file.nr_pages;
	/* The base of a cluster map is left for folding. */
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 3);
	ck_assert_uint_eq(*bm.file.nr_pages, pages);
	check_content(4 * CLUSTER);
	ck_assert_uint_eq(fold_idle(&bm.map->upkeep.folder, 0), 1);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 1);
	ck_assert_uint_eq(*bm.file.nr_pages, pages);
	check_content(4 * CLUSTER);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_what_is_used_stays_young_and_the_rest_ages)
{
	start(4);
	fill_text(5, content, 4 * CLUSTER);
	ck_assert_int_eq(bm_write(&bm, 0, content, 4 * CLUSTER), 0);
	atomic_store(&bm.map->slots.age_now, 10);
	/* Reading makes cluster 1 young, writing cluster 2. */
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, CLUSTER + 5, buf, 10), 0);
	ck_assert_int_eq(bm_write(&bm, 2 * CLUSTER, content + 2 * CLUSTER, CLUSTER), 0);
	atomic_store(&bm.map->slots.age_now, 14);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 15), 0);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 5), 2);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 4), 2);
	check_content(4 * CLUSTER);
	bm_stop(&bm);
}
END_TEST

/* Ages have 8 bits: what was looked at in time does not become young again. */
START_TEST(test_what_is_old_stays_old_when_ages_wrap)
{
	start(4);
	fill_noise(6, content, CLUSTER);
	ck_assert_int_eq(bm_write(&bm, 0, content, CLUSTER), 0);
	for (unsigned now = 0; now < 600; now += 40) {
		atomic_store(&bm.map->slots.age_now, now);
		ck_assert_uint_eq(blkmap_recompress(bm.map, 1000), 0);
	}
	ck_assert_uint_ge(age_of(&bm.map->slots, slot_ref(word_get(bm.file.tree.word))), 200);
	ck_assert_uint_eq(get_stat().recompress_kept, 0);
	blkmap_recompress(bm.map, 200);
	ck_assert_uint_eq(get_stat().recompress_kept, 1);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_compaction_takes_ages_along)
{
	enum { N = 400 };
	unsigned kept = 0;

	start(0);
	/* Objects of one class; every second one goes, so that the others move together. */
	for (size_t i = 0; i < N; i++) {
		fill_noise(i, content, 700);
		ck_assert_int_eq(bm_write(&bm, i * 4096, content, 700), 0);
	}
	atomic_store(&bm.map->slots.age_now, 100);
	for (size_t i = 0; i < N; i++)
		if (i % 2)
			ck_assert_int_eq(blkmap_punch(bm.map, &bm.file, i * 4096, 4096), 0);
		else if (i < N / 2)
			ck_assert_int_eq(blkmap_read(bm.map, &bm.file, i * 4096, buf, 1), 0);
	ck_assert_uint_gt(zs_compact(bm.map->slots.data, 0), 0);
	for (size_t i = 0; i < N / 2; i += 2) {
		uint64_t *slot = tree_slot(bm.arena, &bm.file.tree, i);

		kept += age_of(&bm.map->slots, slot_ref(word_get(slot))) == 0;
	}
	ck_assert_uint_eq(kept, N / 4);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_no_memory_for_the_new_object_leaves_the_old_one)
{
	start(4);
	fill_text(7, content, SIZE);
	ck_assert_int_eq(bm_write(&bm, 0, content, SIZE), 0);
	for (long n = 1; n < 40; n++) {
		zt_fault_set_from(n);
		blkmap_recompress(bm.map, 0);
		zt_fault_set(0);
		check_content(SIZE);
	}
	blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().recompressed, 16);
	check_content(SIZE);
	bm_stop(&bm);
}
END_TEST

/* ---- dictionaries ---- */

/* Files of a cluster of one page: @nr small texts of a kind. */
static void write_small(size_t first, size_t nr, const char *kind)
{
	for (size_t i = first; i < first + nr; i++) {
		int len =
			snprintf(content, 4096,
				 "%s %zu: some rather common words, as every file has them here; "
				 "key%zu=%zu\n%s is what they are about, and number %zu of many\n",
				 kind, i, i * 7, i * i, kind, i);

		while (len < 900)
			len += snprintf(content + len, 100, "item %s of kind %s\n",
					i % 3 ? "one" : "two", kind);
		ck_assert_int_eq(bm_write(&bm, i * 4096, content, (size_t)len), 0);
	}
}

static void check_small(size_t first, size_t nr, const char *kind)
{
	char want[64];

	for (size_t i = first; i < first + nr; i++) {
		int len = snprintf(want, sizeof(want), "%s %zu: some rather", kind, i);

		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, i * 4096, buf, 100), 0);
		ck_assert_int_eq(memcmp(buf, want, (size_t)len), 0);
	}
}

START_TEST(test_small_files_get_a_dictionary_of_their_own)
{
	struct blkmap_stat before, after;

	start(0);
	write_small(0, 1000, "pear");
	blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().dicts, 0); /* too few */
	write_small(1000, 500, "pear");
	before = get_stat();
	ck_assert_uint_ge(blkmap_recompress(bm.map, 0), 1400);
	after = get_stat();
	ck_assert_uint_eq(after.dicts, 1);
	ck_assert_uint_ge(after.dict_bytes, 4096);
	ck_assert_uint_le(after.dict_bytes, 65536);
	ck_assert_uint_ge(after.dict_objects, 1400);
	ck_assert_uint_lt(after.data.object_bytes, before.data.object_bytes / 2);
	check_small(0, 1500, "pear");
	bm_check(&bm);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 0);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_a_dictionary_lives_as_long_as_its_objects_and_is_renewed)
{
	unsigned first;

	start(0);
	write_small(0, 1500, "pear");
	blkmap_recompress(bm.map, 0);
	first = bm.map->upkeep.recomp->dicts[RECOMP_SMALL].codec;
	ck_assert_uint_eq(first, SLOT_CODEC_DICT);
	/* More than four times as much comes: a new one is made, and the old objects move to it. */
	for (unsigned i = 1; i <= 4; i++) {
		write_small(1500 * i, 1500, "a strawberry");
		blkmap_recompress(bm.map, 0);
	}
	blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(bm.map->upkeep.recomp->dicts[RECOMP_SMALL].codec, first + 1);
	check_small(0, 1500, "pear");
	check_small(1500, 6000, "a strawberry");
	bm_check(&bm);
	/* Overwritten by what needs none, both go with the next pass. */
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
	ck_assert_uint_eq(get_stat().dict_objects, 0);
	blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().dicts, 0);
	ck_assert_ptr_null(bm.map->codecs.decoders[first]);
	bm_stop(&bm);
}
END_TEST

/* Words of a kind in every order: what a dictionary of another kind does not help. */
static void write_kind(unsigned kind, size_t first, size_t nr)
{
	uint64_t seed = 1000 + kind;
	char words[60][12];

	for (size_t i = 0; i < 60; i++) {
		for (size_t k = 0; k < 10; k++)
			words[i][k] = (char)('a' + zt_random(&seed) % 26);
		memcpy(words[i] + 10, " ", 2);
	}
	seed = kind * UINT64_C(100000) + first;
	for (size_t i = first; i < first + nr; i++) {
		for (size_t at = 0; at < 900; at += 11)
			memcpy(content + at, words[zt_random(&seed) % 60], 11);
		ck_assert_int_eq(bm_write(&bm, i * 4096, content, 900), 0);
	}
}

/* The mount holds as much at the end as at the beginning, but of another kind. */
START_TEST(test_a_dictionary_is_renewed_where_the_amount_stays_the_same)
{
	uint64_t size;
	unsigned first;

	start(0);
	write_kind(0, 0, 1500);
	blkmap_recompress(bm.map, 0);
	first = bm.map->upkeep.recomp->dicts[RECOMP_SMALL].codec;
	ck_assert_uint_ne(first, 0);
	size = get_stat().data.object_bytes;
	/* Some of the old kind stay, enough for a dictionary to stay with them. */
	write_kind(1, 200, 1300);
	blkmap_recompress(bm.map, 0);
	ck_assert_uint_gt(get_stat().data.object_bytes, size + size / 3);
	for (unsigned round = 0; round < 4; round++) {
		write_kind(1, 200, 1300);
		blkmap_recompress(bm.map, 0);
	}
	ck_assert_uint_ne(bm.map->upkeep.recomp->dicts[RECOMP_SMALL].codec, first);
	ck_assert_uint_lt(get_stat().data.object_bytes, size + size / 10);
	/* What is tried again with it is nothing new: it stays the one. */
	first = bm.map->upkeep.recomp->dicts[RECOMP_SMALL].codec;
	for (unsigned pass = 0; pass < 20; pass++)
		blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(bm.map->upkeep.recomp->dicts[RECOMP_SMALL].codec, first);
	bm_check(&bm);
	bm_stop(&bm);
}
END_TEST

#define KINDS 10u

/* Each kind leaves some objects that its dictionary suits better than any later one. */
START_TEST(test_numbers_of_dictionaries_are_not_held_by_a_few_objects)
{
	struct blkmap_stat stat;

	start(0);
	for (size_t kind = 0; kind < KINDS; kind++) {
		/* Enough for a dictionary to be made anew on the way, whatever it was made from. */
		for (size_t part = 0; part < 5; part++) {
			write_kind((unsigned)kind, kind * 8000 + part * 1500, 1500);
			blkmap_recompress(bm.map, 0);
			blkmap_recompress(bm.map, 0);
		}
		for (unsigned pass = 0; pass < 5; pass++)
			blkmap_recompress(bm.map, 0);
		stat = get_stat();
		/* With one of its own; 400 bytes each without. */
		ck_assert_uint_lt(stat.data.object_bytes, 7500 * 200 + kind * 20 * 500);
		ck_assert_int_eq(blkmap_punch(bm.map, &bm.file, (kind * 8000 + 20) * 4096,
					      UINT64_C(7480) * 4096),
				 0);
		for (unsigned pass = 0; pass < 3; pass++)
			blkmap_recompress(bm.map, 0);
	}
	stat = get_stat();
	ck_assert_uint_le(stat.dicts, 2);
	ck_assert_uint_eq(stat.data.objects, KINDS * 20);
	bm_check(&bm);
	bm_stop(&bm);
}
END_TEST

/* Written again and again until it has a dictionary that suits it: at 400 bytes each without. */
static bool gets_its_own(unsigned kind, size_t first, size_t nr, uint64_t others)
{
	for (unsigned round = 0; round < 20; round++) {
		write_kind(kind, first, nr);
		blkmap_recompress(bm.map, 0);
		blkmap_recompress(bm.map, 0);
		if (get_stat().data.object_bytes - others < nr * 250)
			return true;
	}
	return false;
}

/*
 * Each of more kinds than there are numbers leaves more than its dictionary takes. None of those goes
 * by itself then; but where a number is wanted the one with the fewest objects does.
 */
START_TEST(test_a_number_is_taken_from_the_dictionary_with_the_fewest_objects)
{
	const size_t left = 300, nr = 1500;

	start(0);
	for (unsigned kind = 0; kind < KINDS; kind++) {
		const size_t first = kind * 2000;
		const uint64_t others = get_stat().data.object_bytes;

		ck_assert_msg(gets_its_own(kind, first, nr, others), "kind %u has none", kind);
		ck_assert_int_eq(blkmap_punch(bm.map, &bm.file, (first + left) * 4096,
					      (nr - left) * 4096),
				 0);
		blkmap_recompress(bm.map, 0);
	}
	ck_assert_uint_eq(get_stat().data.objects, KINDS * left);
	ck_assert_uint_eq(get_stat().dicts, SLOT_CODEC_NR_DICT);
	bm_check(&bm);
	bm_stop(&bm);
}
END_TEST

/* What a dictionary alone makes smaller is stored as it is when that goes; nothing is lost. */
START_TEST(test_a_retired_dictionary_takes_no_byte_along)
{
	uint64_t seed = 4711;
	char noise[900];
	unsigned codec;

	start(0);
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)zt_random(&seed);
	for (size_t i = 0; i < 2000; i++) {
		memcpy(noise, &i, sizeof(i));
		ck_assert_int_eq(bm_write(&bm, i * 4096, noise, sizeof(noise)), 0);
	}
	blkmap_recompress(bm.map, 0);
	codec = bm.map->upkeep.recomp->dicts[RECOMP_SMALL].codec;
	ck_assert_uint_ne(codec, 0);
	ck_assert_uint_ge(get_stat().dict_objects, 1900);
	bm.map->upkeep.recomp->dicts[RECOMP_SMALL].codec = 0;
	dict_retire(bm.map->upkeep.recomp, codec - SLOT_CODEC_DICT);
	blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().dict_objects, 0);
	for (size_t i = 0; i < 2000; i++) {
		memcpy(noise, &i, sizeof(i));
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, i * 4096, buf, sizeof(noise)), 0);
		ck_assert_int_eq(memcmp(buf, noise, sizeof(noise)), 0);
	}
	bm_check(&bm);
	blkmap_recompress(bm.map, 0);
	ck_assert_ptr_null(bm.map->codecs.decoders[codec]);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_no_memory_for_a_dictionary_is_no_error)
{
	for (long n = 1; n < 14; n += n / 3 + 1) {
		start(0);
		write_small(0, 1500, "pear");
		zt_fault_set(n);
		blkmap_recompress(bm.map, 0);
		zt_fault_set(0);
		check_small(0, 1500, "pear");
		bm_stop(&bm);
	}
}
END_TEST

START_TEST(test_an_algorithm_without_dictionaries_makes_none)
{
	bm_start(&bm, &(struct bm_config){ .order = 0, .recompress = "null" });
	write_small(0, 1500, "pear");
	blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().dicts, 0);
	check_small(0, 1500, "pear");
	bm_stop(&bm);
}
END_TEST

/* Clusters of phrases in random order: each repeats what stands in others, and little of its own. */
static void fill_phrases(uint64_t seed, char *dst, size_t len)
{
	enum { PHRASES = 600, LENGTH = 128 };
	static char phrases[PHRASES][LENGTH];

	if (phrases[0][0] == 0)
		fill_noise(7, phrases[0], sizeof(phrases));
	for (size_t i = 0; i < len; i += LENGTH) {
		/* A third is noise. */
		if (zt_random(&seed) % 3 == 0)
			fill_noise(zt_random(&seed), dst + i, LENGTH);
		else
			memcpy(dst + i, phrases[zt_random(&seed) % PHRASES], LENGTH);
	}
}

#define LARGE_CLUSTERS 272u /* 17 MiB */

static void write_large(size_t first, size_t nr)
{
	for (size_t i = first; i < first + nr; i++) {
		fill_phrases(i, content, CLUSTER);
		ck_assert_int_eq(bm_write(&bm, i * CLUSTER, content, CLUSTER), 0);
	}
}

static void check_large(size_t first, size_t nr)
{
	for (size_t i = first; i < first + nr; i++) {
		fill_phrases(i, content, CLUSTER);
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, i * CLUSTER, buf, CLUSTER), 0);
		ck_assert_int_eq(memcmp(buf, content, CLUSTER), 0);
	}
}

START_TEST(test_large_clusters_get_a_dictionary_of_their_own)
{
	struct blkmap_stat plain, after;

	start(4);
	write_large(0, LARGE_CLUSTERS / 2);
	blkmap_recompress(bm.map, 0);
	plain = get_stat();
	ck_assert_uint_eq(plain.dicts, 0); /* too few */
	write_large(LARGE_CLUSTERS / 2, LARGE_CLUSTERS / 2);
	blkmap_recompress(bm.map, 0);
	after = get_stat();
	ck_assert_uint_eq(after.dicts, 1);
	ck_assert_uint_ge(after.dict_bytes, 32768);
	ck_assert_uint_le(after.dict_bytes, DICT_MAX);
	/* Those of the first pass move to it. */
	ck_assert_uint_eq(after.dict_objects, LARGE_CLUSTERS);
	ck_assert_uint_lt(after.data.object_bytes, 2 * plain.data.object_bytes * 9 / 10);
	ck_assert_uint_eq(bm.map->upkeep.recomp->dicts[RECOMP_SMALL].codec, 0);
	check_large(0, LARGE_CLUSTERS);
	/* In parts, and when they have become small. */
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 3 * CLUSTER + 50001, buf, 3000), 0);
	fill_phrases(3, content, CLUSTER);
	ck_assert_int_eq(memcmp(buf, content + 50001, 3000), 0);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 3 * CLUSTER + 5000), 0);
	blkmap_recompress(bm.map, 0);
	check_large(0, 3);
	bm_check(&bm);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
	blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(get_stat().dicts, 0);
	bm_stop(&bm);
}
END_TEST

/* Where something is always in use, what a new dictionary did not help is not tried for ever. */
START_TEST(test_a_new_dictionary_is_tried_a_few_times_at_most)
{
	struct recomp_dict *dict;

	bm_start(&bm, &(struct bm_config){ .order = 4, .recompress = "zstd" });
	write_large(0, LARGE_CLUSTERS);
	/* Everything but what is written now has lain idle. */
	atomic_store(&bm.map->slots.age_now, 100);
	write_large(LARGE_CLUSTERS, 1);
	dict = &bm.map->upkeep.recomp->dicts[RECOMP_LARGE];
	for (unsigned i = 0; i < DICT_REFRESHES; i++) {
		blkmap_recompress(bm.map, 50);
		ck_assert_uint_eq(get_stat().dicts, 1);
		ck_assert_uint_eq(dict->refresh, DICT_REFRESHES - 1 - i);
	}
	blkmap_recompress(bm.map, 50);
	ck_assert_uint_eq(dict->refresh, 0);
	check_large(0, LARGE_CLUSTERS + 1);
	bm_stop(&bm);
}
END_TEST

static void with_background(uint32_t idle)
{
	bm_start(&bm, &(struct bm_config){
			      .order = 4,
			      .recompress = "zstd",
			      .recompress_idle = idle,
			      .background = true,
		      });
}

static void wait_100ms(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
}

START_TEST(test_background_recompresses_by_itself_and_when_kicked)
{
	uint64_t ticket;
	int tries;

	with_background(1);
	/* Little, since on a busy machine idle priority gets little. */
	fill_text(8, content, SIZE);
	ck_assert_int_eq(bm_write(&bm, 0, content, 2 * CLUSTER), 0);
	for (tries = 600; get_stat().recompressed < 2 && tries > 0; tries--)
		wait_100ms();
	ck_assert_uint_eq(get_stat().recompressed, 2);
	fill_text(9, content, CLUSTER);
	ck_assert_int_eq(bm_write(&bm, 0, content, CLUSTER), 0);
	ticket = blkmap_recompress_kick(bm.map);
	for (tries = 600; get_stat().recompress_passes <= ticket && tries > 0; tries--)
		wait_100ms();
	ck_assert_uint_eq(get_stat().recompressed, 3);
	blkmap_stop(bm.map);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, buf, 2 * CLUSTER), 0);
	ck_assert_int_eq(memcmp(buf, content, 2 * CLUSTER), 0);
	bm_stop(&bm);
}
END_TEST

/* Who asks for it gets all of it, cluster maps included, however young. */
START_TEST(test_a_kick_folds_what_was_overwritten)
{
	uint64_t ticket;

	with_background(3600);
	fill_text(8, content, CLUSTER);
	ck_assert_int_eq(bm_write(&bm, 0, content, CLUSTER), 0);
	ck_assert_int_eq(bm_write(&bm, 4096, content, 4096), 0);
	memcpy(content + 4096, content, 4096);
	ck_assert_uint_eq(slot_kind(word_get(tree_slot(bm.arena, &bm.file.tree, 0))), SLOT_MAP);
	ticket = blkmap_recompress_kick(bm.map);
	for (int tries = 600; get_stat().recompress_passes <= ticket && tries > 0; tries--)
		wait_100ms();
	ck_assert_uint_eq(get_stat().recompressed, 1);
	blkmap_stop(bm.map);
	check_content(CLUSTER);
	bm_stop(&bm);
}
END_TEST

/* It has asked just before others switch it off: nobody waits for ever, and nothing is asked for any more. */
START_TEST(test_a_kick_before_it_is_switched_off_is_dropped)
{
	struct recompressor *rc;
	uint64_t ticket;
	bool kicked;

	with_background(3600);
	rc = bm.map->upkeep.recomp;
	mutex_lock(&rc->pass_lock); /* where the thread comes by before it looks */
	ticket = blkmap_recompress_kick(bm.map);
	blkmap_set_recompress(bm.map, false);
	mutex_unlock(&rc->pass_lock);
	for (int tries = 600; get_stat().recompress_passes <= ticket && tries > 0; tries--)
		wait_100ms();
	ck_assert_uint_eq(get_stat().recompress_passes, ticket + 1);
	mutex_lock(&rc->lock);
	kicked = rc->kicked;
	mutex_unlock(&rc->lock);
	ck_assert(!kicked);
	ck_assert_uint_eq(get_stat().recompressed, 0);
	blkmap_stop(bm.map);
	bm_stop(&bm);
}
END_TEST

/* Nanoseconds that a thread of that name has run, or would have. False: the kernel does not say. */
static bool wanted_ns(const char *name, uint64_t *out_ns)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	bool found = false;

	while (dir && !found && (entry = readdir(dir)) != NULL) {
		uint64_t ran = 0, waited = 0;
		char path[300], is[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		found = fscanf(file, "%31s", is) == 1 && strcmp(is, name) == 0;
		fclose(file);
		if (!found)
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%.20s/schedstat", entry->d_name);
		file = fopen(path, "re");
		found = file && fscanf(file, "%" SCNu64 " %" SCNu64, &ran, &waited) == 2;
		if (file)
			fclose(file);
		*out_ns = ran + waited;
		break;
	}
	closedir(dir);
	return found;
}

/* It looks once a second, and wants no time in between. */
START_TEST(test_background_sleeps_between_looks)
{
	uint64_t before, after, begin;

	with_background(3600);
	if (wanted_ns("zt-recomp", &before)) {
		begin = zt_now_ns();
		for (unsigned i = 0; i < 15; i++)
			wait_100ms();
		ck_assert(wanted_ns("zt-recomp", &after));
		ck_assert_uint_lt(after - before, (zt_now_ns() - begin) / 2);
	}
	blkmap_stop(bm.map);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_idle_time_is_counted_in_ticks)
{
	static const struct {
		uint32_t seconds, ticks;
	} idle[] = { { 0, 0 }, { 1, 1 }, { 50, 50 }, { 1000, 90 } };

	for (size_t i = 0; i < ARRAY_SIZE(idle); i++) {
		bm_start(&bm, &(struct bm_config){
				      .order = 4,
				      .recompress = "zstd",
				      .recompress_idle = idle[i].seconds,
			      });
		ck_assert_uint_eq(bm.map->upkeep.recomp->idle, idle[i].ticks);
		bm_stop(&bm);
	}
}
END_TEST

START_TEST(test_it_is_not_made_without_memory)
{
	const struct arena_params arena_params = { .reserve = GIB };
	const struct zs_pool_params pool_params = { .name = "meta", .id = 2 };
	struct blkmap_params params = { .comp.name = "lz4",
					.comp.level = ZCOMP_LEVEL_DEFAULT,
					.comp.nr_streams = 2,
					.recompress = "zstd",
					.recompress_level = ZCOMP_LEVEL_DEFAULT,
					.dicts = true,
					.dedup = true };
	struct blkmap *map;
	char text[256];
	int error;
	long n = 0;

	ck_assert_int_eq(arena_create(&arena_params, &params.arena), 0);
	ck_assert_int_eq(zs_pool_create(params.arena, &pool_params, &params.meta), 0);
	do {
		zt_fault_set(++n);
		error = blkmap_create(&params, text, &map);
		ck_assert_int_eq(error, zt_fault_pending() ? 0 : -ENOMEM);
		ck_assert_int_lt(n, 200);
	} while (error);
	zt_fault_set(0);
	ck_assert_int_gt(n, 10);
	blkmap_destroy(map);
	zs_pool_destroy(params.meta);
	arena_destroy(params.arena);
}
END_TEST

START_TEST(test_background_waits_while_requests_are_many)
{
	struct timespec begin, now, last;
	long longest = 0; /* gap between two requests, in ms */

	with_background(1);
	fill_text(10, content, SIZE);
	ck_assert_int_eq(bm_write(&bm, 0, content, SIZE), 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	last = begin;
	do {
		long gap;

		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, SIZE, buf, 1), 0);
		clock_gettime(CLOCK_MONOTONIC, &now);
		gap = (now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000;
		longest = gap > longest ? gap : longest;
		last = now;
	} while (now.tv_sec - begin.tv_sec < 3);
	/*
	 * On a busy machine this thread may not have run for so long that nobody seemed to be here;
	 * and where others use memory up, nothing waits.
	 */
	if (longest < 50 && get_stat().recompress_pressures == 0)
		ck_assert_uint_eq(get_stat().recompressed, 0);
	blkmap_stop(bm.map);
	bm_stop(&bm);
}
END_TEST

/* As the fs layer does. On a machine that is very busy it may take long until it is helped. */
static int write_patiently(uint64_t off, const char *src)
{
	int error = -ENOSPC;

	for (unsigned tries = 0; error == -ENOSPC && tries < 100; tries++) {
		error = bm_write(&bm, off, src, CLUSTER);
		if (error && !blkmap_reclaim(bm.map, tries, zt_now_ns() + ZT_NS_PER_S))
			wait_100ms();
	}
	return error;
}

/* Text of a kind that lz4 leaves as it is, and zstd halves: what fits is known. */
START_TEST(test_a_write_that_finds_no_room_gets_it_by_recompression)
{
	enum { LIMIT = 8, WRITTEN = 12 };

	bm_start(&bm, &(struct bm_config){
			      .order = 4,
			      .limit = LIMIT * MIB,
			      .recompress = "zstd",
			      .recompress_idle = 1000,
			      .background = true,
		      });
	fill_text(12, content, SIZE);
	for (unsigned i = 0; i < WRITTEN; i++)
		for (size_t at = 0; at < SIZE; at += CLUSTER)
			ck_assert_int_eq(write_patiently(i * SIZE + at, content + at), 0);
	ck_assert_uint_gt(get_stat().recompressed, 0);
	blkmap_stop(bm.map);
	for (unsigned i = 0; i < WRITTEN; i++) {
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, i * SIZE, buf, SIZE), 0);
		ck_assert_int_eq(memcmp(buf, content, SIZE), 0);
	}
	bm_stop(&bm);
}
END_TEST

START_TEST(test_near_the_limit_everything_is_recompressed_at_once)
{
	struct arena_stat stat;

	with_background(1000);
	fill_text(13, content, SIZE);
	ck_assert_int_eq(bm_write(&bm, 0, content, SIZE), 0);
	arena_get_stat(bm.arena, &stat);
	arena_set_limit(bm.arena, stat.used + 4096);
	for (int tries = 600; get_stat().recompress_pressures == 0 && tries > 0; tries--)
		wait_100ms();
	blkmap_stop(bm.map);
	ck_assert_uint_ge(get_stat().recompress_pressures, 1);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, buf, SIZE), 0);
	ck_assert_int_eq(memcmp(buf, content, SIZE), 0);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_stopping_in_the_middle_is_quick)
{
	enum { MANY = 64 };
	struct timespec begin, end;

	bm_start(&bm, &(struct bm_config){
			      .order = 4,
			      .recompress = "zstd",
			      .recompress_level = 19,
			      .recompress_idle = 1,
			      .background = true,
		      });
	fill_text(11, content, SIZE);
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_int_eq(bm_write(&bm, i * SIZE, content, SIZE), 0);
	blkmap_recompress_kick(bm.map);
	for (int tries = 200; get_stat().recompressed == 0 && tries > 0; tries--)
		wait_100ms();
	clock_gettime(CLOCK_MONOTONIC, &begin);
	blkmap_stop(bm.map);
	clock_gettime(CLOCK_MONOTONIC, &end);
	ck_assert_uint_gt(get_stat().recompressed, 0);
	ck_assert_uint_lt(get_stat().recompressed, 16 * MANY);
	ck_assert_int_le(end.tv_sec - begin.tv_sec, 5);
	bm_stop(&bm);
}
END_TEST

START_TEST(test_without_recompression_nothing_of_it_is_there)
{
	bm_start(&bm, &(struct bm_config){ .order = 4 });
	ck_assert_ptr_null(blkmap_recompress_name(bm.map));
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 0);
	ck_assert_uint_eq(blkmap_recompress_kick(bm.map), 0);
	ck_assert_ptr_null(bm.map->slots.ages);
	bm_stop(&bm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recompress");
	TCase *tc = tcase_create("recompress");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_idle_clusters_take_less_and_read_the_same);
	tcase_add_test(tc, test_what_does_not_shrink_is_kept_and_not_tried_until_rewritten);
	tcase_add_test(tc, test_what_is_read_twice_is_stored_as_it_was_written);
	tcase_add_test(tc, test_what_is_read_long_after_is_not_read_twice);
	tcase_add_test(tc, test_small_reads_ask_for_nothing);
	tcase_add_test(tc, test_what_was_noted_and_is_gone_is_left_alone);
	tcase_add_test(tc, test_without_memory_it_stays_recompressed);
	tcase_add_test(tc, test_nothing_is_noted_where_both_algorithms_are_the_same);
	tcase_add_test(tc, test_a_result_of_the_same_size_is_not_kept_and_not_tried_again);
	tcase_add_test(tc, test_what_is_overwritten_meanwhile_is_left_alone);
	tcase_add_test(tc, test_each_new_object_moves_its_locks_count);
	tcase_add_test(tc, test_sparse_cut_and_overlaid_clusters_keep_their_pages);
	tcase_add_test(tc, test_what_is_used_stays_young_and_the_rest_ages);
	tcase_add_test(tc, test_what_is_old_stays_old_when_ages_wrap);
	tcase_add_test(tc, test_compaction_takes_ages_along);
	tcase_add_test(tc, test_no_memory_for_the_new_object_leaves_the_old_one);
	tcase_add_test(tc, test_small_files_get_a_dictionary_of_their_own);
	tcase_add_test(tc, test_a_dictionary_lives_as_long_as_its_objects_and_is_renewed);
	tcase_add_test(tc, test_a_dictionary_is_renewed_where_the_amount_stays_the_same);
	tcase_add_test(tc, test_numbers_of_dictionaries_are_not_held_by_a_few_objects);
	tcase_add_test(tc, test_a_number_is_taken_from_the_dictionary_with_the_fewest_objects);
	tcase_add_test(tc, test_a_retired_dictionary_takes_no_byte_along);
	tcase_add_test(tc, test_large_clusters_get_a_dictionary_of_their_own);
	tcase_add_test(tc, test_a_new_dictionary_is_tried_a_few_times_at_most);
	tcase_add_test(tc, test_no_memory_for_a_dictionary_is_no_error);
	tcase_add_test(tc, test_an_algorithm_without_dictionaries_makes_none);
	tcase_add_test(tc, test_background_recompresses_by_itself_and_when_kicked);
	tcase_add_test(tc, test_a_kick_folds_what_was_overwritten);
	tcase_add_test(tc, test_a_kick_before_it_is_switched_off_is_dropped);
	tcase_add_test(tc, test_background_sleeps_between_looks);
	tcase_add_test(tc, test_idle_time_is_counted_in_ticks);
	tcase_add_test(tc, test_it_is_not_made_without_memory);
	tcase_add_test(tc, test_background_waits_while_requests_are_many);
	tcase_add_test(tc, test_a_write_that_finds_no_room_gets_it_by_recompression);
	tcase_add_test(tc, test_near_the_limit_everything_is_recompressed_at_once);
	tcase_add_test(tc, test_stopping_in_the_middle_is_quick);
	tcase_add_test(tc, test_without_recompression_nothing_of_it_is_there);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
