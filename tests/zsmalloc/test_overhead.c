// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_overhead.c - what a pool costs over the sum of its objects' lengths, in arena and heap.
 *
 * Contents don't matter here; pages are populated but hardly written.
 */
#define ZT_LOCKS_UNCHECKED /* a keeper's lock is taken in one callback and given back in another */

#include <malloc.h>
#include <string.h>

#include "tests/lib/zt_check.h"
#include "tests/zsmalloc/keeper.h"
#include "util/sizes.h"

#define TOTAL       (256 * MIB)
#define MAX_OBJECTS 400000u

static struct arena *arena;
static struct zs_pool *pool;
static struct keeper keeper;
static uint32_t nr_objects;
static uint64_t state;

static void setup(void)
{
	struct arena_params params = { .reserve = 8 * GIB };
	struct zs_pool_params pool_params;

	state = zt_seed();
	nr_objects = 0;
	keeper_init(&keeper, MAX_OBJECTS);
	pool_params = keeper_pool_params(&keeper);
	ck_assert_int_eq(arena_create(&params, &arena), 0);
	ck_assert_int_eq(zs_pool_create(arena, &pool_params, &pool), 0);
}

static void teardown(void)
{
	struct zs_pool_stat stat;
	struct arena_stat arena_stat;

	for (uint32_t i = 0; i < nr_objects; i++) {
		if (keeper.words[i])
			zs_free(pool, keeper.words[i]);
	}
	(void)zs_trim(pool, 0);
	ck_assert_int_eq(zs_check(pool), 0);
	ck_assert_int_eq(arena_check(arena), 0);
	zs_pool_get_stat(pool, &stat);
	ck_assert_uint_eq(stat.resident, 0);
	ck_assert_uint_eq(stat.zspages, 0);
	ck_assert_uint_eq(stat.objects, 0);
	arena_get_stat(arena, &arena_stat);
	ck_assert_uint_eq(arena_stat.run_bytes, 0);
	ck_assert_uint_le(arena_stat.resident, 40 * ZT_PAGE_SIZE + arena_stat.resident_max / 500);
	zs_pool_destroy(pool);
	arena_destroy(arena);
	keeper_exit(&keeper);
}

/* Objects of average length @mean, from half of it to one and a half. */
static void fill(uint64_t total, uint32_t mean)
{
	for (uint64_t sum = 0; sum < total;) {
		uint32_t len = mean / 2 + (uint32_t)(zt_random(&state) % (mean + 1));
		uint32_t i = nr_objects++;

		ck_assert_uint_lt(i, MAX_OBJECTS);
		ck_assert_int_eq(zs_malloc(pool, len, &keeper.words[i]), 0);
		zs_set_owner(arena, keeper.words[i], keeper_owner(i));
		sum += len;
	}
}

static void free_at_random(unsigned percent)
{
	for (uint32_t i = 0; i < nr_objects; i++) {
		if (zt_random(&state) % 100 < percent) {
			zs_free(pool, keeper.words[i]);
			keeper.words[i] = 0;
		}
	}
}

/* All memory of the arena over the sum of lengths, in percent beyond 100, not more than @most. */
static void expect_overhead(const char *what, double most)
{
	struct arena_stat arena_stat;
	struct zs_pool_stat stat;
	double over;

	arena_get_stat(arena, &arena_stat);
	zs_pool_get_stat(pool, &stat);
	over = 100.0 * (double)arena_stat.resident / (double)stat.object_bytes - 100;
	printf("%s: %" PRIu64 " objects, %" PRIu64 " KiB: %.2f %% over\n", what, stat.objects,
	       stat.object_bytes / KIB, over);
	ck_assert_msg(over <= most, "%s: %.2f %% over, allowed are %.2f", what, over, most);
}

static void compact_and_trim(void)
{
	uint64_t before, after, given;

	before = arena_memfd_bytes(arena);
	given = zs_compact(pool, 0);
	given += zs_trim(pool, 0);
	after = arena_memfd_bytes(arena);
	ck_assert_uint_eq(before - after, given);
	ck_assert_int_eq(zs_check(pool), 0);
}

START_TEST(test_stream_of_clusters_costs_at_most_2_percent)
{
	fill(TOTAL, 30000);
	expect_overhead("clusters", 2.0);
}
END_TEST

