// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_races.c - what others do just while a thread has let go of a lock.
 *
 * Each test forces one schedule by a point at which the thread is stopped (util/hook.h). What is to
 * happen meanwhile is done by a thread that the hook starts and waits for.
 *
 * Tests fold.c, maintain.c and upkeep.c of upkeep, and what the others do between two locks.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "blkmap/upkeep/recompress.h"
#include "tests/blkmap/at_point.h"
#include "tests/blkmap/bm_fixture.h"
#include "util/hook.h"

#ifdef ZT_DEBUG

#define TEXT_SIZE (2u << 20)

static struct bm bm;
static char text[TEXT_SIZE], back[TEXT_SIZE];

static void fill_text(char *buf, size_t len, unsigned tag)
{
	size_t at = 0;

	while (at < len) {
		char line[80];
		size_t n = (size_t)snprintf(line, sizeof(line), "line %zu of %u: a brown fox\n", at,
					    tag);

		n = n < len - at ? n : len - at;
		memcpy(buf + at, line, n);
		at += n;
	}
}

static void fill_random(char *buf, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)zt_random(&seed);
}

/* Another file on the same map; its record is never freed before the map. */
static void file_new(struct blkmap_file *file, unsigned order)
{
	struct bm_file *record;
	ref_t ref;

	ck_assert_int_eq(zs_malloc(bm.meta, sizeof(struct bm_file), &ref), 0);
	record = zs_data(bm.arena, ref);
	memset(record, 0, sizeof(*record));
	*file = (struct blkmap_file){
		.tree = { .word = &record->word },
		.nr_pages = &record->nr_pages,
		.order = order,
		.setting = BLKMAP_SETTING_DEFAULT,
	};
}

static void file_write(struct blkmap_file *file, uint64_t off, const void *buf, size_t len)
{
	size_t done;

	if (!blkmap_covers(file, off, len))
		ck_assert_int_eq(blkmap_grow(bm.map, file, off, len), 0);
	ck_assert_int_eq(blkmap_write(bm.map, file,
				      &(struct blkmap_bytes){ off, buf, len, ZSTRM_DEFAULT },
				      &done),
			 0);
}

/* All files are those given; everything is walked, and what the kernel holds is what is counted. */
static void check_files(struct blkmap_file *files[], unsigned nr)
{
	uint64_t objects = 0;

	zt_hook_set(NULL, NULL);
	for (unsigned i = 0; i < nr; i++)
		ck_assert_int_eq(blkmap_check_file(bm.map, files[i], &objects), 0);
	ck_assert_int_eq(blkmap_check(bm.map, objects), 0);
	ck_assert_int_eq(zs_check(bm.meta), 0);
	ck_assert_int_eq(arena_check(bm.arena), 0);
}

static void stop(void)
{
	zt_hook_set(NULL, NULL);
	blkmap_destroy(bm.map);
	zs_pool_destroy(bm.meta);
	arena_destroy(bm.arena);
}

static uint64_t *slot_of(const struct blkmap_file *file, uint64_t idx)
{
	return tree_slot(bm.arena, &file->tree, idx);
}

/* ---- folding remembers maps ---- */

static struct blkmap_file other;
static uint64_t *old_slot;
static char page[ZT_PAGE_SIZE];

/* The file is emptied, and what others store where its slot was looks like anything. */
static void reuse_by_bytes(void)
{
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
	for (unsigned i = 0; i < 64; i++) {
		ref_t ref;

		ck_assert_int_eq(zs_malloc(bm.meta, 128, &ref), 0);
		memset(zs_data(bm.arena, ref), 't', 128);
	}
	ck_assert_int_eq(*(char *)old_slot, 't');
}

START_TEST(test_fold_does_not_read_a_slot_that_is_gone)
{
	const struct bm_config config = { .order = 4 };

	bm_start(&bm, &config);
	fill_text(text, TEXT_SIZE, 1);
	ck_assert_int_eq(bm_write(&bm, 0, text, 16 * 65536), 0);
	fill_text(page, sizeof(page), 77);
	ck_assert_int_eq(bm_write(&bm, 3 * 65536 + 4096, page, sizeof(page)), 0);
	old_slot = slot_of(&bm.file, 3);
	ck_assert_int_eq(slot_kind(*old_slot), SLOT_MAP);
	at_point(bm.map, "fold: maps are remembered", reuse_by_bytes);
	fold_idle(&bm.map->upkeep.folder, 0);
	ck_assert_uint_ge(nr_arrivals, 1);
	check_files((struct blkmap_file *[]){ &bm.file }, 1);
	stop();
}
END_TEST

