// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_pagemap.c - the page map finds each run from each of its pages, and nothing where none is.
 */
#include <string.h>

#include "arena/pagemap.h"
#include "tests/lib/zt_check.h"

#define NR_PAGES 2048u

static uint32_t map[NR_PAGES];

static void setup(void)
{
	memset(map, 0, sizeof(map));
}

START_TEST(test_run_is_found_from_each_of_its_pages)
{
	static const uint32_t lengths[] = { 1, 2, 3, 64, 255, 1024 };
	struct pagemap_run run = { .first = 5, .type = ARENA_RUN_ZSPAGE, .user = 0xabc }, found;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		run.nr_pages = lengths[i];
		pagemap_set(map, &run);
		for (uint32_t page = 0; page < NR_PAGES; page++) {
			bool covered = page >= 5 && page < 5 + lengths[i];

			ck_assert_int_eq(pagemap_find(map, NR_PAGES, page, &found), covered);
			if (!covered)
				continue;
			ck_assert_uint_eq(found.first, 5);
			ck_assert_uint_eq(found.nr_pages, lengths[i]);
			ck_assert_uint_eq(found.type, ARENA_RUN_ZSPAGE);
			ck_assert_uint_eq(found.user, 0xabc);
		}
		pagemap_clear(map, 5);
		for (uint32_t page = 0; page < NR_PAGES; page++)
			ck_assert_uint_eq(map[page], 0);
	}
}
END_TEST

START_TEST(test_neighbours_are_walked_in_order_and_only_once)
{
	struct pagemap_run run = { .type = ARENA_RUN_ZSPAGE }, found;
	uint32_t page = 0, nr = 0;

	for (uint32_t first = 0; first < 300; first += run.nr_pages) {
		run.first = first;
		run.nr_pages = 1 + first % 7;
		run.user = nr++;
		pagemap_set(map, &run);
	}
	for (uint32_t i = 0; i < nr; i++) {
		ck_assert(pagemap_next(map, NR_PAGES, page, &found));
		ck_assert_uint_eq(found.first, page);
		ck_assert_uint_eq(found.user, i);
		page += found.nr_pages;
	}
	ck_assert(!pagemap_next(map, NR_PAGES, page, &found));
}
END_TEST

START_TEST(test_nothing_is_looked_at_behind_the_end)
{
	struct pagemap_run run = { .first = 100, .nr_pages = 8, .type = ARENA_RUN_ZSPAGE }, found;

	pagemap_set(map, &run);
	ck_assert(!pagemap_find(map, 100, 100, &found));
	ck_assert(!pagemap_next(map, 100, 0, &found));
	ck_assert(pagemap_find(map, 101, 100, &found));
}
END_TEST

START_TEST(test_entry_without_its_head_is_no_run)
{
	struct pagemap_run run = { .first = 10, .nr_pages = 8, .type = ARENA_RUN_ZSPAGE }, found;

	pagemap_set(map, &run);
	map[10] = 0;
	ck_assert(!pagemap_find(map, NR_PAGES, 12, &found));
	run.nr_pages = 2; /* a head that does not reach as far as its tail says */
	pagemap_set(map, &run);
	ck_assert(!pagemap_find(map, NR_PAGES, 12, &found));
	map[0] = map[15];
	ck_assert(!pagemap_find(map, NR_PAGES, 0, &found));
}
END_TEST

START_TEST(test_what_is_there_is_wiped_and_said_to_have_been)
{
	struct pagemap_run run = { .first = 10, .nr_pages = 2, .type = ARENA_RUN_ZSPAGE };

	pagemap_set(map, &run);
	ck_assert(!pagemap_wipe(map, 9));
	ck_assert(pagemap_wipe(map, 11));
	ck_assert_uint_eq(map[11], 0);
	ck_assert(!pagemap_wipe(map, 11));
	ck_assert(pagemap_is_head(map, 10));
	ck_assert(!pagemap_is_head(map, 11));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pagemap");
	TCase *tc = tcase_create("pagemap");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_run_is_found_from_each_of_its_pages);
	tcase_add_test(tc, test_neighbours_are_walked_in_order_and_only_once);
	tcase_add_test(tc, test_nothing_is_looked_at_behind_the_end);
	tcase_add_test(tc, test_entry_without_its_head_is_no_run);
	tcase_add_test(tc, test_what_is_there_is_wiped_and_said_to_have_been);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
