// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_stress.c - threads write, overwrite, read and free objects while others compact and trim.
 *
 * Each word's object holds the word's number and version all over, so that a lost overwrite, a
 * stale copy or a neighbour's bytes show.
 */
#define ZT_LOCKS_UNCHECKED /* a keeper's lock is taken in one callback and given back in another */

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "tests/lib/zt_check.h"
#include "tests/zsmalloc/keeper.h"
#include "util/sizes.h"

#define NR_WORKERS 8
#define NR_WORDS   600u

#ifdef ZT_SANITIZERS
#define NR_ROUNDS 4000
#else
#define NR_ROUNDS 25000
#endif

static struct arena *arena;
static struct zs_pool *pool;
static struct keeper keeper;
static uint64_t versions[NR_WORDS]; /* guarded by the word's lock */
static uint64_t seed;
static int nr_running; /* atomic: workers not done yet */
static bool may_be_full;

static void setup(void)
{
	struct arena_params params = { .reserve = 2 * GIB };
	struct zs_pool_params pool_params;

	seed = zt_seed();
	memset(versions, 0, sizeof(versions));
	keeper_init(&keeper, NR_WORDS);
	pool_params = keeper_pool_params(&keeper);
	ck_assert_int_eq(arena_create(&params, &arena), 0);
	ck_assert_int_eq(zs_pool_create(arena, &pool_params, &pool), 0);
	may_be_full = false;
}

static void fill(uint32_t i, ref_t ref)
{
	uint32_t len = zs_size(arena, ref);
	unsigned char *bytes = zs_data(arena, ref);
	uint64_t word = versions[i] << 16 | i;

	for (uint32_t at = 0; at < len; at += sizeof(word))
		memcpy(bytes + at, &word, min_u64(sizeof(word), len - at));
}

static void verify(uint32_t i)
{
	ref_t ref = keeper.words[i];
	uint32_t len = zs_size(arena, ref);
	const unsigned char *bytes = zs_data(arena, ref);
	uint64_t word = versions[i] << 16 | i;

	if (zs_get_owner(arena, ref).word != i + 1)
		abort();
	for (uint32_t at = 0; at < len; at += sizeof(word)) {
		if (memcmp(bytes + at, &word, min_u64(sizeof(word), len - at)) != 0)
			abort();
	}
}

static void teardown(void)
{
	struct zs_pool_stat stat;
	uint64_t live = 0;

	ck_assert_int_eq(zs_check(pool), 0);
	ck_assert_int_eq(arena_check(arena), 0);
	zs_pool_get_stat(pool, &stat);
	for (uint32_t i = 0; i < NR_WORDS; i++) {
		if (!keeper.words[i])
			continue;
		live++;
		verify(i);
		zs_free(pool, keeper.words[i]);
	}
	ck_assert_uint_eq(live, stat.objects);
	(void)zs_trim(pool, 0);
	zs_pool_get_stat(pool, &stat);
	ck_assert_uint_eq(stat.zspages, 0);
	ck_assert_int_eq(zs_check(pool), 0);
	zs_pool_destroy(pool);
	ck_assert_int_eq(arena_check(arena), 0);
	arena_destroy(arena);
	keeper_exit(&keeper);
}

/* Few classes, small and large, so that threads meet. */
static uint32_t size_of(uint64_t r)
{
	static const uint32_t sizes[] = { 20, 100, 104, 700, 2000, 2040, 4096, 9000, 30000, 70000 };

	return sizes[r % ARRAY_SIZE(sizes)];
}

/* Replace, then free: the old object loses its word before it is freed, without the lock. */
static void replace(uint32_t i, uint64_t r)
{
	struct mutex *lock = keeper_lock_of(&keeper, i);
	ref_t fresh = 0, old;

	if (r % 4 != 0) {
		int error = zs_malloc(pool, size_of(r >> 8), &fresh);

		if (error && !(may_be_full && error == -ENOSPC))
			abort();
	}
	mutex_lock(lock);
	old = keeper.words[i];
	if (old)
		verify(i);
	if (fresh) {
		versions[i]++;
		fill(i, fresh);
		zs_set_owner(arena, fresh, keeper_owner(i));
	}
	keeper.words[i] = fresh;
	mutex_unlock(lock);
	if (old) {
		if (!zs_is_live(pool, old))
			abort();
		zs_free(pool, old);
	}
}

