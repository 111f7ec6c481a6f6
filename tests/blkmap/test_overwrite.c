// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_overwrite.c - with no memory left at all, what is there is written again: clusters in every
 * state, page by page and whole, beside readers, compaction and folding. redo.c writes it down before.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/blkmap/bm_fixture.h"

#define PAGE    4096u
#define CLUSTER 65536u

static struct bm bm;
static char model[8 * CLUSTER], buf[8 * CLUSTER];

/* Objects that have every free room, so that the next one needs memory. */
#define MAX_PLUGS 4096u
static struct plug {
	struct zs_pool *pool;
	ref_t ref;
} plugs[MAX_PLUGS];
static unsigned nr_plugs;

static unsigned plug_pool(struct zs_pool *pool)
{
	struct zs_class_stat class;
	unsigned before = nr_plugs;

	for (uint32_t i = 0; i < zs_nr_classes(pool); i++) {
		zs_class_get_stat(pool, i, &class);
		while (nr_plugs < MAX_PLUGS &&
		       !zs_malloc(pool, (uint32_t)min_u64(class.room - ZS_HDR_SIZE, ZS_MAX_SIZE),
				  &plugs[nr_plugs].ref))
			plugs[nr_plugs++].pool = pool;
	}
	ck_assert_uint_lt(nr_plugs, MAX_PLUGS);
	return nr_plugs - before;
}

/* From here on nothing more can be had. Return: plugs in the data pool. */
static unsigned fill_up(void)
{
	struct arena_stat stat;
	unsigned nr;

	zs_trim(bm.map->slots.data, 0);
	zs_trim(bm.meta, 0);
	arena_get_stat(bm.arena, &stat);
	arena_set_limit(bm.arena, stat.used);
	nr = plug_pool(bm.map->slots.data);
	plug_pool(bm.meta);
	return nr;
}

static void give_back(void)
{
	while (nr_plugs > 0) {
		nr_plugs--;
		zs_free(plugs[nr_plugs].pool, plugs[nr_plugs].ref);
	}
	arena_set_limit(bm.arena, 0);
}

static void noise(uint64_t *seed, char *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (char)zt_random(seed);
}

/* Half of it compresses. */
static void soft(uint64_t *seed, char *to, size_t len)
{
	noise(seed, to, len);
	for (size_t at = 0; at < len; at += PAGE)
		memset(to + at, 's', min_u64(len - at, PAGE / 2));
}

static void compare(size_t len)
{
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, buf, len), 0);
	ck_assert_int_eq(memcmp(buf, model, len), 0);
}

typedef void (*fill_fn)(uint64_t *seed, char *to, size_t len);

/* Write [from, to) anew, and remember it. */
static int put(uint64_t *seed, fill_fn fill, uint32_t from, uint32_t to)
{
	char *bytes = buf + from;
	int error;

	fill(seed, bytes, to - from);
	error = bm_write(&bm, from, bytes, to - from);
	if (!error)
		memcpy(model + from, bytes, to - from);
	return error;
}

static void stop(void)
{
	give_back();
	bm_stop(&bm);
}

static uint64_t in_place(void)
{
	struct blkmap_stat stat;

	blkmap_get_stat(bm.map, &stat);
	return stat.overwrites_in_place;
}

static enum slot_kind kind_of_first(void)
{
	return slot_kind(word_get(tree_slot(bm.arena, &bm.file.tree, 0)));
}

