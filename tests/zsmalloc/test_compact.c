// SPDX-License-Identifier: GPL-2.0-or-later
/* test_compact.c - objects move together, with their keepers' consent, and memory comes back. */
#define ZT_LOCKS_UNCHECKED /* a keeper's lock is taken in one callback and given back in another */

#include <errno.h>
#include <string.h>

#include "tests/lib/zt_check.h"
#include "tests/zsmalloc/keeper.h"
#include "util/alloc.h"
#include "util/hook.h"
#include "util/sizes.h"

#define NR_WORDS 20000u

static struct arena *arena;
static struct zs_pool *pool;
static struct keeper keeper;
static uint64_t state;

static void setup(void)
{
	struct arena_params params = { .reserve = 2 * GIB };
	struct zs_pool_params pool_params;

	state = zt_seed();
	keeper_init(&keeper, NR_WORDS);
	pool_params = keeper_pool_params(&keeper);
	ck_assert_int_eq(arena_create(&params, &arena), 0);
	ck_assert_int_eq(zs_pool_create(arena, &pool_params, &pool), 0);
}

static void check_all(void)
{
	ck_assert_int_eq(zs_check(pool), 0);
	ck_assert_int_eq(arena_check(arena), 0);
}

static void verify(uint32_t i)
{
	const unsigned char *bytes = zs_data(arena, keeper.words[i]);
	uint32_t len = zs_size(arena, keeper.words[i]);

	for (uint32_t at = 0; at < len; at++) {
		if (bytes[at] != (unsigned char)(i + at * 3))
			ck_abort_msg("object %" PRIu32 ": byte %" PRIu32 " differs", i, at);
	}
}

static void teardown(void)
{
	check_all();
	for (uint32_t i = 0; i < NR_WORDS; i++) {
		if (keeper.words[i]) {
			verify(i);
			zs_free(pool, keeper.words[i]);
		}
	}
	check_all();
	zs_pool_destroy(pool);
	arena_destroy(arena);
	keeper_exit(&keeper);
}

static void make(uint32_t i, uint32_t len)
{
	unsigned char *bytes;

	ck_assert_int_eq(zs_malloc(pool, len, &keeper.words[i]), 0);
	bytes = zs_data(arena, keeper.words[i]);
	for (uint32_t at = 0; at < len; at++)
		bytes[at] = (unsigned char)(i + at * 3);
	zs_set_owner(arena, keeper.words[i], keeper_owner(i));
}

static void drop(uint32_t i)
{
	zs_free(pool, keeper.words[i]);
	keeper.words[i] = 0;
}

static void make_many(uint32_t nr, uint32_t len)
{
	for (uint32_t i = 0; i < nr; i++)
		make(i, len);
}

/* Keep one in @n. */
static void thin_out(uint32_t nr, uint32_t n)
{
	for (uint32_t i = 0; i < nr; i++) {
		if (i % n)
			drop(i);
	}
}

static struct zs_pool_stat stat(void)
{
	struct zs_pool_stat now;

	zs_pool_get_stat(pool, &now);
	return now;
}

static const uint32_t sizes[] = { 24, 100, 1000, 2000, 4096, 7000, 30000, 66000 };

START_TEST(test_scattered_objects_are_gathered)
{
	uint32_t size = sizes[_i], nr = (uint32_t)min_u64(NR_WORDS, 12 * MIB / size);
	uint64_t needed, before;

	make_many(nr, size);
	thin_out(nr, 7);
	(void)zs_trim(pool, 0);
	before = arena_memfd_bytes(arena);
	needed = stat().objects * (size + ZS_HDR_SIZE + 32);
	ck_assert_uint_gt(zs_compact(pool, 0), 0);
	check_all();
	ck_assert_uint_eq(stat().pages_compacted > 0, 1);
	ck_assert_uint_lt(arena_memfd_bytes(arena), before);
	ck_assert_uint_eq(stat().cached, 0);
	ck_assert_uint_le(stat().resident, needed + needed / 20 + 3 * ZT_PAGE_SIZE);
	/* A second time there is nothing to do. */
	keeper.nr_moved = 0;
	ck_assert_uint_eq(zs_compact(pool, 0), 0);
	ck_assert_uint_eq(keeper.nr_moved, 0);
}
END_TEST

