// SPDX-License-Identifier: GPL-2.0-or-later
/* test_sizes.c - sizes as tmpfs writes them. */
#include <errno.h>

#include "tests/lib/zt_check.h"
#include "util/sizes.h"

START_TEST(test_size_is_read_as_tmpfs_does)
{
	static const struct {
		const char *text;
		uint64_t value;
	} cases[] = {
		{ "0", 0 },          { "4096", 4096 },
		{ "1k", KIB },       { "1K", KIB },
		{ "2m", 2 * MIB },   { "3G", 3 * GIB },
		{ "1t", KIB * GIB }, { "1E", GIB * GIB },
		{ "50%", 500 },      { "100%", 1000 },
		{ "150%", 1500 },    { "18446744073709551615", UINT64_MAX },
		{ "0%", 0 },         { "15e", 15 * GIB * GIB },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 0;

		ck_assert_int_eq(size_parse(cases[i].text, 1000, &value), 0);
		ck_assert_msg(value == cases[i].value, "%s: %" PRIu64, cases[i].text, value);
	}
}
END_TEST

START_TEST(test_bad_size_is_refused_and_output_left_alone)
{
	static const struct {
		const char *text;
		int error;
	} cases[] = {
		{ "", -EINVAL },
		{ "k", -EINVAL },
		{ "-1", -EINVAL },
		{ "1x", -EINVAL },
		{ "1kk", -EINVAL },
		{ " 1", -EINVAL },
		{ "1 ", -EINVAL },
		{ "1.5g", -EINVAL },
		{ "50%%", -EINVAL },
		{ "%", -EINVAL },
		{ "16e", -ERANGE },
		{ "18446744073709551616", -ERANGE },
		{ "99999999999999999999%", -ERANGE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 42;

		ck_assert_msg(size_parse(cases[i].text, 1000, &value) == cases[i].error, "%s",
			      cases[i].text);
		ck_assert_uint_eq(value, 42);
	}
}
END_TEST

START_TEST(test_percent_needs_a_whole)
{
	uint64_t value = 42;

	ck_assert_int_eq(size_parse("50%", 0, &value), -EINVAL);
	ck_assert_uint_eq(value, 42);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sizes");
	TCase *tc = tcase_create("sizes");

	tcase_add_test(tc, test_size_is_read_as_tmpfs_does);
	tcase_add_test(tc, test_bad_size_is_refused_and_output_left_alone);
	tcase_add_test(tc, test_percent_needs_a_whole);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
