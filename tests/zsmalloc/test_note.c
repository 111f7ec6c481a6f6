// SPDX-License-Identifier: GPL-2.0-or-later
/* test_note.c - a scan of what is new visits that, and nothing that is settled. */
#define ZT_LOCKS_UNCHECKED /* a keeper's lock is taken in one callback and given back in another */

#include <errno.h>

#include "tests/lib/zt_check.h"
#include "tests/zsmalloc/keeper.h"
#include "util/alloc.h"
#include "util/sizes.h"

#define NR   20000u
#define SIZE 1000u

static struct arena *arena;
static struct zs_pool *pool;
static struct keeper keeper;

/* What a visitor says, and what it has seen. */
struct look {
	enum zs_verdict verdict;
	uint32_t only; /* it says so of this word's object alone, and settled of others; NR: of all */
	uint64_t seen, seen_only;
};

static enum zs_verdict look_at(void *arg, ref_t ref, uint32_t len, struct zs_owner owner)
{
	struct look *look = arg;
	bool is_it = owner.word == look->only + 1;

	(void)len;
	if (owner.word != 0 && keeper.words[owner.word - 1] != ref)
		abort();
	look->seen++;
	look->seen_only += is_it;
	return look->only == NR || is_it ? look->verdict : ZS_SETTLED;
}

/* A scan to its end. */
static struct look scan(enum zs_verdict verdict, uint32_t only)
{
	struct look look = { .verdict = verdict, .only = only };
	uint64_t cursor = 0;

	while (zs_scan_noted(pool, &cursor, look_at, &look))
		;
	return look;
}

static void make(uint32_t i, uint32_t size)
{
	ck_assert_int_eq(zs_malloc(pool, size, &keeper.words[i]), 0);
	zs_set_owner(arena, keeper.words[i], keeper_owner(i));
}

static void setup(void)
{
	struct arena_params params = { .reserve = 2 * GIB };
	struct zs_pool_params pool_params;

	keeper_init(&keeper, NR);
	pool_params = keeper_pool_params(&keeper);
	ck_assert_int_eq(arena_create(&params, &arena), 0);
	ck_assert_int_eq(zs_pool_create(arena, &pool_params, &pool), 0);
	/* The first half is there before anybody asks, as in a pool that attaches. */
	for (uint32_t i = 0; i < NR / 2; i++)
		make(i, SIZE);
	ck_assert_int_eq(zs_note_changes(pool), 0);
	for (uint32_t i = NR / 2; i < NR; i++)
		make(i, SIZE);
}

static void teardown(void)
{
	ck_assert_int_eq(zs_check(pool), 0);
	for (uint32_t i = 0; i < NR; i++)
		if (keeper.words[i])
			zs_free(pool, keeper.words[i]);
	ck_assert_int_eq(zs_check(pool), 0);
	zs_pool_destroy(pool);
	arena_destroy(arena);
	keeper_exit(&keeper);
}

START_TEST(test_all_are_new_at_first_and_none_once_all_are_settled)
{
	struct zs_pool_stat stat;

	ck_assert_uint_eq(scan(ZS_SETTLED, NR).seen, NR);
	ck_assert_uint_eq(scan(ZS_SETTLED, NR).seen, 0);
	for (uint32_t i = 0; i < NR; i += 2) {
		zs_free(pool, keeper.words[i]);
		keeper.words[i] = 0;
	}
	ck_assert_uint_eq(scan(ZS_SETTLED, NR).seen, 0);
	zs_note_all(pool);
	ck_assert_uint_eq(scan(ZS_SETTLED, NR).seen, NR / 2);
	zs_pool_get_stat(pool, &stat);
	ck_assert_uint_eq(stat.made, NR);
	ck_assert_uint_eq(stat.objects, NR / 2);
}
END_TEST

/* Its neighbours in the zspage are seen with it, and nobody else. */
static void check_noted_alone(uint32_t i)
{
	struct look look = scan(ZS_SETTLED, i);

	ck_assert_uint_eq(look.seen_only, 1);
	ck_assert_uint_le(look.seen, 512);
	ck_assert_uint_eq(scan(ZS_SETTLED, NR).seen, 0);
}

