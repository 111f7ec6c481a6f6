// SPDX-License-Identifier: GPL-2.0-or-later
/* test_tree_store.c - after each store of growing and pruning the tree is the old one or the new one. */
#include <string.h>

#include "blkmap/slot/tree.h"
#include "tests/lib/step.h"
#include "util/sizes.h"

/* The tree's word stands in an object of the arena, as an inode's does. */
static struct arena *arena;
static struct zs_pool *pool;
static struct tree tree;

struct plan {
	uint64_t nr; /* words 0 .. nr - 1 are there */
	uint64_t to; /* grow to this index, or */
	uint64_t from, drop; /* drop: remove words from .. nr - 1 and prune */
};

static uint64_t value(uint64_t idx)
{
	return (idx + 100) << 3;
}

static void put(uint64_t idx)
{
	uint64_t *slot;

	step_expect(tree_grow(arena, pool, &tree, idx, NULL) == 0, "no memory");
	step_expect(tree_slot_alloc(arena, pool, &tree, idx, &slot) == 0, "no memory");
	*slot = value(idx);
}

static void start(void *arg)
{
	const struct arena_params params = { .reserve = GIB };
	const struct zs_pool_params pool_params = { .name = "meta", .id = 2 };
	const struct plan *plan = arg;
	ref_t ref = 0;

	step_expect(arena_create(&params, &arena) == 0 &&
			    zs_pool_create(arena, &pool_params, &pool) == 0 &&
			    zs_malloc(pool, 64, &ref) == 0,
		    "no memory");
	tree.word = zs_data(arena, ref);
	*tree.word = 0;
	for (uint64_t i = 0; i < plan->nr; i++)
		put(i);
}

/* Nodes that are freed while something leads to them are no live objects. */
static void check_node(void *arg, ref_t node)
{
	const uint64_t *header = arena_ptr(arena, node);

	(void)arg;
	step_expect(*header & 1, "a freed node is named");
}

static uint64_t get(uint64_t idx)
{
	const uint64_t *slot = tree_slot(arena, &tree, idx);

	return slot ? *slot : 0;
}

static void run_grow(void *arg)
{
	const struct plan *plan = arg;

	step_expect(tree_grow(arena, pool, &tree, plan->to, NULL) == 0, "no memory");
}

static void judge_grow(void *arg, bool done)
{
	const struct plan *plan = arg;

	(void)tree_nr_nodes(arena, &tree, check_node, NULL);
	for (uint64_t i = 0; i < plan->nr; i++)
		step_expect(get(i) == value(i), "word %llu is lost", (unsigned long long)i);
	step_expect(get(plan->nr) == 0, "a word came out of nothing");
	step_expect(!done || plan->to < tree_capacity(tree_shape(&tree)), "it has not grown");
}

START_TEST(test_growth_keeps_all_words_behind_each_store)
{
	static const struct plan plans[] = {
		{ .nr = 0, .to = 5 },	 { .nr = 1, .to = 1 },	  { .nr = 1, .to = 15 },
		{ .nr = 1, .to = 63 },	 { .nr = 1, .to = 64 },	  { .nr = 1, .to = 5000 },
		{ .nr = 1, .to = 1u << 30 }, { .nr = 4, .to = 4 },	  { .nr = 4, .to = 1u << 20 },
		{ .nr = 16, .to = 16 },	 { .nr = 16, .to = 1000 }, { .nr = 64, .to = 64 },
		{ .nr = 100, .to = 1u << 20 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(plans); i++) {
		struct step_ops ops = { start, run_grow, judge_grow, (void *)&plans[i] };
		char name[64];

		snprintf(name, sizeof(name), "tree of %llu words to %llu",
			 (unsigned long long)plans[i].nr, (unsigned long long)plans[i].to);
		ck_assert_uint_ge(step_all(name, &ops), 1);
	}
}
END_TEST

static void start_prune(void *arg)
{
	const struct plan *plan = arg;

	start(arg);
	for (uint64_t i = plan->from; i < plan->nr; i++)
		*tree_slot(arena, &tree, i) = 0;
}

static void run_prune(void *arg)
{
	const struct plan *plan = arg;

	tree_prune(arena, pool, &tree, plan->from, plan->nr);
}

static void run_clear(void *arg)
{
	(void)arg;
	tree_clear(arena, pool, &tree);
}

/* All that is named is there, and what stays is right. */
static void judge_prune(void *arg, bool done)
{
	const struct plan *plan = arg;

	(void)tree_nr_nodes(arena, &tree, check_node, NULL);
	for (uint64_t i = 0; i < plan->nr; i++)
		step_expect(get(i) == (i < plan->from ? value(i) : 0), "word %llu",
			    (unsigned long long)i);
	step_expect(!done || plan->from > 0 || *tree.word == 0, "the tree is not empty");
}

START_TEST(test_no_freed_node_is_named_behind_any_store_of_pruning)
{
	static const struct plan plans[] = {
		{ .nr = 3, .from = 0 }, { .nr = 64, .from = 0 }, { .nr = 5000, .from = 0 },
		{ .nr = 5000, .from = 1 }, { .nr = 5000, .from = 130 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(plans); i++) {
		struct step_ops ops = { start_prune, run_prune, judge_prune, (void *)&plans[i] };

		ck_assert_uint_ge(step_all("pruned", &ops), 1);
	}
}
END_TEST

static void judge_clear(void *arg, bool done)
{
	(void)arg;
	(void)done;
	(void)tree_nr_nodes(arena, &tree, check_node, NULL);
}

START_TEST(test_a_cleared_tree_names_no_freed_node)
{
	static const struct plan plan = { .nr = 5000 };
	struct step_ops ops = { start, run_clear, judge_clear, (void *)&plan };

	ck_assert_uint_ge(step_all("cleared", &ops), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tree_store");
	TCase *tc = tcase_create("stores");

#ifndef ZT_DEBUG
	return STEP_MISSING;
#endif
	tcase_set_timeout(tc, 240);
	tcase_add_test(tc, test_growth_keeps_all_words_behind_each_store);
	tcase_add_test(tc, test_no_freed_node_is_named_behind_any_store_of_pruning);
	tcase_add_test(tc, test_a_cleared_tree_names_no_freed_node);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