/* Overwrite in place, sometimes with another length. */
static void overwrite(uint32_t i, uint64_t r)
{
	struct mutex *lock = keeper_lock_of(&keeper, i);

	mutex_lock(lock);
	if (keeper.words[i]) {
		ref_t ref = keeper.words[i];

		verify(i);
		if (r % 2 && !zs_resize(pool, ref, 1 + (uint32_t)(r >> 8) % zs_size(arena, ref)))
			abort();
		versions[i]++;
		fill(i, ref);
	}
	mutex_unlock(lock);
}

/* The word moves to another place, as when a tree grows: the object's owner changes. */
static void reown(uint32_t i, uint32_t j)
{
	if (i % KEEPER_NR_LOCKS != j % KEEPER_NR_LOCKS)
		j = j / KEEPER_NR_LOCKS * KEEPER_NR_LOCKS + i % KEEPER_NR_LOCKS;
	if (i == j || j >= NR_WORDS)
		return;
	mutex_lock(keeper_lock_of(&keeper, i));
	if (keeper.words[i] && !keeper.words[j]) {
		versions[j] = (versions[i] > versions[j] ? versions[i] : versions[j]) + 1;
		keeper.words[j] = keeper.words[i];
		keeper.words[i] = 0;
		zs_change_owner(pool, keeper.words[j], keeper_owner(j));
		fill(j, keeper.words[j]);
	}
	mutex_unlock(keeper_lock_of(&keeper, i));
}

static void *work(void *arg)
{
	uint64_t state = seed + (uintptr_t)arg;

	for (int round = 0; round < NR_ROUNDS; round++) {
		uint64_t r = zt_random(&state);
		uint32_t i = (uint32_t)(r >> 40) % NR_WORDS;

		if (r % 16 < 10)
			replace(i, r >> 4);
		else if (r % 16 < 14)
			overwrite(i, r >> 4);
		else if (r % 16 < 15)
			reown(i, (uint32_t)(r >> 20) % NR_WORDS);
		else
			(void)zs_is_live(pool, r >> (r % 64));
	}
	__atomic_fetch_sub(&nr_running, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *compact(void *arg)
{
	uint64_t state = seed + (uintptr_t)arg;

	while (__atomic_load_n(&nr_running, __ATOMIC_RELAXED) > 0) {
		struct zs_pool_stat stat;
		uint64_t r = zt_random(&state);

		(void)zs_compact(pool, r % 2 ? 0 : r % MIB);
		if (r % 8 == 0)
			(void)zs_trim(pool, r % (2 * MIB));
		zs_pool_get_stat(pool, &stat);
		if (stat.objects > 2 * NR_WORDS)
			abort();
	}
	return NULL;
}

static void run(int nr_compactors)
{
	pthread_t threads[NR_WORKERS + 2];
	int nr = NR_WORKERS + nr_compactors;

	nr_running = NR_WORKERS;
	for (int i = 0; i < nr; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, i < NR_WORKERS ? work : compact,
						(void *)(uintptr_t)(i + 1)),
				 0);
	for (int i = 0; i < nr; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

START_TEST(test_threads_lose_no_byte_while_objects_move)
{
	run(1);
	ck_assert_uint_gt(keeper.nr_moved, 0);
}
END_TEST

START_TEST(test_two_compactions_at_a_time_agree)
{
	run(2);
	ck_assert_uint_gt(keeper.nr_moved, 0);
}
END_TEST

START_TEST(test_threads_lose_no_byte_at_the_limit)
{
	may_be_full = true;
	arena_set_limit(arena, 3 * MIB);
	run(1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stress");
	TCase *tc = tcase_create("stress");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_threads_lose_no_byte_while_objects_move);
	tcase_add_test(tc, test_two_compactions_at_a_time_agree);
	tcase_add_test(tc, test_threads_lose_no_byte_at_the_limit);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