/* How the kernel cuts 64 KiB that begin in the middle of a page of memory. */
START_TEST(test_a_cluster_that_comes_in_two_parts_is_written_again)
{
	static const uint32_t cuts[] = { 40, 2048, 4095, 4096, 30000 };
	uint64_t seed = zt_seed();

	for (size_t c = 0; c < ARRAY_SIZE(cuts); c++) {
		uint32_t cut = CLUSTER - cuts[c];

		bm_start(&bm, &(struct bm_config){ .order = 4 });
		ck_assert_int_eq(put(&seed, noise, 0, cut), 0);
		ck_assert_int_eq(put(&seed, noise, cut, CLUSTER), 0);
		(void)fill_up();
		for (unsigned round = 0; round < 4; round++) {
			ck_assert_int_eq(put(&seed, noise, 0, cut), 0);
			ck_assert_int_eq(put(&seed, noise, cut, CLUSTER), 0);
			compare(CLUSTER);
		}
		ck_assert_int_eq(put(&seed, noise, 3 * PAGE, 5 * PAGE), 0);
		ck_assert_int_eq(put(&seed, noise, 100, 200), 0);
		ck_assert_int_eq(put(&seed, noise, CLUSTER - 10, CLUSTER - 5), 0);
		compare(CLUSTER);
		ck_assert_uint_gt(in_place(), 0);
		stop();
	}
}
END_TEST

/* All pages have objects, and there is nothing below them. */
START_TEST(test_a_spread_cluster_is_written_again)
{
	uint64_t seed = zt_seed();

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	ck_assert_int_eq(put(&seed, noise, 0, CLUSTER), 0);
	for (uint32_t p = 0; p < 16; p += 2)
		ck_assert_int_eq(put(&seed, noise, p * PAGE, (p + 1) * PAGE), 0);
	ck_assert_int_eq(kind_of_first(), SLOT_MAP);
	(void)fill_up();
	for (uint32_t p = 0; p < 16; p++)
		ck_assert_int_eq(put(&seed, noise, p * PAGE, (p + 1) * PAGE), 0);
	ck_assert_int_eq(put(&seed, noise, 0, CLUSTER), 0);
	ck_assert_int_eq(put(&seed, noise, 5000, 50000), 0);
	ck_assert_int_eq(put(&seed, noise, 5001, 5002), 0);
	compare(CLUSTER);
	stop();
}
END_TEST

/* A page that stands only in the base: all goes into the base, and the pages over it are freed. */
START_TEST(test_a_page_that_has_no_object_goes_into_the_base)
{
	uint64_t seed = zt_seed();
	struct blkmap_stat stat;
	unsigned nr;

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	ck_assert_int_eq(put(&seed, noise, 0, CLUSTER), 0);
	for (uint32_t p = 0; p < 6; p += 2)
		ck_assert_int_eq(put(&seed, noise, p * PAGE, (p + 1) * PAGE), 0);
	nr = fill_up();
	ck_assert_int_eq(put(&seed, noise, 9 * PAGE, 10 * PAGE), 0);
	compare(CLUSTER);
	ck_assert_int_eq(kind_of_first(), SLOT_OBJ);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.data.objects - nr, 1);
	stop();
}
END_TEST

/*
 * A base that does not have the room for all: what pages hide of it is cleared, so that one more
 * fits, and as soft as it was.
 */
START_TEST(test_a_compressed_base_takes_a_page_where_others_hide_it)
{
	uint64_t seed = zt_seed();

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	ck_assert_int_eq(put(&seed, soft, 0, CLUSTER), 0);
	for (uint32_t p = 0; p < 6; p += 2)
		ck_assert_int_eq(put(&seed, noise, p * PAGE, (p + 1) * PAGE), 0);
	(void)fill_up();
	ck_assert_int_eq(put(&seed, noise, 9 * PAGE, 10 * PAGE), 0);
	ck_assert_int_eq(kind_of_first(), SLOT_MAP);
	compare(CLUSTER);
	ck_assert_int_eq(put(&seed, soft, 10 * PAGE, 11 * PAGE), 0);
	compare(CLUSTER);
	/* What must fail leaves all as it was. */
	ck_assert_int_eq(put(&seed, noise, 0, CLUSTER), -ENOSPC);
	compare(CLUSTER);
	stop();
}
END_TEST

