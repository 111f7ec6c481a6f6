// SPDX-License-Identifier: GPL-2.0-or-later
/* test_stock.c - memory kept ready: filled, used, eased, used up. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "arena/stock.h"
#include "tests/lib/zt_check.h"
#include "util/alloc.h"

#define STOCK (2 * MIB)
/* Runs of a page in a test. */
#define MAX_PIECES 4096u

static struct arena *make(uint64_t limit)
{
	const struct arena_params params = {
		.backing = ARENA_MEMFD, .reserve = 64 * MIB, .limit = limit, .stock = STOCK
	};
	struct arena *arena;

	ck_assert_int_eq(arena_create(&params, &arena), 0);
	return arena;
}

static struct arena_stat stat_of(const struct arena *arena)
{
	struct arena_stat stat;

	arena_get_stat(arena, &stat);
	return stat;
}

START_TEST(test_stock_is_full_when_the_arena_is_made)
{
	struct arena *arena = make(0);

	ck_assert(arena_is_stocked(arena));
	ck_assert_uint_ge(stat_of(arena).stock_ready, STOCK);
	ck_assert_int_eq(arena_check(arena), 0);
	arena_destroy(arena);
}
END_TEST

START_TEST(test_runs_come_out_of_the_stock_zeroed_and_go_back)
{
	struct arena *arena = make(0);
	ref_t refs[64];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 64; i++) {
			const uint32_t nr_pages = 1 + i % 13;
			char *bytes;

			ck_assert_int_eq(
				arena_run_alloc(arena, nr_pages, ARENA_RUN_ZSPAGE, 0, &refs[i]), 0);
			ck_assert_int_eq(arena_populate(arena, refs[i], nr_pages), 0);
			bytes = arena_ptr(arena, refs[i]);
			/* zero, and each byte as the one before it */
			ck_assert_int_eq(bytes[0], 0);
			ck_assert_int_eq(memcmp(bytes, bytes + 1, nr_pages * ZT_PAGE_SIZE - 1), 0);
			memset(bytes, 1, nr_pages * ZT_PAGE_SIZE);
		}
		for (unsigned i = 0; i < 64; i++) {
			arena_punch(arena, refs[i], 1 + i % 13);
			arena_run_free(arena, refs[i]);
		}
	}
	ck_assert_uint_eq(stat_of(arena).run_bytes, 0);
	ck_assert_int_eq(arena_check(arena), 0);
	arena_destroy(arena);
}
END_TEST

/* The walker and the end ask the grower to rest at any moment of its work. */
START_TEST(test_the_grower_hears_of_a_walk_and_of_the_end_in_the_middle_of_its_work)
{
	for (unsigned round = 0; round < 64; round++) {
		struct arena *arena = make(0);
		ref_t refs[32];

		for (unsigned i = 0; i < 32; i++)
			ck_assert_int_eq(arena_run_alloc(arena, 13, ARENA_RUN_ZSPAGE, 0, &refs[i]),
					 0);
		/* No sched_yield(): on a busy machine it would take all the time there is. */
		for (unsigned i = 0; i < round % 32 * 500; i++)
			__asm__ volatile("" : : : "memory");
		if (round % 2)
			ck_assert_int_eq(arena_check(arena), 0);
		for (unsigned i = 0; i < 32; i++)
			arena_run_free(arena, refs[i]);
		arena_destroy(arena);
	}
}
END_TEST

START_TEST(test_what_the_limit_forbids_is_refused_at_once_and_frees_help)
{
	struct arena *arena = make(4 * MIB);
	ref_t refs[128];
	unsigned nr = 0;
	int error;

	while ((error = arena_run_alloc(arena, 16, ARENA_RUN_ZSPAGE, 0, &refs[nr])) == 0)
		nr++;
	ck_assert_int_eq(error, -ENOSPC);
	ck_assert_uint_ge(nr, 50);
	ck_assert_uint_le(stat_of(arena).resident, 4 * MIB);
	ck_assert_int_eq(arena_check(arena), 0);
	ck_assert_uint_ge(stat_of(arena).stock_timeouts, 1);
	arena_run_free(arena, refs[--nr]);
	ck_assert_int_eq(arena_run_alloc(arena, 16, ARENA_RUN_ZSPAGE, 0, &refs[nr]), 0);
	nr++;
	while (nr > 0)
		arena_run_free(arena, refs[--nr]);
	arena_destroy(arena);
}
END_TEST

START_TEST(test_a_limit_below_the_stock_is_refused)
{
	const struct arena_params params = {
		.backing = ARENA_MEMFD, .reserve = 64 * MIB, .limit = MIB, .stock = STOCK
	};
	struct arena *arena;

	ck_assert_int_eq(arena_create(&params, &arena), -ENOSPC);
}
END_TEST

