// SPDX-License-Identifier: GPL-2.0-or-later
/* test_inodeset.c - which numbers are live inodes. */
#include "fs/inodeset.h"
#include "tests/lib/zt_check.h"
#include "util/alloc.h"

#include <errno.h>

static struct arena *arena;

static struct inodeset *set_init(void)
{
	const struct arena_params params = { .backing = ARENA_MEMFD };
	struct inodeset *set = zt_zalloc(sizeof(*set));

	ck_assert_ptr_nonnull(set);
	ck_assert_int_eq(arena_create(&params, &arena), 0);
	return set;
}

static void set_exit(struct inodeset *set)
{
	inodeset_exit(set, arena);
	arena_destroy(arena);
	zt_free(set);
}

START_TEST(test_any_number_may_be_asked_for)
{
	static const uint64_t wild[] = { 0,          1,
					 2047,       2048,
					 UINT64_MAX, INT64_MAX,
					 1ull << 38, (1ull << 38) - 1,
					 1ull << 63, 0xdeadbeefull };
	struct inodeset *set = set_init();
	uint64_t state = zt_seed();

	for (size_t i = 0; i < ARRAY_SIZE(wild); i++)
		ck_assert(!inodeset_has(set, wild[i]));
	ck_assert_int_eq(inodeset_reserve(set, arena, 0xdeadbeef), 0);
	inodeset_add(set, 0xdeadbeef);
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t number = zt_random(&state) >> (i % 64);

		ck_assert_int_eq(inodeset_has(set, number), number == 0xdeadbeef);
	}
	/* the same number with bits above a ref's */
	ck_assert(!inodeset_has(set, 0xdeadbeef | 1ull << 38));
	set_exit(set);
}
END_TEST

START_TEST(test_numbers_are_kept_apart_up_to_the_last)
{
	static const ref_t refs[] = {
		0, 1, 63, 64, 2047, 2048, 1u << 20, 1u << 29, (1ull << 38) - 1
	};
	struct inodeset *set = set_init();

	for (size_t i = 0; i < ARRAY_SIZE(refs); i++) {
		ck_assert_int_eq(inodeset_reserve(set, arena, refs[i]), 0);
		ck_assert(!inodeset_has(set, refs[i]));
		inodeset_add(set, refs[i]);
		for (size_t j = 0; j < ARRAY_SIZE(refs); j++)
			ck_assert_int_eq(inodeset_has(set, refs[j]), j <= i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(refs); i++) {
		inodeset_remove(set, refs[i]);
		for (size_t j = 0; j < ARRAY_SIZE(refs); j++)
			ck_assert_int_eq(inodeset_has(set, refs[j]), j > i);
	}
	set_exit(set);
}
END_TEST

START_TEST(test_want_of_heap_fails_cleanly_at_every_level)
{
	struct inodeset *set = set_init();

	for (long n = 1; n <= 3; n++) {
		zt_fault_set(n);
		ck_assert_int_eq(inodeset_reserve(set, arena, (ref_t)n << 29), -ENOMEM);
		ck_assert(!inodeset_has(set, (ref_t)n << 29));
	}
	zt_fault_set(0);
	ck_assert_int_eq(inodeset_reserve(set, arena, (ref_t)3 << 29), 0);
	set_exit(set);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inodeset");
	TCase *tc = tcase_create("inodeset");

	tcase_add_test(tc, test_any_number_may_be_asked_for);
	tcase_add_test(tc, test_numbers_are_kept_apart_up_to_the_last);
	tcase_add_test(tc, test_want_of_heap_fails_cleanly_at_every_level);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