/* Page by page where the map has as many as there can be, and nothing is touched behind them. */
START_TEST(test_the_largest_map_is_overwritten_within_its_bounds)
{
	const uint32_t len = PAGE << BLKMAP_MAX_ORDER;
	uint64_t seed = zt_seed(), *behind;
	struct cluster_map *cmap;
	uint64_t word;

	bm_start(&bm, &(struct bm_config){ .order = BLKMAP_MAX_ORDER });
	ck_assert_int_eq(put(&seed, soft, 0, len), 0);
	for (uint32_t p = 2; p < 8; p += 2)
		ck_assert_int_eq(put(&seed, noise, p * PAGE, (p + 1) * PAGE), 0);
	(void)fill_up();
	word = word_get(tree_slot(bm.arena, &bm.file.tree, 0));
	ck_assert_int_eq(slot_kind(word), SLOT_MAP);
	cmap = cluster_map_at(&bm.map->slots, word);
	behind = &cmap->pages[1u << BLKMAP_MAX_ORDER];
	/* The rest of its room, if there is one. */
	if (zs_room_of(bm.meta, slot_ref(word)) < (char *)(behind + 1) - (char *)cmap)
		behind = NULL;
	if (behind)
		*behind = slot_make_same(4711);
	ck_assert_int_eq(put(&seed, noise, 0, PAGE), 0);
	ck_assert_int_eq(kind_of_first(), SLOT_MAP);
	compare(len);
	if (behind) {
		ck_assert_uint_eq(*behind, slot_make_same(4711));
		*behind = 0;
	}
	stop();
}
END_TEST

/* What its base would take now does not matter: here recompression has made it smaller than we can. */
START_TEST(test_a_page_of_its_own_is_written_again_over_any_base)
{
	uint64_t seed = zt_seed();

	bm_start(&bm, &(struct bm_config){ .order = 4, .recompress = "zstd" });
	for (uint32_t i = 0; i < CLUSTER; i++)
		model[i] = "etaoin shrdlucmf"[zt_random(&seed) % 16];
	ck_assert_int_eq(bm_write(&bm, 0, model, CLUSTER), 0);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 1);
	ck_assert_int_eq(put(&seed, noise, 2 * PAGE, 3 * PAGE), 0);
	ck_assert_int_eq(kind_of_first(), SLOT_MAP);
	(void)fill_up();
	ck_assert_int_eq(put(&seed, noise, 2 * PAGE, 3 * PAGE), 0);
	ck_assert_int_eq(kind_of_first(), SLOT_MAP);
	compare(CLUSTER);
	stop();
}
END_TEST

START_TEST(test_values_take_rooms_and_give_them_back)
{
	uint64_t seed = zt_seed();
	struct blkmap_stat stat;

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	ck_assert_int_eq(put(&seed, noise, 0, CLUSTER - 5000), 0);
	ck_assert_int_eq(put(&seed, noise, CLUSTER - 5000, CLUSTER), 0);
	(void)fill_up();
	/* Zeros and one value need none. */
	memset(model + 2 * PAGE, 0, PAGE);
	ck_assert_int_eq(bm_write(&bm, 2 * PAGE, model + 2 * PAGE, PAGE), 0);
	memset(model + 14 * PAGE, 'x', PAGE);
	ck_assert_int_eq(bm_write(&bm, 14 * PAGE, model + 14 * PAGE, PAGE), 0);
	compare(CLUSTER);
	/* Where their objects are gone it may fit the base; if not, it is a clean error. */
	for (uint32_t p = 0; p < 16; p++) {
		int error = put(&seed, noise, p * PAGE, (p + 1) * PAGE);

		ck_assert(error == 0 || error == -ENOSPC);
		compare(CLUSTER);
	}
	memset(model, 0, CLUSTER);
	ck_assert_int_eq(bm_write(&bm, 0, model, CLUSTER), 0);
	compare(CLUSTER);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.huge_pages, 0);
	stop();
}
END_TEST

