// SPDX-License-Identifier: GPL-2.0-or-later
/* test_switches.c - the table of subcommands and switches: what comes of it, and that it is whole. */
#include <ctype.h>
#include <string.h>

#include "tests/ctl/run.h"

START_TEST(test_table_is_whole)
{
	const struct ctl_command *command;

	for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++) {
		bool seen[128] = { false };

		ck_assert_ptr_eq(ctl_command_find(command->name), command);
		ck_assert_ptr_nonnull(command->operands);
		ck_assert_ptr_nonnull(command->run);
		ck_assert_int_eq(command->help[strlen(command->help) - 1], '.');
		if (i > 0)
			ck_assert_int_lt(strcmp(ctl_command_at(i - 1)->name, command->name), 0);
		for (const struct ctl_switch *one = command->switches; one && one->letter; one++) {
			ck_assert_msg(isalnum((unsigned char)one->letter) && one->letter != 'h',
				      "%s", command->name);
			ck_assert_msg(!seen[(int)one->letter], "%s: -%c twice", command->name,
				      one->letter);
			seen[(int)one->letter] = true;
			ck_assert_msg(one->name || one->brief, "%s: -%c", command->name,
				      one->letter);
			ck_assert_ptr_nonnull(one->help);
			ck_assert_msg(one->help[strlen(one->help) - 1] != '.', "%s", one->help);
		}
	}
	ck_assert_ptr_null(ctl_command_find("nope"));
}
END_TEST

START_TEST(test_each_command_has_help_that_ends_with_0_and_names_all_switches)
{
	const struct ctl_command *command;

	for (size_t i = 0; (command = ctl_command_at(i)) != NULL; i++) {
		char usage[64], name[64];

		snprintf(usage, sizeof(usage), "usage: ztmpfsctl %s", command->name);
		ck_assert_int_eq(RUN(command->name, "--help"), 0);
		ck_assert_int_eq(strncmp(run_out, usage, strlen(usage)), 0);
		ck_assert_str_eq(run_err, "");
		for (const struct ctl_switch *one = command->switches; one && one->letter; one++) {
			snprintf(name, sizeof(name), one->name ? "--%s" : "-%.1s",
				 one->name ? one->name : &one->letter);
			ck_assert_msg(strstr(run_out, name), "%s: %s", command->name, name);
		}
		for (char *line = strtok(run_out, "\n"); line; line = strtok(NULL, "\n"))
			ck_assert_msg(strlen(line) <= 80, "%s", line);
		ck_assert_int_eq(RUN(command->name, "/x", "-h"), 0);
		ck_assert_int_eq(RUN("help", command->name), 0);
		ck_assert_int_eq(strncmp(run_out, usage, strlen(usage)), 0);
		ck_assert_int_eq(RUN("help"), 0);
		snprintf(name, sizeof(name), "\n  %s\n", command->name);
		ck_assert_ptr_nonnull(strstr(run_out, name));
	}
	ck_assert_int_eq(RUN("help", "nope"), CTL_EXIT_USAGE);
	ck_assert_int_eq(RUN("help", "stat", "du"), CTL_EXIT_USAGE);
}
END_TEST

START_TEST(test_wrong_switches_are_named_in_one_line_before_anything_is_done)
{
	static const char *const wrong[][4] = {
		{ "du", "--nope", NULL, "; --nope: no such option\n" },
		{ "du", "-x", NULL, "; -x: no such option\n" },
		{ "stat", "--json=1", "/", "; --json: it takes no value\n" },
		{ "train", "-o", NULL, "; -o: a value is missing\n" },
		{ "zbench", "--codec", NULL, "; --codec: a value is missing\n" },
		{ "compact", "--nope=x", "/", "; --nope: no such option\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ck_assert_int_eq(RUN(wrong[i][0], wrong[i][1], wrong[i][2]), CTL_EXIT_USAGE);
		ck_assert_msg(strstr(run_err, wrong[i][3]), "%s", run_err);
		ck_assert_ptr_eq(strchr(run_err, '\n'), run_err + strlen(run_err) - 1);
		ck_assert_str_eq(run_out, "");
	}
	/* After "--" all is an operand. */
	ck_assert_int_eq(RUN("stat", "--", "--help"), CTL_EXIT_FAILED);
	ck_assert_ptr_nonnull(strstr(run_err, "--help: No such file"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl switches");
	TCase *tc = tcase_create("ctl switches");

	tcase_add_test(tc, test_table_is_whole);
	tcase_add_test(tc, test_each_command_has_help_that_ends_with_0_and_names_all_switches);
	tcase_add_test(tc, test_wrong_switches_are_named_in_one_line_before_anything_is_done);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
