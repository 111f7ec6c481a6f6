// SPDX-License-Identifier: GPL-2.0-or-later
/* test_heat.c - which clusters small requests come back to, among many others. */
#include "blkmap/slot/heat.h"
#include "tests/blkmap/lower.h"

static struct lower lower;

/* Places as those of a large file: words side by side. */
static uint64_t place_of(uint64_t idx)
{
	return 4096 + idx;
}

START_TEST(test_heat_has_a_limit_and_halves)
{
	uint64_t place = 12345;

	lower_start(&lower, 2, 0);
	ck_assert_uint_eq(heat_of(&lower.slots, place), 0);
	ck_assert_uint_eq(heat_add(&lower.slots, place, 6), 6);
	heat_cool(&lower.slots);
	ck_assert_uint_eq(heat_of(&lower.slots, place), 3);
	ck_assert_uint_eq(heat_add(&lower.slots, place, 100), HEAT_MAX);
	heat_cool(&lower.slots);
	ck_assert_uint_eq(heat_add(&lower.slots, place, 1), HEAT_MAX / 2 + 1);
	for (unsigned i = 0; i < 5; i++)
		heat_cool(&lower.slots);
	ck_assert_uint_eq(heat_of(&lower.slots, place), 0);
	ck_assert_uint_eq(heat_add(&lower.slots, place, 2), 2);
	heat_clear(&lower.slots, place);
	ck_assert_uint_eq(heat_of(&lower.slots, place), 0);
	lower_stop(&lower);
}
END_TEST

/* A decoding each, as much as a cluster that is read once gets. */
START_TEST(test_what_is_read_once_does_not_heat_its_neighbours)
{
	enum { NR = 400000 };
	unsigned hottest = 0, nr_hot = 0;

	lower_start(&lower, 2, 0);
	for (uint64_t i = 0; i < NR; i++) {
		unsigned heat = heat_add(&lower.slots, place_of(i), HEAT_DECODE);

		hottest = heat > hottest ? heat : hottest;
	}
	ck_assert_uint_lt(hottest, HEAT_MAX);
	/* Nor does what was never read look hot beside them, so that it may be folded. */
	for (uint64_t i = NR; i < NR + 2000; i++)
		nr_hot += heat_of(&lower.slots, place_of(i)) > 0;
	ck_assert_uint_le(nr_hot, 10);
	lower_stop(&lower);
}
END_TEST

/* Round and round: each is hot in the end, whatever the table had to grow meanwhile. */
START_TEST(test_what_many_come_back_to_is_hot)
{
	enum { NR = 10000 };
	struct arena_stat stat;
	unsigned nr_hot = 0;

	lower_start(&lower, 2, 0);
	for (unsigned round = 0; round < 6; round++)
		for (uint64_t i = 0; i < NR; i++)
			heat_add(&lower.slots, place_of(i), HEAT_DECODE);
	for (uint64_t i = 0; i < NR; i++)
		nr_hot += heat_of(&lower.slots, place_of(i)) == HEAT_MAX;
	/* A set that is full of others has no place. */
	ck_assert_uint_ge(nr_hot, NR * 99 / 100);
	ck_assert_uint_gt(lower.slots.heat.set_bits, 10);
	arena_get_stat(lower.arena, &stat);
	ck_assert_uint_gt(stat.aside, NR * 4);
	/* When it is quiet for long the memory goes. */
	for (unsigned i = 0; i < 20; i++)
		heat_cool(&lower.slots);
	ck_assert_uint_eq(lower.slots.heat.set_bits, 10);
	ck_assert_uint_eq(heat_of(&lower.slots, place_of(1)), 0);
	arena_get_stat(lower.arena, &stat);
	ck_assert_uint_eq(stat.aside, 0);
	lower_stop(&lower);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("heat");
	TCase *tcase = tcase_create("heat");

	tcase_add_test(tcase, test_heat_has_a_limit_and_halves);
	tcase_add_test(tcase, test_what_is_read_once_does_not_heat_its_neighbours);
	tcase_add_test(tcase, test_what_many_come_back_to_is_hot);
	suite_add_tcase(suite, tcase);
	return zt_check_main(suite);
}