/* A hole in the middle of it counts as a page more, which size= may forbid. */
START_TEST(test_a_hole_below_is_filled_and_counted)
{
	uint64_t seed = zt_seed();

	bm_start(&bm, &(struct bm_config){ .order = 4, .max_pages = 14 });
	ck_assert_int_eq(put(&seed, noise, 0, 12 * PAGE), 0);
	ck_assert_int_eq(put(&seed, noise, 12 * PAGE, 13 * PAGE), 0);
	ck_assert_int_eq(blkmap_punch(bm.map, &bm.file, 4 * PAGE, 2 * PAGE), 0);
	memset(model + 4 * PAGE, 0, 2 * PAGE);
	compare(CLUSTER);
	(void)fill_up();
	ck_assert_uint_eq(*bm.file.nr_pages, 11);
	memset(buf, 7, PAGE); /* it fits where a hole was: it compresses */
	ck_assert_int_eq(bm_write(&bm, 4 * PAGE + 1, buf, PAGE - 1), 0);
	memset(model + 4 * PAGE + 1, 7, PAGE - 1);
	ck_assert_uint_eq(*bm.file.nr_pages, 12);
	compare(CLUSTER);
	stop();
}
END_TEST

START_TEST(test_a_base_that_was_shared_is_the_file_s_own_again)
{
	uint64_t seed = zt_seed(), done;
	struct blkmap_stat stat;

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	ck_assert_int_eq(put(&seed, noise, 0, CLUSTER), 0);
	/* Two clusters of one file share an object; then one of them goes. */
	ck_assert_int_eq(blkmap_grow(bm.map, &bm.file, 0, 2 * CLUSTER), 0);
	ck_assert_int_eq(blkmap_share(bm.map,
				      &(struct blkmap_copy){ .from = &bm.file,
							     .from_off = 0,
							     .to = &bm.file,
							     .to_off = CLUSTER,
							     .len = CLUSTER },
				      &done),
			 0);
	for (uint32_t p = 0; p < 4; p += 2)
		ck_assert_int_eq(put(&seed, noise, p * PAGE, (p + 1) * PAGE), 0);
	(void)fill_up();
	ck_assert_int_eq(put(&seed, noise, 5 * PAGE, 6 * PAGE), -ENOSPC);
	compare(CLUSTER);
	ck_assert_int_eq(blkmap_punch(bm.map, &bm.file, CLUSTER, CLUSTER), 0);
	ck_assert_int_eq(put(&seed, noise, 5 * PAGE, 6 * PAGE), 0);
	compare(CLUSTER);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.shared_pages, 0);
	stop();
}
END_TEST

/* An object that has become small keeps its room, for when it is to be large again. */
START_TEST(test_what_was_overwritten_by_less_may_become_as_large_again)
{
	uint64_t seed = zt_seed();

	bm_start(&bm, &(struct bm_config){ .order = (unsigned)_i });
	ck_assert_int_eq(put(&seed, noise, 0, PAGE << _i), 0);
	(void)fill_up();
	ck_assert_int_eq(put(&seed, soft, 0, PAGE << _i), 0);
	ck_assert_int_eq(put(&seed, noise, 0, PAGE << _i), 0);
	compare(PAGE << _i);
	stop();
}
END_TEST

/* Once there is memory again, recompression finds such an object a smaller room. */
START_TEST(test_what_was_overwritten_by_less_moves_to_a_smaller_room)
{
	uint64_t seed = zt_seed();
	struct blkmap_stat stat;
	uint64_t *slot;

	bm_start(&bm, &(struct bm_config){ .order = 4, .compress = "zstd", .recompress = "zstd" });
	ck_assert_int_eq(put(&seed, noise, 0, CLUSTER), 0);
	(void)fill_up();
	ck_assert_int_eq(put(&seed, soft, 0, CLUSTER), 0);
	give_back();
	slot = tree_slot(bm.arena, &bm.file.tree, 0);
	ck_assert_uint_ge(zs_room_of(bm.map->slots.data, slot_ref(word_get(slot))), CLUSTER);
	ck_assert_uint_eq(blkmap_recompress(bm.map, 0), 1);
	ck_assert_uint_lt(zs_room_of(bm.map->slots.data, slot_ref(word_get(slot))),
			  CLUSTER * 3 / 4);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_gt(stat.recompress_saved, CLUSTER / 4);
	compare(CLUSTER);
	stop();
}
END_TEST

