// SPDX-License-Identifier: GPL-2.0-or-later
/* test_run.c - runs are apart from each other, found from any place, and walked in order. */
#include <errno.h>

#include "arena/arena.h"
#include "tests/lib/zt_check.h"

static struct arena *arena;

static void setup(void)
{
	struct arena_params params = { .reserve = 64 * MIB };

	ck_assert_int_eq(arena_create(&params, &arena), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(arena_check(arena), 0);
	arena_destroy(arena);
}

START_TEST(test_run_is_found_from_any_ref_inside)
{
	struct arena_run found;
	ref_t ref;

	ck_assert_int_eq(arena_run_alloc(arena, 5, ARENA_RUN_ZSPAGE, 4095, &ref), 0);
	for (ref_t at = ref; at < ref + 5 * ARENA_PAGE_REFS; at++) {
		ck_assert(arena_run_find(arena, at, &found));
		ck_assert_uint_eq(found.ref, ref);
		ck_assert_uint_eq(found.nr_pages, 5);
		ck_assert_uint_eq(found.type, ARENA_RUN_ZSPAGE);
		ck_assert_uint_eq(found.user, 4095);
	}
	ck_assert(!arena_run_find(arena, ref - 1, &found));
	ck_assert(!arena_run_find(arena, ref + 5 * ARENA_PAGE_REFS, &found));
	arena_run_free(arena, ref);
	ck_assert(!arena_run_find(arena, ref, &found));
}
END_TEST

START_TEST(test_wild_refs_belong_to_no_run_and_touch_nothing)
{
	uint64_t state = zt_seed(), held;
	struct arena_run found;
	ref_t ref;

	ck_assert_int_eq(arena_run_alloc(arena, 1, ARENA_RUN_ZSPAGE, 0, &ref), 0);
	held = arena_memfd_bytes(arena);
	ck_assert(!arena_run_find(arena, 0, &found));
	ck_assert(!arena_run_find(arena, UINT64_MAX, &found));
	for (int i = 0; i < 100000; i++) {
		uint64_t wild = zt_random(&state) >> (zt_random(&state) % 64);

		if (wild / ARENA_PAGE_REFS != ref / ARENA_PAGE_REFS)
			ck_assert(!arena_run_find(arena, wild, &found));
	}
	ck_assert_uint_eq(arena_memfd_bytes(arena), held);
	arena_run_free(arena, ref);
}
END_TEST

START_TEST(test_range_used_up_is_enospc_and_comes_back)
{
	ref_t refs[16], ref;
	int nr = 0, error;

	while ((error = arena_run_alloc(arena, 1024, ARENA_RUN_ZSPAGE, 0, &ref)) == 0) {
		ck_assert_int_lt(nr, 16);
		refs[nr++] = ref;
	}
	ck_assert_int_eq(error, -ENOSPC);
	ck_assert_int_eq(nr, 15); /* 4 MiB of 64 for superblock and page map */
	arena_run_free(arena, refs[7]);
	ck_assert_int_eq(arena_run_alloc(arena, 3, ARENA_RUN_ZSPAGE, 0, &ref), 0);
	ck_assert_uint_eq(ref, refs[7]);
	ck_assert_int_eq(arena_check(arena), 0);
	arena_run_free(arena, ref);
	for (int i = 0; i < nr; i++) {
		if (i != 7)
			arena_run_free(arena, refs[i]);
	}
}
END_TEST

START_TEST(test_walk_sees_every_live_run_once_in_order)
{
	uint64_t state = zt_seed(), cursor = 0, end = 0;
	ref_t refs[400];
	uint32_t lengths[400], seen = 0, nr = 0;
	struct arena_run run;

	for (uint32_t i = 0; i < 400; i++) {
		lengths[i] = 1 + (uint32_t)(zt_random(&state) % 20);
		ck_assert_int_eq(arena_run_alloc(arena, lengths[i], ARENA_RUN_ZSPAGE, i, &refs[i]),
				 0);
	}
	for (uint32_t i = 0; i < 400; i += 3)
		arena_run_free(arena, refs[i]);
	ck_assert_int_eq(arena_check(arena), 0);
	while (arena_run_next(arena, &cursor, &run)) {
		ck_assert_uint_lt(run.user, 400);
		ck_assert_uint_ne(run.user % 3, 0);
		ck_assert_uint_eq(run.ref, refs[run.user]);
		ck_assert_uint_eq(run.nr_pages, lengths[run.user]);
		ck_assert_uint_ge(run.ref, end);
		end = run.ref + run.nr_pages * ARENA_PAGE_REFS;
		seen++;
		arena_run_free(arena, run.ref);
	}
	for (uint32_t i = 0; i < 400; i++)
		nr += i % 3 != 0;
	ck_assert_uint_eq(seen, nr);
}
END_TEST

START_TEST(test_page_map_costs_one_page_for_4_mib_of_range)
{
	uint64_t held;
	ref_t ref;

	ck_assert_int_eq(arena_run_alloc(arena, 1, ARENA_RUN_ZSPAGE, 0, &ref), 0);
	held = arena_memfd_bytes(arena);
	for (int i = 0; i < 1023; i++)
		ck_assert_int_eq(arena_run_alloc(arena, 1, ARENA_RUN_ZSPAGE, 0, &ref), 0);
	ck_assert_uint_eq(arena_memfd_bytes(arena), held);
	ck_assert_int_eq(arena_run_alloc(arena, 1, ARENA_RUN_ZSPAGE, 0, &ref), 0);
	ck_assert_uint_eq(arena_memfd_bytes(arena), held + ZT_PAGE_SIZE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("run");
	TCase *tc = tcase_create("run");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_run_is_found_from_any_ref_inside);
	tcase_add_test(tc, test_wild_refs_belong_to_no_run_and_touch_nothing);
	tcase_add_test(tc, test_range_used_up_is_enospc_and_comes_back);
	tcase_add_test(tc, test_walk_sees_every_live_run_once_in_order);
	tcase_add_test(tc, test_page_map_costs_one_page_for_4_mib_of_range);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
