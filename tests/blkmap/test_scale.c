// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_scale.c - what is done does not depend on how much else there is: counts of work, no times.
 * tests/blkmap/scale prints times.
 */
#include "blkmap/slot/live.h"
#include "blkmap/upkeep/recompress.h"
#include "tests/blkmap/bm_fixture.h"

static struct bm bm;
static char bytes[4 * ZT_PAGE_SIZE];

/* A cluster with a map, each with bytes of its own. */
static void make_map(uint64_t idx)
{
	memset(bytes, 'a', sizeof(bytes));
	memcpy(bytes, &idx, sizeof(idx));
	ck_assert_int_eq(bm_write(&bm, idx * sizeof(bytes), bytes, sizeof(bytes)), 0);
	bytes[0] ^= 1;
	ck_assert_int_eq(bm_write(&bm, idx * sizeof(bytes), bytes, 1000), 0);
}

START_TEST(test_all_maps_behind_one_lock_are_folded)
{
	enum { NR = 40000 };
	struct bm_config config = { .order = 2 };
	struct slot_lock *lock = NULL;
	struct blkmap_stat stat;
	uint64_t nr = 0;

	bm_start(&bm, &config);
	memset(bytes, 0xaa, sizeof(bytes));
	for (uint64_t i = 0; i < NR; i++)
		ck_assert_int_eq(bm_write(&bm, i * sizeof(bytes), bytes, sizeof(bytes)), 0);
	for (uint64_t i = 0; i < NR; i++) {
		uint64_t *slot = tree_slot(bm.arena, &bm.file.tree, i);

		lock = lock ? lock : slot_lock(&bm.map->slots, slot);
		if (slot_lock(&bm.map->slots, slot) == lock) {
			make_map(i);
			nr++;
		}
	}
	ck_assert_uint_gt(nr, 20);
	ck_assert_uint_eq(lock->maps.by_place.nodes, nr);
	/* Some of them while a thread has other things to do, too; none of those that are not due. */
	ck_assert_uint_eq(fold_some(&bm.map->upkeep.folder, 100, 5), 0);
	ck_assert_uint_eq(fold_some(&bm.map->upkeep.folder, 0, 5), 5);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.folds, 5);
	(void)blkmap_trim(bm.map);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.folds, nr);
	ck_assert_ptr_null(live_map_next(lock, NULL));
	bm_stop(&bm);
}
END_TEST

/* Objects that a pass has looked at. */
static uint64_t pass_looks(void)
{
	uint64_t before = bm.map->upkeep.recomp->looks;

	(void)blkmap_recompress(bm.map, 0);
	return bm.map->upkeep.recomp->looks - before;
}

static void write_page(uint64_t idx, uint64_t seed)
{
	for (unsigned i = 0; i < ZT_PAGE_SIZE; i++)
		bytes[i] = "etaoin shrdlucmf"[zt_random(&seed) % 16];
	ck_assert_int_eq(bm_write(&bm, idx * ZT_PAGE_SIZE, bytes, ZT_PAGE_SIZE), 0);
}

/* Reading each object's header is what would bring pages back that were swapped out. */
START_TEST(test_a_pass_looks_at_what_has_changed_alone)
{
	enum { NR = 20000 };
	struct bm_config config = { .order = 0, .recompress = "zstd" };

	bm_start(&bm, &config);
	for (uint64_t i = 0; i < NR; i++)
		write_page(i, i + 1);
	ck_assert_uint_ge(pass_looks(), NR);
	/* What was made smaller is new, and a dictionary may have come. */
	for (unsigned i = 0; i < 8; i++)
		(void)pass_looks();
	ck_assert_uint_eq(pass_looks(), 0);
	ck_assert_uint_eq(pass_looks(), 0);
	for (uint64_t i = 0; i < 10; i++)
		write_page(i * 1999, NR + i + 1);
	/* With the neighbours of each, of its old size and of its new one. */
	ck_assert_uint_le(pass_looks(), 10 * 512);
	ck_assert_uint_le(pass_looks(), 10 * 512);
	ck_assert_uint_eq(pass_looks(), 0);
	bm_stop(&bm);
}
END_TEST

/* What is read all the time is looked at until it lies idle, the rest is not. */
START_TEST(test_a_pass_comes_back_to_what_was_too_young)
{
	enum { NR = 5000 };
	struct bm_config config = { .order = 0, .recompress = "zstd", .no_dicts = true };
	struct blkmap_stat stat;
	uint64_t looks;

	bm_start(&bm, &config);
	for (uint64_t i = 0; i < NR; i++)
		write_page(i, i + 1);
	atomic_store(&bm.map->slots.age_now, 50);
	ck_assert_int_eq(blkmap_read(bm.map, &bm.file, 0, bytes, ZT_PAGE_SIZE), 0);
	ck_assert_uint_gt(blkmap_recompress(bm.map, 10), NR / 2);
	(void)blkmap_recompress(bm.map, 10);
	for (unsigned i = 0; i < 3; i++) {
		looks = bm.map->upkeep.recomp->looks;
		ck_assert_uint_eq(blkmap_recompress(bm.map, 10), 0);
		looks = bm.map->upkeep.recomp->looks - looks;
		ck_assert_uint_ge(looks, 1);
		ck_assert_uint_le(looks, 1024);
	}
	atomic_store(&bm.map->slots.age_now, 70);
	ck_assert_uint_ge(blkmap_recompress(bm.map, 10), 1);
	blkmap_get_stat(bm.map, &stat);
	ck_assert_uint_eq(stat.recompressed + stat.recompress_kept, NR);
	(void)blkmap_recompress(bm.map, 10);
	ck_assert_uint_eq(pass_looks(), 0);
	bm_stop(&bm);
}
END_TEST

/* Too few small objects for a dictionary: that is found out once, not with each pass. */
START_TEST(test_objects_are_not_counted_for_dictionaries_again_and_again)
{
	struct bm_config config = { .order = 0, .recompress = "zstd" };

	bm_start(&bm, &config);
	for (uint64_t i = 0; i < 100; i++)
		write_page(i, i + 1);
	ck_assert_uint_ge(pass_looks(), 200); /* counted, and gathered */
	for (unsigned i = 0; i < 4; i++)
		(void)pass_looks();
	ck_assert_uint_eq(bm.map->upkeep.recomp->dicts[RECOMP_SMALL].codec, 0);
	ck_assert_uint_eq(pass_looks(), 0);
	/* As many again: they are counted, and a dictionary comes. */
	for (uint64_t i = 100; i < 400; i++)
		write_page(i, i % 10 + 1000);
	ck_assert_uint_ge(pass_looks(), 800);
	ck_assert_uint_ne(bm.map->upkeep.recomp->dicts[RECOMP_SMALL].codec, 0);
	bm_stop(&bm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scale");
	TCase *tcase = tcase_create("scale");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_all_maps_behind_one_lock_are_folded);
	tcase_add_test(tcase, test_a_pass_looks_at_what_has_changed_alone);
	tcase_add_test(tcase, test_a_pass_comes_back_to_what_was_too_young);
	tcase_add_test(tcase, test_objects_are_not_counted_for_dictionaries_again_and_again);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