START_TEST(test_no_memory_for_it_is_refused)
{
	const struct arena_params params = { .backing = ARENA_MEMFD,
					     .reserve = 64 * MIB,
					     .stock = STOCK };
	struct arena *arena;
	int error = -ENOMEM;
	long n = 0;

	while (error) {
		zt_fault_set(++n);
		error = arena_create(&params, &arena);
		ck_assert(error == 0 || error == -ENOMEM);
		ck_assert_int_lt(n, 50);
	}
	zt_fault_set(0);
	ck_assert_int_gt(n, 2);
	arena_destroy(arena);
}
END_TEST

/* The grower gets there, or five seconds have passed. */
static bool ready_becomes(const struct arena *arena, uint64_t from, uint64_t to)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (unsigned tries = 0; tries < 5000; tries++) {
		uint64_t ready = stat_of(arena).stock_ready;

		if (ready >= from && ready <= to)
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

static unsigned take(struct arena *arena, ref_t *refs, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		ck_assert_int_eq(arena_run_alloc(arena, 16, ARENA_RUN_ZSPAGE, 0, &refs[i]), 0);
	return nr;
}

static void give(struct arena *arena, const ref_t *refs, unsigned nr)
{
	while (nr > 0)
		arena_run_free(arena, refs[--nr]);
}

START_TEST(test_it_is_filled_only_with_what_there_is_room_for)
{
	const struct arena_grant none = { 0 }, some = { .more = 4 * 16 + 15 };
	struct arena *arena = make(0);
	uint64_t left;
	ref_t refs[8];
	unsigned nr;

	arena_stock_grant(arena, &none);
	nr = take(arena, refs, 8);
	(void)usleep(50000);
	left = stat_of(arena).stock_ready;
	ck_assert_uint_lt(left, STOCK - 6 * 64 * KIB);
	arena_stock_grant(arena, &some);
	ck_assert(ready_becomes(arena, left + 4 * 64 * KIB, UINT64_MAX));
	(void)usleep(50000);
	ck_assert_uint_eq(stat_of(arena).stock_ready, left + 4 * 64 * KIB);
	give(arena, refs, nr);
	ck_assert_int_eq(arena_check(arena), 0);
	arena_destroy(arena);
}
END_TEST

START_TEST(test_who_waits_gets_what_is_urgent)
{
	const struct arena_grant urgent = { .urgent = 2 * 16 };
	struct arena *arena = make(0);
	ref_t refs[64];
	unsigned nr = 0, waits;

	arena_stock_grant(arena, &(struct arena_grant){ 0 });
	while (stat_of(arena).stock_ready >= 64 * KIB)
		nr += take(arena, refs + nr, 1);
	waits = (unsigned)stat_of(arena).stock_waits;
	ck_assert(!arena_stock_is_short(arena));
	arena_stock_grant(arena, &urgent);
	nr += take(arena, refs + nr, 1);
	ck_assert_uint_eq(stat_of(arena).stock_timeouts, 0);
	ck_assert_uint_le(stat_of(arena).stock_waits, waits + 1);
	/* The second granule, and no more: then it is waited for in vain. */
	nr += take(arena, refs + nr, 1);
	ck_assert_int_eq(arena_run_alloc(arena, 16, ARENA_RUN_ZSPAGE, 0, &refs[nr]), -ENOSPC);
	ck_assert_uint_eq(stat_of(arena).stock_timeouts, 1);
	/* From then on nobody waits, until something was given back. */
	waits = (unsigned)stat_of(arena).stock_waits;
	ck_assert_int_eq(arena_run_alloc(arena, 16, ARENA_RUN_ZSPAGE, 0, &refs[nr]), -ENOSPC);
	ck_assert_uint_eq(stat_of(arena).stock_waits, waits);
	give(arena, refs + nr - 1, 1);
	(void)take(arena, refs + nr - 1, 1);
	ck_assert_int_eq(arena_run_alloc(arena, 16, ARENA_RUN_ZSPAGE, 0, &refs[nr]), -ENOSPC);
	ck_assert_uint_eq(stat_of(arena).stock_waits, waits + 1);
	give(arena, refs, nr);
	arena_destroy(arena);
}
END_TEST

START_TEST(test_it_gives_back_step_by_step_and_keeps_a_rest)
{
	const struct arena_grant back = { .back = 64 },
				all = { .more = UINT64_MAX, .urgent = UINT64_MAX };
	struct arena *arena = make(0);
	uint64_t before = stat_of(arena).stock_ready, memory = arena_memfd_bytes(arena);

	arena_stock_grant(arena, &back);
	ck_assert(ready_becomes(arena, before - 256 * KIB, before - 256 * KIB));
	ck_assert_uint_eq(arena_memfd_bytes(arena), memory - 256 * KIB);
	for (uint64_t at = before - 256 * KIB; at >= 512 * KIB; at -= 256 * KIB) {
		arena_stock_grant(arena, &back);
		ck_assert(ready_becomes(arena, 0, at - 256 * KIB));
	}
	arena_stock_grant(arena, &back);
	(void)usleep(50000);
	ck_assert_uint_ge(stat_of(arena).stock_ready, 256 * KIB);
	ck_assert_uint_lt(stat_of(arena).stock_ready, 512 * KIB);
	ck_assert_int_eq(arena_check(arena), 0);
	arena_stock_grant(arena, &all);
	ck_assert(ready_becomes(arena, STOCK, UINT64_MAX));
	arena_destroy(arena);
}
END_TEST

/* Every page of the stock in a run of its own, and then every second one free: none lie together. */
static unsigned scatter(struct arena *arena, ref_t *refs, unsigned least)
{
	unsigned nr = 0, kept = 0;

	while (nr < least || stat_of(arena).stock_ready > 0) {
		ck_assert_uint_lt(nr, MAX_PIECES);
		if (nr == least) /* what is there now, and no more */
			arena_stock_grant(arena, &(struct arena_grant){ 0 });
		ck_assert_int_eq(arena_run_alloc(arena, 1, ARENA_RUN_ZSPAGE, 0, &refs[nr]), 0);
		nr++;
	}
	for (unsigned i = 0; i < nr; i++) {
		if (refs[i] / ARENA_PAGE_REFS % 2)
			arena_run_free(arena, refs[i]);
		else
			refs[kept++] = refs[i];
	}
	return kept;
}

/* A run that was waited for in vain: nobody waits any longer, so what the kernel needs goes back. */
START_TEST(test_who_has_given_up_does_not_keep_the_stock_from_the_kernel)
{
	static ref_t refs[MAX_PIECES];
	struct arena *arena = make(0);
	unsigned nr = scatter(arena, refs, 1);
	uint64_t before;
	ref_t run;

	ck_assert_int_eq(arena_run_alloc(arena, 2, ARENA_RUN_ZSPAGE, 0, &run), -ENOSPC);
	give(arena, refs, nr);
	before = stat_of(arena).stock_ready;
	arena_stock_grant(arena, &(struct arena_grant){ .back = 64 });
	ck_assert(ready_becomes(arena, before - 256 * KIB, before - 256 * KIB));
	ck_assert_int_eq(arena_check(arena), 0);
	arena_destroy(arena);
}
END_TEST

/* More than enough is ready, in single pages; the granule that is made for a run is not too much. */
START_TEST(test_what_is_made_for_a_run_is_not_given_back_before_it_is_taken)
{
	static ref_t refs[MAX_PIECES];
	struct arena *arena = make(0);
	unsigned nr = scatter(arena, refs, 1600);

	ck_assert_uint_gt(stat_of(arena).stock_ready, STOCK + STOCK / 8 + 64 * ZT_PAGE_SIZE);
	arena_stock_grant(arena, &(struct arena_grant){ .urgent = 16 });
	nr += take(arena, refs + nr, 1);
	ck_assert_uint_eq(stat_of(arena).stock_timeouts, 0);
	give(arena, refs, nr);
	ck_assert_int_eq(arena_check(arena), 0);
	arena_destroy(arena);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arena stock");
	TCase *tc = tcase_create("stock");

	tcase_add_test(tc, test_stock_is_full_when_the_arena_is_made);
	tcase_add_test(tc, test_runs_come_out_of_the_stock_zeroed_and_go_back);
	tcase_add_test(tc,
		       test_the_grower_hears_of_a_walk_and_of_the_end_in_the_middle_of_its_work);
	tcase_add_test(tc, test_what_the_limit_forbids_is_refused_at_once_and_frees_help);
	tcase_add_test(tc, test_a_limit_below_the_stock_is_refused);
	tcase_add_test(tc, test_no_memory_for_it_is_refused);
	tcase_add_test(tc, test_it_is_filled_only_with_what_there_is_room_for);
	tcase_add_test(tc, test_who_waits_gets_what_is_urgent);
	tcase_add_test(tc, test_it_gives_back_step_by_step_and_keeps_a_rest);
	tcase_add_test(tc, test_who_has_given_up_does_not_keep_the_stock_from_the_kernel);
	tcase_add_test(tc, test_what_is_made_for_a_run_is_not_given_back_before_it_is_taken);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return zt_check_main(s);
}