/* Another file's slot comes to the same place, with a cluster map of its own. */
static void reuse_by_slot(void)
{
	uint64_t size = cluster_size(other.order);

	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
	file_write(&other, 0, text, 16 * size);
	ck_assert_ptr_eq(slot_of(&other, 3), old_slot);
	file_write(&other, 3 * size + size / 2, page, sizeof(page));
	ck_assert_int_eq(slot_kind(*old_slot), SLOT_MAP);
}

START_TEST(test_fold_does_not_take_a_slot_for_that_of_another_cluster_size)
{
	static const unsigned orders[][2] = { { 4, 5 }, { 5, 4 }, { 2, 5 }, { 5, 2 } };
	const struct bm_config config = { .order = orders[_i][0] };
	uint64_t size = cluster_size(orders[_i][0]), other_size = cluster_size(orders[_i][1]);

	bm_start(&bm, &config);
	file_new(&other, orders[_i][1]);
	fill_text(text, TEXT_SIZE, 1);
	ck_assert_int_eq(bm_write(&bm, 0, text, 16 * size), 0);
	fill_text(page, sizeof(page), 77);
	ck_assert_int_eq(bm_write(&bm, 3 * size + 4096, page, sizeof(page)), 0);
	old_slot = slot_of(&bm.file, 3);
	ck_assert_int_eq(slot_kind(*old_slot), SLOT_MAP);
	at_point(bm.map, "fold: maps are remembered", reuse_by_slot);
	fold_idle(&bm.map->upkeep.folder, 0);
	ck_assert_uint_ge(nr_arrivals, 1);
	memcpy(text + 3 * other_size + other_size / 2, page, sizeof(page));
	ck_assert_int_eq(blkmap_read(bm.map, &other, 0, back, 16 * other_size), 0);
	ck_assert_mem_eq(back, text, 16 * other_size);
	check_files((struct blkmap_file *[]){ &bm.file, &other }, 2);
	stop();
}
END_TEST

/* ---- counts ---- */

static void pass_begins(void)
{
	(void)blkmap_recompress(bm.map, 250);
}

START_TEST(test_last_object_with_a_dictionary_keeps_it_when_it_is_cut)
{
	const struct bm_config config = { .recompress = "zstd", .recompress_level = 3 };
	char content[ZT_PAGE_SIZE];

	bm_start(&bm, &config);
	for (unsigned i = 0; i < 1500; i++) {
		int len = snprintf(content, sizeof(content),
				   "pear %u: common words, as all have; key%u=%u number %u\n", i,
				   i * 7, i * i, i);

		while (len < 900)
			len += snprintf(content + len, 100, "item %s of kind pear\n",
					i % 3 ? "one" : "two");
		ck_assert_int_eq(bm_write(&bm, (uint64_t)i * 4096, content, (size_t)len), 0);
	}
	blkmap_recompress(bm.map, 0);
	ck_assert_uint_eq(slot_codec(*slot_of(&bm.file, 0)), SLOT_CODEC_DICT);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 800), 0);
	ck_assert_uint_eq(bm.map->slots.account.codec_objects[SLOT_CODEC_DICT], 1);
	at_point(bm.map, "range: a word is counted anew", pass_begins);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 700), 0);
	ck_assert_uint_eq(nr_arrivals, 1);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, content, 700), 0);
	ck_assert_mem_eq(content, "pear 0: ", 8);
	check_files((struct blkmap_file *[]){ &bm.file }, 1);
	stop();
}
END_TEST

/* ---- owners ---- */

static void compact_and_look(void)
{
	fold_idle(&bm.map->upkeep.folder, 0);
	(void)zs_trim(bm.meta, 0);
	(void)zs_compact(bm.map->slots.data, 0);
}

/*
 * A cluster with a page of its own beside many raw pages of another file, most of which go, so that
 * their class is worth compacting.
 */
static void map_start(void)
{
	const struct bm_config config = { .order = 4 };

	bm_start(&bm, &config);
	file_new(&other, 0);
	fill_text(text, 65536, 1);
	ck_assert_int_eq(bm_write(&bm, 0, text, 65536), 0);
	for (unsigned i = 0; i < 300; i++) {
		fill_random(page, sizeof(page), 1000 + i);
		if (i == 200)
			ck_assert_int_eq(bm_write(&bm, 12 * 4096, page, sizeof(page)), 0);
		file_write(&other, i * 4096, page, sizeof(page));
	}
	ck_assert_int_eq(slot_kind(*slot_of(&bm.file, 0)), SLOT_MAP);
	for (unsigned i = 0; i < 300; i++)
		if (i % 9)
			ck_assert_int_eq(blkmap_punch(bm.map, &other, i * 4096, 4096), 0);
}