START_TEST(test_compaction_returns_what_it_says)
{
	uint64_t before, given;

	for (uint32_t i = 0; i < 3000; i++)
		make(i, 1 + (uint32_t)(zt_random(&state) % 20000));
	thin_out(3000, 5);
	(void)zs_trim(pool, 0);
	before = arena_memfd_bytes(arena);
	given = zs_compact(pool, 0);
	ck_assert_uint_gt(given, 0);
	ck_assert_uint_eq(before - arena_memfd_bytes(arena), given);
}
END_TEST

#ifdef ZT_DEBUG
static uint64_t bytes_before, bytes_after;

/* Once: compaction comes by while the first page of what is allocated is not there yet. */
static void compact_meanwhile(void *arg, const char *point, uint64_t what)
{
	(void)arg;
	(void)what;
	if (strcmp(point, "zspage: pages are on their way") != 0)
		return;
	zt_hook_set(NULL, NULL);
	bytes_before = arena_memfd_bytes(arena);
	(void)zs_compact(pool, 0);
	bytes_after = arena_memfd_bytes(arena);
}

/* Four objects in five pages; of each four the second one stays: the first page of the others is not there. */
START_TEST(test_compaction_does_not_touch_memory_that_is_on_its_way)
{
	const uint32_t size = 5 * ZT_PAGE_SIZE / 4 - ZS_HDR_SIZE;

	make_many(400, size);
	for (uint32_t i = 0; i < 400; i++) {
		/* Without an owner it stays, so that no memory is taken for where it would go. */
		if (i % 4 == 1)
			zs_set_owner(arena, keeper.words[i], (struct zs_owner){ .word = 0 });
		else
			drop(i);
	}
	(void)zs_trim(pool, 0);
	bytes_after = 0;
	zt_hook_set(compact_meanwhile, NULL);
	make(400, size);
	ck_assert_uint_gt(bytes_after, 0);
	ck_assert_uint_eq(bytes_after, bytes_before);
}
END_TEST
#endif

START_TEST(test_full_zspages_are_left_alone)
{
	make_many(5000, 1000);
	ck_assert_uint_eq(zs_compact(pool, 0), 0);
	ck_assert_uint_eq(keeper.nr_moved + keeper.nr_refused, 0);
}
END_TEST

START_TEST(test_objects_without_owner_stay)
{
	static ref_t pinned[1000];

	for (uint32_t i = 0; i < 1000; i++) {
		ck_assert_int_eq(zs_malloc(pool, 1500, &pinned[i]), 0);
		memset(zs_data(arena, pinned[i]), (int)i, 1500);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		if (i % 8)
			zs_free(pool, pinned[i]);
	}
	(void)zs_trim(pool, 0);
	ck_assert_uint_eq(zs_compact(pool, 0), 0);
	check_all();
	for (uint32_t i = 0; i < 1000; i += 8) {
		const unsigned char *bytes = zs_data(arena, pinned[i]);

		ck_assert(zs_is_live(pool, pinned[i]));
		for (uint32_t at = 0; at < 1500; at++)
			ck_assert_uint_eq(bytes[at], (unsigned char)i);
		zs_free(pool, pinned[i]);
	}
}
END_TEST

START_TEST(test_refused_moves_change_nothing)
{
	uint64_t objects;

	make_many(4000, 2000);
	thin_out(4000, 6);
	objects = stat().objects;
	keeper.refuse = true;
	(void)zs_compact(pool, 0);
	ck_assert_uint_gt(keeper.nr_refused, 0);
	ck_assert_uint_eq(keeper.nr_moved, 0);
	ck_assert_uint_eq(stat().objects, objects);
	check_all();
	keeper.refuse = false;
	ck_assert_uint_gt(zs_compact(pool, 0), 0);
}
END_TEST