START_TEST(test_stream_of_pages_costs_at_most_3_percent)
{
	fill(TOTAL, 2000);
	expect_overhead("pages", 3.0);
}
END_TEST

START_TEST(test_raw_clusters_cost_at_most_1_2_percent)
{
	static const uint32_t keeper_bytes[] = { 0, 16 };

	for (size_t k = 0; k < ARRAY_SIZE(keeper_bytes); k++) {
		for (uint32_t size = ZT_PAGE_SIZE; size <= 128 * KIB; size *= 2) {
			uint32_t i = 0;

			for (; (uint64_t)i * size < TOTAL / 16; i++)
				ck_assert_int_eq(
					zs_malloc(pool, size + keeper_bytes[k], &keeper.words[i]),
					0);
			expect_overhead("raw", 1.2);
			while (i-- > 0) {
				zs_free(pool, keeper.words[i]);
				keeper.words[i] = 0;
			}
			(void)zs_trim(pool, 0);
		}
	}
}
END_TEST

START_TEST(test_few_small_objects_cost_at_most_10_percent)
{
	fill(8 * MIB, 500);
	expect_overhead("few small", 10.0);
}
END_TEST

START_TEST(test_churned_clusters_cost_at_most_15_percent_after_compaction)
{
	fill(TOTAL, 30000);
	free_at_random(90);
	compact_and_trim();
	expect_overhead("clusters, 90 % freed", 15.0);
	ck_assert_uint_gt(keeper.nr_moved, 0);
}
END_TEST

START_TEST(test_churned_pages_cost_at_most_15_percent_after_compaction)
{
	fill(TOTAL / 4, 2000);
	free_at_random(90);
	compact_and_trim();
	expect_overhead("pages, 90 % freed", 15.0);
	ck_assert_uint_gt(keeper.nr_moved, 0);
}
END_TEST

START_TEST(test_churned_half_costs_at_most_10_percent_after_compaction)
{
	fill(TOTAL / 2, 30000);
	fill(TOTAL / 4, 2000);
	for (int round = 0; round < 3; round++) {
		free_at_random(50);
		for (uint32_t i = 0; i < nr_objects; i++) {
			if (keeper.words[i])
				continue;
			ck_assert_int_eq(zs_malloc(pool, 1 + (uint32_t)(zt_random(&state) % 40000),
						   &keeper.words[i]),
					 0);
			zs_set_owner(arena, keeper.words[i], keeper_owner(i));
			if (i % 8)
				i += 12;
		}
		for (uint32_t i = 0; i < nr_objects; i++) {
			if (!keeper.words[i])
				keeper.words[i--] = keeper.words[--nr_objects];
			else
				zs_set_owner(arena, keeper.words[i], keeper_owner(i));
		}
	}
	free_at_random(50);
	compact_and_trim();
	expect_overhead("mixed, half freed", 10.0);
}
END_TEST

START_TEST(test_heap_costs_at_most_half_a_percent)
{
#ifndef ZT_SANITIZERS
	size_t before = mallinfo2().uordblks, after;

	fill(TOTAL, 30000);
	after = mallinfo2().uordblks;
	ck_assert_uint_le(after - before, TOTAL / 1000);
	before = after;
	fill(TOTAL / 4, 2000);
	after = mallinfo2().uordblks;
	ck_assert_uint_le(after - before, TOTAL / 4 / 200);
#endif
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("overhead");
	TCase *tc = tcase_create("overhead");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_stream_of_clusters_costs_at_most_2_percent);
	tcase_add_test(tc, test_stream_of_pages_costs_at_most_3_percent);
	tcase_add_test(tc, test_raw_clusters_cost_at_most_1_2_percent);
	tcase_add_test(tc, test_few_small_objects_cost_at_most_10_percent);
	tcase_add_test(tc, test_churned_clusters_cost_at_most_15_percent_after_compaction);
	tcase_add_test(tc, test_churned_pages_cost_at_most_15_percent_after_compaction);
	tcase_add_test(tc, test_churned_half_costs_at_most_10_percent_after_compaction);
	tcase_add_test(tc, test_heap_costs_at_most_half_a_percent);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
