// SPDX-License-Identifier: GPL-2.0-or-later
/* test_chains.c - a hash table that grows and shrinks by one chain at a time. */
#include "util/chains.h"
#include "tests/lib/zt_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct node {
	struct chain_link link;
	uint64_t key;
};

static size_t allocated, most_moved, moved;
static bool no_memory;

static uint64_t node_hash(const void *arg, const struct chain_link *link)
{
	(void)arg;
	moved++;
	return ((const struct node *)link)->key;
}

static int take(void *arg, size_t size, void **out_ptr)
{
	(void)arg;
	if (no_memory)
		return -ENOMEM;
	*out_ptr = calloc(1, size);
	ck_assert_ptr_nonnull(*out_ptr);
	allocated += size;
	return 0;
}

static void give(void *arg, void *ptr, size_t size)
{
	(void)arg;
	allocated -= size;
	free(ptr);
}

static const struct chains_ops ops = { .hash = node_hash, .alloc = take, .free = give };

enum { NR = 20000 };
static struct node nodes[NR];

static void setup(void)
{
	uint64_t seed = 1;

	for (unsigned i = 0; i < NR; i++)
		nodes[i] = (struct node){ .key = zt_random(&seed) };
	allocated = most_moved = 0;
	no_memory = false;
}

static void count_moved(void)
{
	if (moved > most_moved)
		most_moved = moved;
	moved = 0;
}

static void add(struct chains *chains, unsigned i)
{
	moved = 0;
	chains_add(chains, &ops, NULL, &nodes[i].link, nodes[i].key);
	count_moved();
}

static void drop(struct chains *chains, unsigned i)
{
	moved = 0;
	chains_remove(chains, &ops, NULL, &nodes[i].link, nodes[i].key);
	count_moved();
}

/* How many nodes a thread that looks for node @i comes by; 0: it is not there. */
static unsigned steps_to(const struct chains *chains, unsigned i)
{
	unsigned steps = 1;

	for (const struct chain_link *link = chains_first(chains, nodes[i].key); link;
	     link = link->next, steps++)
		if (link == &nodes[i].link)
			return steps;
	return 0;
}

START_TEST(test_no_chain_grows_long_and_no_step_moves_much)
{
	struct chains chains = { 0 };
	unsigned most = 0;

	for (unsigned i = 0; i < NR; i++)
		add(&chains, i);
	for (unsigned i = 0; i < NR; i++) {
		unsigned steps = steps_to(&chains, i);

		ck_assert_uint_gt(steps, 0);
		if (steps > most)
			most = steps;
	}
	ck_assert_uint_le(most, 20);
	ck_assert_uint_le(most_moved, 20);
	ck_assert_uint_le(allocated, 16 * NR);
	for (unsigned i = 0; i < NR; i++)
		drop(&chains, i);
	ck_assert_uint_eq(allocated, 0);
}
END_TEST

START_TEST(test_memory_goes_with_the_nodes_and_the_rest_are_found)
{
	struct chains chains = { 0 };

	for (unsigned i = 0; i < NR; i++)
		add(&chains, i);
	for (unsigned i = 100; i < NR; i++)
		drop(&chains, i);
	ck_assert_uint_le(allocated, 100 * 64);
	for (unsigned i = 0; i < NR; i++)
		ck_assert_int_eq(steps_to(&chains, i) > 0, i < 100);
	for (unsigned i = 0; i < 100; i++)
		drop(&chains, i);
	ck_assert_uint_eq(allocated, 0);
	ck_assert_ptr_null(chains_first(&chains, 1));
}
END_TEST

START_TEST(test_without_memory_chains_grow_longer_and_all_is_found)
{
	struct chains chains = { 0 };

	no_memory = true;
	for (unsigned i = 0; i < 100; i++)
		add(&chains, i);
	no_memory = false;
	for (unsigned i = 100; i < 200; i++)
		add(&chains, i);
	no_memory = true;
	for (unsigned i = 200; i < 300; i++)
		add(&chains, i);
	for (unsigned i = 0; i < 300; i++)
		ck_assert_uint_gt(steps_to(&chains, i), 0);
	for (unsigned i = 0; i < 300; i++)
		drop(&chains, i);
	ck_assert_uint_eq(allocated, 0);
}
END_TEST

/* Any order of coming and going, held against a list of who is there. */
START_TEST(test_random_changes)
{
	static bool there[NR];
	struct chains chains = { 0 };
	uint64_t seed = zt_seed();
	unsigned nr = 0;

	memset(there, 0, sizeof(there));
	for (unsigned step = 0; step < 50000; step++) {
		/* It swells and shrinks by turns. */
		unsigned i = (unsigned)(zt_random(&seed) % (step / 5000 % 2 ? 50 : 1000));

		if (!there[i])
			add(&chains, i);
		else
			drop(&chains, i);
		there[i] = !there[i];
		nr += there[i] ? 1 : -1u;
		ck_assert_uint_eq(chains.nodes, nr);
		ck_assert_int_eq(steps_to(&chains, i) > 0, there[i]);
	}
	for (unsigned i = 0; i < NR; i++) {
		ck_assert_int_eq(steps_to(&chains, i) > 0, there[i]);
		if (there[i])
			drop(&chains, i);
	}
	ck_assert_uint_eq(allocated, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chains");
	TCase *tcase = tcase_create("chains");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, test_no_chain_grows_long_and_no_step_moves_much);
	tcase_add_test(tcase, test_memory_goes_with_the_nodes_and_the_rest_are_found);
	tcase_add_test(tcase, test_without_memory_chains_grow_longer_and_all_is_found);
	tcase_add_test(tcase, test_random_changes);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
