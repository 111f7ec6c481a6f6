// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_text.c - texts from files: JSON that is JSON whatever bytes they have, and names that leave a terminal as it is.
 * Tests text.c; tests/mount/image-list has image_list.c.
 */
#include <locale.h>
#include <string.h>

#include "ctl/ctl.h"
#include "tests/ctl/json.h"
#include "tests/lib/zt_check.h"

static char *printed(void (*print)(FILE *out, const char *text), const char *text)
{
	size_t len;
	char *is = NULL;
	FILE *out = open_memstream(&is, &len);

	ck_assert_ptr_nonnull(out);
	print(out, text);
	ck_assert_int_eq(fclose(out), 0);
	return is;
}

static void expect(void (*print)(FILE *out, const char *text), const char *text, const char *want)
{
	char *is = printed(print, text);

	ck_assert_str_eq(is, want);
	free(is);
}

START_TEST(test_json_has_utf8_as_it_is)
{
	expect(ctl_print_json_text, "", "\"\"");
	expect(ctl_print_json_text, "plain", "\"plain\"");
	expect(ctl_print_json_text, "a\"b\\c", "\"a\\\"b\\\\c\"");
	expect(ctl_print_json_text, "a\nb\x1b\x7f", "\"a\\u000ab\\u001b\\u007f\"");
	expect(ctl_print_json_text, "\u00e9\u20ac\U0001f600", "\"\u00e9\u20ac\U0001f600\"");
	expect(ctl_print_json_text, "\U0010ffff", "\"\U0010ffff\"");
}
END_TEST

/* As Python's surrogateescape has them: one for each byte. */
START_TEST(test_json_has_other_bytes_as_lone_surrogates)
{
	expect(ctl_print_json_text, "latin\xe9", "\"latin\\udce9\"");
	expect(ctl_print_json_text, "\x80\xff", "\"\\udc80\\udcff\"");
	/* Cut, too long for what they say, surrogates, beyond the end. */
	expect(ctl_print_json_text, "\xe2\x82", "\"\\udce2\\udc82\"");
	expect(ctl_print_json_text, "\xe2\x82x", "\"\\udce2\\udc82x\"");
	expect(ctl_print_json_text, "\xc0\xaf", "\"\\udcc0\\udcaf\"");
	expect(ctl_print_json_text, "\xe0\x80\xaf", "\"\\udce0\\udc80\\udcaf\"");
	expect(ctl_print_json_text, "\xed\xa0\x80", "\"\\udced\\udca0\\udc80\"");
	expect(ctl_print_json_text, "\xf4\x90\x80\x80", "\"\\udcf4\\udc90\\udc80\\udc80\"");
	expect(ctl_print_json_text, "\xf8\x88\x80\x80\x80", "\"\\udcf8\\udc88\\udc80\\udc80\\udc80\"");
}
END_TEST

START_TEST(test_any_bytes_are_one_json_value)
{
	uint64_t seed = zt_seed();

	for (unsigned i = 0; i < 3000; i++) {
		char text[12], *is;
		size_t len = 0;

		for (; len < sizeof(text) - 1; len++)
			text[len] = (char)(1 + zt_random(&seed) % 255);
		text[len] = '\0';
		is = printed(ctl_print_json_text, text);
		ck_assert_msg(!json_error(is), "%s", is);
		free(is);
	}
}
END_TEST

START_TEST(test_names_have_nothing_that_a_terminal_obeys)
{
	ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C"));
	expect(ctl_print_name, "dir/a name", "dir/a name");
	expect(ctl_print_name, "\a\b\f\n\r\t\v\\", "\\a\\b\\f\\n\\r\\t\\v\\\\");
	expect(ctl_print_name, "\x1b[31m\x7f\x01", "\\033[31m\\177\\001");
	expect(ctl_print_name, "\u00e9", "\\303\\251");
	for (unsigned i = 0; i < 255; i++) {
		const char text[] = { (char)(1 + i), '\0' };
		char *is = printed(ctl_print_name, text);

		for (const char *at = is; *at != '\0'; at++)
			ck_assert_msg(*at >= ' ' && *at <= '~', "%u: %s", i, is);
		free(is);
	}
}
END_TEST

START_TEST(test_letters_of_the_locale_are_printed)
{
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return; /* a C library without it */
	expect(ctl_print_name, "\u00e9\u20ac", "\u00e9\u20ac");
	/* Controls of the upper half, and what turns the direction of writing. */
	expect(ctl_print_name, "\xc2\x9b" "31m", "\\302\\23331m");
	expect(ctl_print_name, "a\u202eb", "a\\342\\200\\256b");
	expect(ctl_print_name, "a\u2066b", "a\\342\\201\\246b");
	/* No characters. */
	expect(ctl_print_name, "\xe9x", "\\351x");
	expect(ctl_print_name, "\xe2\x82", "\\342\\202");
	expect(ctl_print_name, "\xed\xa0\x80", "\\355\\240\\200");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl text");
	TCase *tc = tcase_create("ctl text");

	tcase_add_test(tc, test_json_has_utf8_as_it_is);
	tcase_add_test(tc, test_json_has_other_bytes_as_lone_surrogates);
	tcase_add_test(tc, test_any_bytes_are_one_json_value);
	tcase_add_test(tc, test_names_have_nothing_that_a_terminal_obeys);
	tcase_add_test(tc, test_letters_of_the_locale_are_printed);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