START_TEST(test_page_cut_off_a_map_names_it_no_longer_when_it_is_freed)
{
	map_start();
	at_point(bm.map, "slots: a word is released", compact_and_look);
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 10 * 4096), 0);
	ck_assert_uint_ge(nr_arrivals, 1);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, back, 65536), 0);
	ck_assert_mem_eq(back, text, 10 * 4096);
	check_files((struct blkmap_file *[]){ &bm.file, &other }, 2);
	stop();
}
END_TEST

static void empty_and_compact(void)
{
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 0), 0);
	compact_and_look();
}

/*
 * The old object of a slot is released when recompression, a fold or another file's object has taken
 * its place; the file goes just then, and its tree with it.
 */
START_TEST(test_object_that_gave_way_names_no_slot_when_it_is_freed)
{
	const struct bm_config config = { .order = 4, .recompress = "zstd", .dedup = _i == 1 };

	bm_start(&bm, &config);
	for (unsigned i = 0; i < 32; i++) {
		fill_text(text, 65536, _i == 1 ? 0 : i);
		ck_assert_int_eq(bm_write(&bm, (uint64_t)i * 65536, text, 65536), 0);
		if (_i == 2)
			ck_assert_int_eq(bm_write(&bm, (uint64_t)i * 65536 + 4096, text, 4096), 0);
	}
	at_point(bm.map, "slots: a word is released", empty_and_compact);
	if (_i == 2)
		fold_idle(&bm.map->upkeep.folder, 0);
	else
		blkmap_recompress(bm.map, 0);
	ck_assert_uint_ge(nr_arrivals, 1);
	check_files((struct blkmap_file *[]){ &bm.file }, 1);
	stop();
}
END_TEST

/* A fold takes the map while the page that has just been replaced in it is about to be freed. */
START_TEST(test_page_that_gave_way_in_a_map_names_it_no_longer_when_it_is_freed)
{
	map_start();
	fill_random(page, sizeof(page), 5);
	at_point(bm.map, "slots: a word is released", compact_and_look);
	ck_assert_int_eq(bm_write(&bm, 12 * 4096, page, sizeof(page)), 0);
	ck_assert_uint_ge(nr_arrivals, 1);
	memcpy(text + 12 * 4096, page, sizeof(page));
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, back, 65536), 0);
	ck_assert_mem_eq(back, text, 65536);
	check_files((struct blkmap_file *[]){ &bm.file, &other }, 2);
	stop();
}
END_TEST

/* ---- compaction looks at an owner ---- */

static pthread_t cutter, folder;
static atomic_bool is_cut, is_folded;

static void *cut_run(void *arg)
{
	(void)arg;
	ck_assert_int_eq(blkmap_truncate(bm.map, &bm.file, 10 * 4096), 0);
	atomic_store(&is_cut, true);
	return NULL;
}

static void *fold_run(void *arg)
{
	(void)arg;
	fold_idle(&bm.map->upkeep.folder, 0);
	atomic_store(&is_folded, true);
	return NULL;
}

static struct timespec millisecond = { .tv_nsec = 1000000 };

/* Wait for what must not come: as long as a machine under load may take for it. */
static bool comes(atomic_bool *flag)
{
	for (unsigned i = 0; i < 300 && !atomic_load(flag); i++)
		nanosleep(&millisecond, NULL);
	return atomic_load(flag);
}

static ref_t page_ref;
static bool map_went;

/* When it is the turn of the page that is cut off. */
static void page_hook(void *arg, const char *point, uint64_t what)
{
	(void)arg;
	if (strcmp(point, "compact: an owner is read") != 0 || what != page_ref ||
	    atomic_fetch_add(&nr_arrivals, 1) != 0)
		return;
	ck_assert_int_eq(pthread_create(&cutter, NULL, cut_run, NULL), 0);
	(void)comes(&is_cut);
	ck_assert_int_eq(pthread_create(&folder, NULL, fold_run, NULL), 0);
	map_went = comes(&is_folded);
}

START_TEST(test_map_stays_while_compaction_looks_at_one_of_its_pages)
{
	map_start();
	page_ref = slot_ref(cluster_map_at(&bm.map->slots, *slot_of(&bm.file, 0))->pages[12]);
	atomic_store(&is_cut, false);
	atomic_store(&is_folded, false);
	atomic_store(&nr_arrivals, 0);
	zt_hook_set(page_hook, NULL);
	(void)zs_compact(bm.map->slots.data, 0);
	ck_assert_uint_eq(nr_arrivals, 1);
	pthread_join(cutter, NULL);
	pthread_join(folder, NULL);
	ck_assert(!map_went);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, back, 65536), 0);
	ck_assert_mem_eq(back, text, 10 * 4096);
	check_files((struct blkmap_file *[]){ &bm.file, &other }, 2);
	stop();
}
END_TEST

static pthread_t compactor;
static atomic_bool is_read;

static void *compact_run(void *arg)
{
	(void)arg;
	(void)zs_compact(bm.map->slots.data, 0);
	return NULL;
}