START_TEST(test_what_changes_is_new_again)
{
	(void)scan(ZS_SETTLED, NR);
	zs_free(pool, keeper.words[7]);
	make(7, SIZE);
	check_noted_alone(7);
	ck_assert(zs_resize(pool, keeper.words[4711], SIZE - 10));
	check_noted_alone(4711);
	/* Not when it had to stay as it was. */
	ck_assert(!zs_resize(pool, keeper.words[4711], 3 * SIZE));
	ck_assert_uint_eq(scan(ZS_SETTLED, NR).seen, 0);
	zs_change_owner(pool, keeper.words[815], keeper_owner(815));
	check_noted_alone(815);
}
END_TEST

START_TEST(test_what_is_not_settled_is_seen_each_time)
{
	struct look look;

	(void)scan(ZS_UNSETTLED, 99);
	for (unsigned i = 0; i < 3; i++) {
		look = scan(ZS_UNSETTLED, 99);
		ck_assert_uint_eq(look.seen_only, 1);
		ck_assert_uint_le(look.seen, 512);
	}
	check_noted_alone(99);
}
END_TEST

START_TEST(test_a_scan_that_stops_goes_on_behind_and_comes_back_next_time)
{
	struct look look = { .verdict = ZS_STOP, .only = NR };
	uint64_t cursor = 0, stops = 0;

	while (zs_scan_noted(pool, &cursor, look_at, &look))
		stops++;
	ck_assert_uint_eq(stops, NR);
	ck_assert_uint_eq(look.seen, NR);
	ck_assert_uint_eq(scan(ZS_SETTLED, NR).seen, NR);
	ck_assert_uint_eq(scan(ZS_SETTLED, NR).seen, 0);
}
END_TEST

START_TEST(test_what_is_taken_is_settled_until_it_is_noted)
{
	struct look look;

	(void)scan(ZS_SETTLED, NR);
	zs_note_all(pool);
	look = scan(ZS_TAKE, NR);
	ck_assert_uint_eq(look.seen, NR);
	ck_assert_uint_eq(scan(ZS_SETTLED, NR).seen, 0);
	zs_note_object(pool, keeper.words[7000]);
	check_noted_alone(7000);
	zs_note_object(pool, keeper.words[7000] + 1); /* anywhere in it */
	check_noted_alone(7000);
	zs_note_object(pool, 0);
	zs_note_object(pool, UINT64_MAX >> 30);
	ck_assert_uint_eq(scan(ZS_SETTLED, NR).seen, 0);
}
END_TEST

START_TEST(test_what_compaction_has_moved_is_new_where_it_is_now)
{
	struct look look;
	uint64_t moved;

	(void)scan(ZS_SETTLED, NR);
	for (uint32_t i = 0; i < NR; i++) {
		if (i % 4 == 0)
			continue;
		zs_free(pool, keeper.words[i]);
		keeper.words[i] = 0;
	}
	ck_assert_uint_gt(zs_compact(pool, 0), 0);
	moved = keeper.nr_moved;
	ck_assert_uint_gt(moved, NR / 16);
	look = scan(ZS_SETTLED, NR);
	ck_assert_uint_ge(look.seen, moved);
	ck_assert_uint_le(look.seen, NR / 4);
	ck_assert_uint_eq(scan(ZS_SETTLED, NR).seen, 0);
}
END_TEST

START_TEST(test_without_memory_for_notes_there_are_none)
{
	struct zs_pool_params params = { .name = "other", .id = 2 };
	struct zs_pool *other;

	ck_assert_int_eq(zs_pool_create(arena, &params, &other), 0);
	zt_fault_set(1);
	ck_assert_int_eq(zs_note_changes(other), -ENOMEM);
	zt_fault_set(0);
	zs_note_all(other);
	zs_pool_destroy(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("note");
	TCase *tcase = tcase_create("note");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_all_are_new_at_first_and_none_once_all_are_settled);
	tcase_add_test(tcase, test_what_changes_is_new_again);
	tcase_add_test(tcase, test_what_is_not_settled_is_seen_each_time);
	tcase_add_test(tcase, test_a_scan_that_stops_goes_on_behind_and_comes_back_next_time);
	tcase_add_test(tcase, test_what_is_taken_is_settled_until_it_is_noted);
	tcase_add_test(tcase, test_what_compaction_has_moved_is_new_where_it_is_now);
	tcase_add_test(tcase, test_without_memory_for_notes_there_are_none);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