/* Folding and punching find the base's room, too. */
START_TEST(test_folding_and_punching_need_no_memory)
{
	uint64_t seed = zt_seed();

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	ck_assert_int_eq(put(&seed, noise, 0, 2 * CLUSTER), 0);
	for (uint32_t p = 0; p < 20; p += 4)
		ck_assert_int_eq(put(&seed, noise, p * PAGE, (p + 1) * PAGE), 0);
	(void)fill_up();
	ck_assert_int_eq(blkmap_punch(bm.map, &bm.file, 5 * PAGE + 1, 2 * PAGE), 0);
	memset(model + 5 * PAGE + 1, 0, 2 * PAGE);
	compare(2 * CLUSTER);
	fold_idle(&bm.map->upkeep.folder, 0);
	ck_assert_int_eq(kind_of_first(), SLOT_OBJ);
	compare(2 * CLUSTER);
	stop();
}
END_TEST

/* Whatever comes: it succeeds and is there, or it fails and nothing has changed. */
START_TEST(test_random_writes_at_the_limit_match_a_model)
{
	uint64_t seed = zt_seed();
	unsigned nr_done = 0;

	bm_start(&bm, &(struct bm_config){ .order = (unsigned)_i });
	bm_fill(&seed, model, sizeof(model));
	for (uint32_t at = 0; at < sizeof(model); at += 20000) {
		uint32_t len = (uint32_t)min_u64(20000, sizeof(model) - at);

		bm_fill(&seed, model + at, len);
		ck_assert_int_eq(bm_write(&bm, at, model + at, len), 0);
	}
	for (unsigned i = 0; i < 40; i++) {
		uint32_t at = (uint32_t)(zt_random(&seed) % (sizeof(model) - 9000));

		ck_assert_int_eq(put(&seed, bm_fill, at, at + 1 + zt_random(&seed) % 9000), 0);
	}
	for (unsigned i = 0; i < 300; i++) {
		uint32_t at = (uint32_t)(zt_random(&seed) % (sizeof(model) - CLUSTER));
		uint32_t len = 1 + (uint32_t)(zt_random(&seed) %
					      (zt_random(&seed) % 2 ? CLUSTER : 2 * PAGE));
		unsigned nr;
		uint64_t objects = 0;
		int error;

		nr = i % 50 == 0 ? fill_up() : 0;
		if (zt_random(&seed) % 4 == 0) {
			at = at / CLUSTER * CLUSTER;
			len = CLUSTER;
		} else {
			len = (uint32_t)min_u64(len, (PAGE << _i) - at % (PAGE << _i));
		}
		error = put(&seed, zt_random(&seed) % 2 ? noise : bm_fill, at, at + len);
		ck_assert(error == 0 || error == -ENOSPC);
		/* Of several clusters some may have been written. */
		if (error && len > PAGE << _i)
			ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, model, sizeof(model)), 0);
		nr_done += error == 0;
		compare(sizeof(model));
		if (i % 50 == 0) {
			ck_assert_int_eq(blkmap_check_file(bm.map, &bm.file, &objects), 0);
			ck_assert_int_eq(blkmap_check(bm.map, objects + nr), 0);
		}
		if (i % 50 == 49)
			give_back();
	}
	ck_assert_uint_gt(nr_done, 5);
	stop();
}
END_TEST

