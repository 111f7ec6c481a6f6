// SPDX-License-Identifier: GPL-2.0-or-later
/* test_words.c - how far words are from one another. */
#include <stdint.h>

#include "tests/lib/zt_check.h"
#include "util/words.h"

START_TEST(test_distance_counts_letters_left_out_added_changed_and_swapped)
{
	static const struct {
		const char *a, *b;
		size_t far;
	} cases[] = {
		{ "", "", 0 },	       { "", "abc", 3 },     { "size", "size", 0 },
		{ "sise", "size", 1 }, { "sze", "size", 1 }, { "siize", "size", 1 },
		{ "szie", "size", 1 }, { "abc", "xyz", 3 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_uint_eq(words_distance(cases[i].a, cases[i].b), cases[i].far);
		ck_assert_uint_eq(words_distance(cases[i].b, cases[i].a), cases[i].far);
	}
}
END_TEST

START_TEST(test_word_that_is_too_long_is_far_from_all)
{
	const char *longest = "abcdefghijklmnopqrstuvwxyzabcdef";

	ck_assert_uint_eq(words_distance(longest, longest), 0);
	ck_assert_uint_eq(words_distance("abcdefghijklmnopqrstuvwxyzabcdefg", longest), SIZE_MAX);
	ck_assert_uint_eq(words_near("abc"), 2);
	ck_assert_uint_eq(words_near("abcdefghi"), 4);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("util words");
	TCase *tc = tcase_create("util words");

	tcase_add_test(tc, test_distance_counts_letters_left_out_added_changed_and_swapped);
	tcase_add_test(tc, test_word_that_is_too_long_is_far_from_all);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
