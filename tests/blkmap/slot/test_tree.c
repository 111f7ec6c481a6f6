// SPDX-License-Identifier: GPL-2.0-or-later
/* test_tree.c - the sparse array of words. */
#include <errno.h>
#include <string.h>

#include "blkmap/slot/tree.h"
#include "tests/lib/zt_check.h"
#include "util/alloc.h"
#include "util/hook.h"

struct record {
	uint64_t word;
};

static struct arena *arena;
static struct zs_pool *pool;
static struct record record;
static struct tree tree = { &record.word };

static void start(void)
{
	struct arena_params params = { .reserve = GIB };
	struct zs_pool_params pool_params = { .name = "meta", .id = 2 };

	ck_assert_int_eq(arena_create(&params, &arena), 0);
	ck_assert_int_eq(zs_pool_create(arena, &pool_params, &pool), 0);
	memset(&record, 0, sizeof(record));
}

static uint64_t live_nodes(void)
{
	struct zs_pool_stat stat;

	zs_pool_get_stat(pool, &stat);
	return stat.objects;
}

static void stop(void)
{
	ck_assert_uint_eq(tree_nr_nodes(arena, &tree, NULL, NULL), live_nodes());
	tree_clear(arena, pool, &tree);
	ck_assert_uint_eq(live_nodes(), 0);
	ck_assert_uint_eq(record.word, 0);
	ck_assert_uint_eq(tree_shape(&tree), 0);
	ck_assert_int_eq(zs_check(pool), 0);
	zs_pool_destroy(pool);
	arena_destroy(arena);
}

static void put(uint64_t idx, uint64_t value)
{
	uint64_t *slot;

	ck_assert_int_eq(tree_grow(arena, pool, &tree, idx, NULL), 0);
	ck_assert_int_eq(tree_slot_alloc(arena, pool, &tree, idx, &slot), 0);
	*slot = value;
}

static uint64_t get(uint64_t idx)
{
	uint64_t *slot = tree_slot(arena, &tree, idx);

	return slot ? *slot : 0;
}

START_TEST(test_one_word_needs_no_node)
{
	put(0, 7);
	ck_assert_uint_eq(get(0), 7);
	ck_assert_uint_eq(get(1), 0);
	ck_assert_uint_eq(live_nodes(), 0);
	ck_assert_uint_eq(record.word, 7);
	record.word = 0;
}
END_TEST

START_TEST(test_words_survive_growth_through_every_shape)
{
	static const uint64_t idx[] = { 0,
					3,
					4,
					15,
					16,
					63,
					64,
					4095,
					4096,
					262143,
					262144,
					UINT64_C(1) << 30,
					UINT64_C(1) << 51 };

	for (size_t i = 0; i < ARRAY_SIZE(idx); i++) {
		put(idx[i], idx[i] + 100);
		for (size_t j = 0; j <= i; j++)
			ck_assert_uint_eq(get(idx[j]), idx[j] + 100);
		ck_assert_uint_eq(get(idx[i] + 1), 0);
	}
	/* And are found in order. */
	uint64_t at = 0;

	for (size_t i = 0; i < ARRAY_SIZE(idx); i++) {
		ck_assert_ptr_nonnull(tree_next(arena, &tree, &at));
		ck_assert_uint_eq(at, idx[i]);
		at++;
	}
	ck_assert_ptr_null(tree_next(arena, &tree, &at));
}
END_TEST

START_TEST(test_index_beyond_the_shape_is_refused)
{
	uint64_t *slot;

	ck_assert_int_eq(tree_slot_alloc(arena, pool, &tree, 1, &slot), -EFBIG);
	put(5, 1);
	ck_assert_int_eq(tree_slot_alloc(arena, pool, &tree, 16, &slot), -EFBIG);
	ck_assert_ptr_null(tree_slot(arena, &tree, 16));
}
END_TEST