/* ---- beside others ---- */

static atomic_bool ended;

/* Each write has one byte all over; nobody may see two. */
static void *reader_run(void *arg)
{
	char *bytes = malloc(CLUSTER);

	(void)arg;
	while (!atomic_load(&ended)) {
		ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, bytes, CLUSTER), 0);
		for (uint32_t p = 1; p < 16; p++)
			if (bytes[p * PAGE] != bytes[0])
				abort();
	}
	free(bytes);
	return NULL;
}

static void *mover_run(void *arg)
{
	(void)arg;
	while (!atomic_load(&ended)) {
		zs_compact(bm.map->slots.data, 0);
		fold_idle(&bm.map->upkeep.folder, 0);
	}
	return NULL;
}

/* The first byte of each page is the number of the write, the others don't compress. */
static void numbered(uint64_t *seed, char *to, size_t len, char nr)
{
	noise(seed, to, len);
	for (size_t at = 0; at < len; at += PAGE)
		to[at] = nr;
}

START_TEST(test_readers_see_each_write_whole_or_not_at_all)
{
#ifdef ZT_SANITIZERS
	enum { ROUNDS = 200 };
#else
	enum { ROUNDS = 2000 };
#endif
	uint64_t seed = zt_seed();
	pthread_t reader, mover;

	bm_start(&bm, &(struct bm_config){ .order = 4 });
	numbered(&seed, model, CLUSTER, 0);
	ck_assert_int_eq(bm_write(&bm, 0, model, 10000), 0);
	ck_assert_int_eq(bm_write(&bm, 10000, model + 10000, CLUSTER - 10000), 0);
	for (uint32_t p = 0; _i && p < 16; p += 2)
		ck_assert_int_eq(bm_write(&bm, p * PAGE, model + p * PAGE, PAGE), 0);
	(void)fill_up();
	atomic_store(&ended, false);
	ck_assert_int_eq(pthread_create(&reader, NULL, reader_run, NULL), 0);
	ck_assert_int_eq(pthread_create(&mover, NULL, mover_run, NULL), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		numbered(&seed, model, CLUSTER, (char)round);
		ck_assert_int_eq(bm_write(&bm, 0, model, CLUSTER), 0);
	}
	atomic_store(&ended, true);
	pthread_join(reader, NULL);
	pthread_join(mover, NULL);
	compare(CLUSTER);
	ck_assert_uint_gt(in_place(), ROUNDS / 2);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("overwrite");
	TCase *tc = tcase_create("overwrite");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_a_cluster_that_comes_in_two_parts_is_written_again);
	tcase_add_test(tc, test_a_spread_cluster_is_written_again);
	tcase_add_test(tc, test_a_page_that_has_no_object_goes_into_the_base);
	tcase_add_test(tc, test_a_compressed_base_takes_a_page_where_others_hide_it);
	tcase_add_test(tc, test_the_largest_map_is_overwritten_within_its_bounds);
	tcase_add_test(tc, test_a_page_of_its_own_is_written_again_over_any_base);
	tcase_add_test(tc, test_values_take_rooms_and_give_them_back);
	tcase_add_test(tc, test_a_hole_below_is_filled_and_counted);
	tcase_add_test(tc, test_a_base_that_was_shared_is_the_file_s_own_again);
	tcase_add_loop_test(tc, test_what_was_overwritten_by_less_may_become_as_large_again, 0,
			    BLKMAP_MAX_ORDER + 1);
	tcase_add_test(tc, test_what_was_overwritten_by_less_moves_to_a_smaller_room);
	tcase_add_test(tc, test_folding_and_punching_need_no_memory);
	tcase_add_loop_test(tc, test_random_writes_at_the_limit_match_a_model, 0,
			    BLKMAP_MAX_ORDER + 1);
	tcase_add_loop_test(tc, test_readers_see_each_write_whole_or_not_at_all, 0, 2);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
