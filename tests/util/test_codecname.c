// SPDX-License-Identifier: GPL-2.0-or-later
/* test_codecname.c - algorithms as people write them. */
#include <errno.h>

#include "tests/lib/zt_check.h"
#include "util/codecname.h"

START_TEST(test_a_name_and_a_level_are_read)
{
	static const struct {
		const char *text, *name;
		int32_t level;
	} cases[] = {
		{ "lz4", "lz4", 77 },        { "zstd:5", "zstd", 5 },
		{ "zstd:-3", "zstd", -3 },   { "none", "none", 77 },
		{ "default", "default", 77 }, { "1234567:2147483647", "1234567", INT32_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[8] = "";
		int32_t level = 77;

		ck_assert_int_eq(codecname_parse(cases[i].text, name, sizeof(name), &level), 0);
		ck_assert_str_eq(name, cases[i].name);
		ck_assert_int_eq(level, cases[i].level);
	}
}
END_TEST

START_TEST(test_what_is_no_name_with_a_level_is_refused)
{
	static const char *const cases[] = {
		"",       ":5",     "zstd:",  "zstd:x", "zstd:5x",          "zstd:5:6",
		"none:3", "none:0", "zstd: ", "12345678", "zstd:2147483648", "zstd:-2147483648",
		"default:1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[8];
		int32_t level = 77;

		ck_assert_msg(codecname_parse(cases[i], name, sizeof(name), &level) == -EINVAL,
			      "%s", cases[i]);
		ck_assert_int_eq(level, 77);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codecname");
	TCase *tc = tcase_create("codecname");

	tcase_add_test(tc, test_a_name_and_a_level_are_read);
	tcase_add_test(tc, test_what_is_no_name_with_a_level_is_refused);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