/*
 * Compaction begins just before a page's owner is exchanged. When it reads the one before, the map
 * that this names may be gone before it looks there.
 */
static void exchange_hook(void *arg, const char *point, uint64_t what)
{
	(void)arg;
	if (what != page_ref)
		return;
	if (strcmp(point, "pool: an owner is exchanged") == 0 &&
	    atomic_fetch_add(&nr_arrivals, 1) == 0) {
		ck_assert_int_eq(pthread_create(&compactor, NULL, compact_run, NULL), 0);
		(void)comes(&is_read);
	} else if (strcmp(point, "compact: an owner is read") == 0) {
		atomic_store(&is_read, true);
		(void)comes(&is_cut);
	}
}

START_TEST(test_compaction_reads_an_owner_before_it_is_exchanged_or_after)
{
	map_start();
	page_ref = slot_ref(cluster_map_at(&bm.map->slots, *slot_of(&bm.file, 0))->pages[12]);
	atomic_store(&is_cut, false);
	atomic_store(&is_read, false);
	atomic_store(&nr_arrivals, 0);
	zt_hook_set(exchange_hook, NULL);
	(void)cut_run(NULL);
	ck_assert_uint_eq(nr_arrivals, 1);
	pthread_join(compactor, NULL);
	ck_assert(!is_read);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, back, 65536), 0);
	ck_assert_mem_eq(back, text, 10 * 4096);
	check_files((struct blkmap_file *[]){ &bm.file, &other }, 2);
	stop();
}
END_TEST

/* ---- the end ---- */

static atomic_bool may_complete;
static bool had_recompression;

static void wait_for_stop(void)
{
	while (!atomic_load(&may_complete))
		nanosleep(&millisecond, NULL);
	had_recompression = bm.map->upkeep.recomp->has_threads;
}

static void *stop_run(void *arg)
{
	blkmap_stop(bm.map);
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

static void write_done(void *arg, int error, size_t done)
{
	(void)arg;
	(void)done;
	ck_assert_int_eq(error, 0);
}

static void write_release(void *arg)
{
	atomic_store((atomic_bool *)arg, true);
}

START_TEST(test_recompression_ends_after_the_writes_that_may_wait_for_it)
{
	const struct bm_config config = {
		.order = 4,
		.recompress = "zstd",
		.recompress_idle = 60,
		.accel = BLKMAP_ACCEL_ON,
		.background = true,
	};
	atomic_bool released = false, stopped = false;
	struct blkmap_write_end end = {
		.done = write_done,
		.release = write_release,
		.release_arg = &released,
		.keeps_bytes = true,
	};
	pthread_t stopper;

	bm_start(&bm, &config);
	atomic_store(&may_complete, false);
	ck_assert_int_eq(blkmap_grow(bm.map, &bm.file, 0, 65536), 0);
	fill_text(text, 65536, 1);
	at_point(bm.map, "batch: a cluster comes back", wait_for_stop);
	blkmap_write_async(bm.map, &bm.file,
			   &(struct blkmap_bytes){ 0, text, 65536, ZSTRM_PREFER_MGMT }, &end);
	ck_assert_int_eq(pthread_create(&stopper, NULL, stop_run, &stopped), 0);
	ck_assert(!comes(&stopped));
	atomic_store(&may_complete, true);
	pthread_join(stopper, NULL);
	ck_assert(released);
	ck_assert_uint_ge(nr_arrivals, 1);
	ck_assert(had_recompression);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, back, 65536), 0);
	ck_assert_mem_eq(back, text, 65536);
	check_files((struct blkmap_file *[]){ &bm.file }, 1);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("races");
	TCase *tcase = tcase_create("forced");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_fold_does_not_read_a_slot_that_is_gone);
	tcase_add_loop_test(tcase, test_fold_does_not_take_a_slot_for_that_of_another_cluster_size,
			    0, 4);
	tcase_add_test(tcase, test_last_object_with_a_dictionary_keeps_it_when_it_is_cut);
	tcase_add_test(tcase, test_page_cut_off_a_map_names_it_no_longer_when_it_is_freed);
	tcase_add_loop_test(tcase, test_object_that_gave_way_names_no_slot_when_it_is_freed, 0, 3);
	tcase_add_test(tcase, test_page_that_gave_way_in_a_map_names_it_no_longer_when_it_is_freed);
	tcase_add_test(tcase, test_map_stays_while_compaction_looks_at_one_of_its_pages);
	tcase_add_test(tcase, test_compaction_reads_an_owner_before_it_is_exchanged_or_after);
	tcase_add_test(tcase, test_recompression_ends_after_the_writes_that_may_wait_for_it);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}

#else

int main(void)
{
	printf("without --enable-debug nothing stops a thread at a point\n");
	return 77;
}

#endif