START_TEST(test_locked_words_keep_their_objects)
{
	static ref_t held[NR_WORDS];

	make_many(6000, 600);
	thin_out(6000, 5);
	memcpy(held, keeper.words, sizeof(held));
	mutex_lock(&keeper.locks[5]);
	ck_assert_uint_gt(zs_compact(pool, 0), 0);
	for (uint32_t i = 5; i < 6000; i += KEEPER_NR_LOCKS)
		ck_assert_uint_eq(keeper.words[i], held[i]);
	mutex_unlock(&keeper.locks[5]);
}
END_TEST

START_TEST(test_word_that_names_another_object_is_refused)
{
	ref_t ref;

	make_many(1000, 3000);
	thin_out(1000, 4);
	/* Replaced but not freed yet: the word of 0 has gone on. */
	ref = keeper.words[0];
	make(0, 3000);
	(void)zs_compact(pool, 0);
	ck_assert(zs_is_live(pool, ref));
	zs_free(pool, ref);
}
END_TEST

START_TEST(test_bytes_copied_are_bounded)
{
	make_many(2000, 10000);
	thin_out(2000, 5);
	(void)zs_compact(pool, 50000);
	ck_assert_uint_ge(keeper.nr_moved, 4);
	ck_assert_uint_le(keeper.nr_moved, 5);
}
END_TEST

START_TEST(test_pool_without_keeper_is_not_compacted)
{
	struct zs_pool_params params = { .name = "unkept", .id = 1 };
	struct zs_pool *unkept;
	ref_t ref;

	ck_assert_int_eq(zs_pool_create(arena, &params, &unkept), 0);
	ck_assert_int_eq(zs_malloc(unkept, 100, &ref), 0);
	ck_assert_uint_eq(zs_compact(unkept, 0), 0);
	zs_pool_destroy(unkept);
}
END_TEST

/* A keeper that changes the owner's index at the last moment, as if it had just come before us. */
static uint32_t nr_ended_unmoved;

static bool reindex_begin(void *arg, struct zs_owner owner, ref_t old_ref)
{
	(void)arg;
	owner.index ^= 1;
	zs_set_owner(arena, old_ref, owner);
	return true;
}

static void reindex_end(void *arg, struct zs_owner owner, ref_t new_ref)
{
	(void)arg;
	(void)owner;
	nr_ended_unmoved += new_ref == 0;
}

/* A keeper whose lock is got only after somebody overwrote the object in place. */
static struct zs_pool *overwritten_pool;
static ref_t overwritten[200];

static bool overwrite_begin(void *arg, struct zs_owner owner, ref_t old_ref)
{
	(void)arg;
	memset(zs_data(arena, old_ref), (int)owner.word, 2500);
	return overwritten[owner.word - 1] == old_ref;
}

static void overwrite_end(void *arg, struct zs_owner owner, ref_t new_ref)
{
	(void)arg;
	overwritten[owner.word - 1] = new_ref;
}

START_TEST(test_bytes_are_copied_under_the_keepers_lock)
{
	struct zs_pool_params params = { .name = "overwritten",
					 .id = 1,
					 .relocate_begin = overwrite_begin,
					 .relocate_end = overwrite_end };
	uint32_t nr_moved = 0;

	ck_assert_int_eq(zs_pool_create(arena, &params, &overwritten_pool), 0);
	for (uint32_t i = 0; i < 200; i++) {
		ck_assert_int_eq(zs_malloc(overwritten_pool, 2500, &overwritten[i]), 0);
		memset(zs_data(arena, overwritten[i]), 0xff, 2500);
		zs_set_owner(arena, overwritten[i], (struct zs_owner){ .word = i + 1 });
	}
	for (uint32_t i = 0; i < 200; i++) {
		if (i % 4)
			zs_free(overwritten_pool, overwritten[i]);
	}
	ck_assert_uint_gt(zs_compact(overwritten_pool, 0), 0);
	for (uint32_t i = 0; i < 200; i += 4) {
		const unsigned char *bytes = zs_data(arena, overwritten[i]);

		if (bytes[0] == 0xff)
			continue; /* stayed */
		nr_moved++;
		for (uint32_t at = 0; at < 2500; at++)
			ck_assert_uint_eq(bytes[at], (unsigned char)(i + 1));
	}
	ck_assert_uint_gt(nr_moved, 10);
	ck_assert_int_eq(zs_check(overwritten_pool), 0);
	zs_pool_destroy(overwritten_pool);
}
END_TEST

