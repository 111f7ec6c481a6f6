// SPDX-License-Identifier: GPL-2.0-or-later
/* test_check.c - the arena's walker finds each kind of damage. */
#include <errno.h>

#include "arena/arena.h"
#include "arena/arena_i.h"
#include "tests/lib/zt_check.h"

static struct arena *arena;
static ref_t run; /* 3 pages, the second one populated */
static uint32_t run_page;

static void setup(void)
{
	struct arena_params params = { .reserve = 16 * MIB };

	ck_assert_int_eq(arena_create(&params, &arena), 0);
	ck_assert_int_eq(arena_run_alloc(arena, 3, ARENA_RUN_ZSPAGE, 7, &run), 0);
	ck_assert_int_eq(arena_populate(arena, run + ARENA_PAGE_REFS, 1), 0);
	run_page = (uint32_t)(run / ARENA_PAGE_REFS) - arena->first_page;
	ck_assert_int_eq(arena_check(arena), 0);
}

static void teardown(void)
{
	arena_destroy(arena);
}

START_TEST(test_damaged_superblock_is_found)
{
	struct arena_superblock *sb = arena_ptr(arena, 0);

	sb->magic++;
	ck_assert_int_eq(arena_check(arena), -EUCLEAN);
	sb->magic--;
	sb->reserve += 4 * MIB;
	ck_assert_int_eq(arena_check(arena), -EUCLEAN);
}
END_TEST

START_TEST(test_lost_page_map_entry_is_found)
{
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t entry = arena->map[run_page + i];

		arena->map[run_page + i] = 0;
		ck_assert_int_eq(arena_check(arena), -EUCLEAN);
		arena->map[run_page + i] = entry;
		ck_assert_int_eq(arena_check(arena), 0);
	}
}
END_TEST

START_TEST(test_wrong_sum_of_free_blocks_is_found)
{
	arena->buddy.nr_free[2]++;
	ck_assert_int_eq(arena_check(arena), -EUCLEAN);
	arena->buddy.nr_free[2]--;
	ck_assert_int_eq(arena_check(arena), 0);
}
END_TEST

START_TEST(test_page_map_entry_in_free_range_is_found)
{
	arena->map[run_page + 3] = arena->map[run_page + 2];
	ck_assert_int_eq(arena_check(arena), -EUCLEAN);
}
END_TEST

START_TEST(test_run_that_the_buddy_thinks_free_is_found)
{
	buddy_free(&arena->buddy, run_page, 2);
	ck_assert_int_eq(arena_check(arena), -EUCLEAN);
}
END_TEST

START_TEST(test_page_touched_behind_the_counters_is_found)
{
	*(volatile char *)arena_ptr(arena, run) = 1;
	ck_assert_int_eq(arena_check(arena), -EUCLEAN);
}
END_TEST

START_TEST(test_populated_page_outside_of_runs_is_found)
{
	ck_assert_int_eq(arena_populate(arena, run + 100 * ARENA_PAGE_REFS, 1), 0);
	ck_assert_int_eq(arena_check(arena), -EUCLEAN);
}
END_TEST

START_TEST(test_page_of_the_page_map_that_nobody_needs_is_found)
{
	ck_assert_int_eq(arena_populate(arena, page_to_ref(2), 1), 0);
	ck_assert_int_eq(arena_check(arena), -EUCLEAN);
}
END_TEST

START_TEST(test_wrong_counter_is_found)
{
	arena->run_bytes += ZT_PAGE_SIZE;
	ck_assert_int_eq(arena_check(arena), -EUCLEAN);
	arena->run_bytes -= ZT_PAGE_SIZE;
	arena->resident -= ZT_PAGE_SIZE;
	ck_assert_int_eq(arena_check(arena), -EUCLEAN);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("check");
	TCase *tc = tcase_create("damage");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_damaged_superblock_is_found);
	tcase_add_test(tc, test_lost_page_map_entry_is_found);
	tcase_add_test(tc, test_wrong_sum_of_free_blocks_is_found);
	tcase_add_test(tc, test_page_map_entry_in_free_range_is_found);
	tcase_add_test(tc, test_run_that_the_buddy_thinks_free_is_found);
	tcase_add_test(tc, test_page_touched_behind_the_counters_is_found);
	tcase_add_test(tc, test_populated_page_outside_of_runs_is_found);
	tcase_add_test(tc, test_page_of_the_page_map_that_nobody_needs_is_found);
	tcase_add_test(tc, test_wrong_counter_is_found);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