START_TEST(test_prune_frees_what_is_empty_and_nothing_else)
{
	for (uint64_t i = 0; i < 20000; i += 50)
		put(i, i + 1);
	for (uint64_t i = 10000; i < 20000; i += 50)
		*tree_slot(arena, &tree, i) = 0;
	uint64_t before = live_nodes();

	tree_prune(arena, pool, &tree, 10000, UINT64_MAX);
	ck_assert_uint_lt(live_nodes(), before * 6 / 10);
	for (uint64_t i = 0; i < 20000; i += 50)
		ck_assert_uint_eq(get(i), i < 10000 ? i + 1 : 0);
	for (uint64_t i = 0; i < 10000; i += 50)
		*tree_slot(arena, &tree, i) = 0;
	tree_prune(arena, pool, &tree, 0, UINT64_MAX);
	ck_assert_uint_eq(live_nodes(), 0);
	ck_assert_uint_eq(tree_shape(&tree), 0);
}
END_TEST

START_TEST(test_random_words_match_a_model)
{
	enum { N = 5000 };
	static uint64_t model[N];
	uint64_t seed = zt_seed();

	memset(model, 0, sizeof(model));
	for (int i = 0; i < 200000; i++) {
		uint64_t idx = zt_random(&seed) % N;

		if (zt_random(&seed) % 3) {
			model[idx] = zt_random(&seed) | 1;
			put(idx, model[idx]);
		} else if (tree_slot(arena, &tree, idx)) {
			model[idx] = 0;
			*tree_slot(arena, &tree, idx) = 0;
			if (zt_random(&seed) % 100 == 0)
				tree_prune(arena, pool, &tree, idx, idx + 64);
		}
		idx = zt_random(&seed) % N;
		ck_assert_uint_eq(get(idx), model[idx]);
		if (i % 1000 == 0) {
			uint64_t want = idx, found = idx;

			while (want < N && !model[want])
				want++;
			ck_assert(!!tree_next(arena, &tree, &found) == (want < N));
			if (want < N)
				ck_assert_uint_eq(found, want);
			for (want = found = idx; want > 0 && !model[want]; want--)
				;
			ck_assert(!!tree_prev(arena, &tree, &found) == !!model[want]);
			if (model[want])
				ck_assert_uint_eq(found, want);
		}
	}
}
END_TEST

START_TEST(test_growth_without_memory_changes_nothing)
{
	put(0, 42);
	for (long n = 1;; n++) {
		int error;

		zt_fault_set(n);
		error = tree_grow(arena, pool, &tree, 1000000, NULL);
		if (!zt_fault_pending())
			ck_assert(error == 0 || error == -ENOMEM);
		zt_fault_set(0);
		ck_assert_uint_eq(get(0), 42);
		if (error == 0)
			break;
		ck_assert_uint_eq(tree_shape(&tree), 0);
		ck_assert_uint_eq(live_nodes(), 0);
	}
}
END_TEST

#ifdef ZT_DEBUG
static uint64_t *won;

/* Another writer of the file, who needs the same nodes, is quicker. */
static void put_first(void *arg, const char *point, uint64_t what)
{
	(void)arg;
	(void)what;
	if (strcmp(point, "tree: a node is made") != 0)
		return;
	zt_hook_set(NULL, NULL);
	ck_assert_int_eq(tree_slot_alloc(arena, pool, &tree, 1000, &won), 0);
	*won = 7;
}

START_TEST(test_who_loses_the_race_for_a_node_gives_its_own_back)
{
	uint64_t *slot;

	ck_assert_int_eq(tree_grow(arena, pool, &tree, 1000, NULL), 0);
	ck_assert_uint_eq(live_nodes(), 0);
	zt_hook_set(put_first, NULL);
	ck_assert_int_eq(tree_slot_alloc(arena, pool, &tree, 1000, &slot), 0);
	ck_assert_ptr_eq(slot, won);
	ck_assert_uint_eq(*slot, 7);
	ck_assert_uint_eq(live_nodes(), 2);
}
END_TEST
#endif

int main(void)
{
	Suite *suite = suite_create("tree");
	TCase *tc = tcase_create("tree");

	tcase_add_checked_fixture(tc, start, stop);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_one_word_needs_no_node);
	tcase_add_test(tc, test_words_survive_growth_through_every_shape);
	tcase_add_test(tc, test_index_beyond_the_shape_is_refused);
	tcase_add_test(tc, test_prune_frees_what_is_empty_and_nothing_else);
	tcase_add_test(tc, test_random_words_match_a_model);
	tcase_add_test(tc, test_growth_without_memory_changes_nothing);
#ifdef ZT_DEBUG
	tcase_add_test(tc, test_who_loses_the_race_for_a_node_gives_its_own_back);
#endif
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
