// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_scale.c - what is done does not depend on how much else there is: counts of work, no times.
 * tests/blkmap/scale prints times.
 */
#include "blkmap/slot/live.h"
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

int main(void)
{
	Suite *suite = suite_create("scale");
	TCase *tcase = tcase_create("scale");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_all_maps_behind_one_lock_are_folded);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