START_TEST(test_owner_that_changed_meanwhile_stops_the_move)
{
	struct zs_pool_params params = { .name = "reindexed",
					 .id = 1,
					 .relocate_begin = reindex_begin,
					 .relocate_end = reindex_end };
	struct zs_pool *other;
	ref_t refs[200];

	nr_ended_unmoved = 0;
	ck_assert_int_eq(zs_pool_create(arena, &params, &other), 0);
	for (uint32_t i = 0; i < 200; i++) {
		ck_assert_int_eq(zs_malloc(other, 3000, &refs[i]), 0);
		zs_set_owner(arena, refs[i], (struct zs_owner){ .word = i + 1 });
	}
	for (uint32_t i = 0; i < 200; i++) {
		if (i % 4)
			zs_free(other, refs[i]);
	}
	(void)zs_compact(other, 0);
	ck_assert_uint_gt(nr_ended_unmoved, 0);
	for (uint32_t i = 0; i < 200; i += 4)
		ck_assert(zs_is_live(other, refs[i]));
	ck_assert_int_eq(zs_check(other), 0);
	zs_pool_destroy(other);
}
END_TEST

START_TEST(test_compaction_at_the_limit_makes_room)
{
	struct arena_stat now;
	uint32_t nr = 0;
	int error = 0;

	arena_get_stat(arena, &now);
	arena_set_limit(arena, now.resident + 4 * MIB);
	while (!error) {
		ref_t ref;

		error = zs_malloc(pool, 1200, &ref);
		if (!error) {
			zs_free(pool, ref);
			make(nr++, 1200);
		}
	}
	ck_assert_int_eq(error, -ENOSPC);
	thin_out(nr, 3);
	(void)zs_trim(pool, 0);
	arena_get_stat(arena, &now);
	arena_set_limit(arena, now.resident);
	ck_assert_uint_gt(zs_compact(pool, 0), MIB / 2);
	check_all();
	make(NR_WORDS - 1, 100000);
}
END_TEST

START_TEST(test_compaction_survives_the_failure_of_every_allocation)
{
	long n = 0;
	bool pending;

	do {
		uint64_t objects;

		for (uint32_t i = 0; i < 60; i++)
			make(i, 50000);
		thin_out(60, 4);
		(void)zs_trim(pool, 0);
		objects = stat().objects;
		zt_fault_set(++n);
		(void)zs_compact(pool, 0);
		pending = zt_fault_pending();
		zt_fault_set(0);
		check_all();
		ck_assert_uint_eq(stat().objects, objects);
		for (uint32_t i = 0; i < 60; i += 4) {
			verify(i);
			drop(i);
		}
	} while (!pending);
	ck_assert_int_ge(n, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("compact");
	TCase *tc = tcase_create("compact");

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_scattered_objects_are_gathered, 0, (int)ARRAY_SIZE(sizes));
	tcase_add_test(tc, test_compaction_returns_what_it_says);
#ifdef ZT_DEBUG
	tcase_add_test(tc, test_compaction_does_not_touch_memory_that_is_on_its_way);
#endif
	tcase_add_test(tc, test_full_zspages_are_left_alone);
	tcase_add_test(tc, test_objects_without_owner_stay);
	tcase_add_test(tc, test_refused_moves_change_nothing);
	tcase_add_test(tc, test_locked_words_keep_their_objects);
	tcase_add_test(tc, test_word_that_names_another_object_is_refused);
	tcase_add_test(tc, test_bytes_copied_are_bounded);
	tcase_add_test(tc, test_pool_without_keeper_is_not_compacted);
	tcase_add_test(tc, test_bytes_are_copied_under_the_keepers_lock);
	tcase_add_test(tc, test_owner_that_changed_meanwhile_stops_the_move);
	tcase_add_test(tc, test_compaction_at_the_limit_makes_room);
	tcase_add_test(tc, test_compaction_survives_the_failure_of_every_allocation);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
