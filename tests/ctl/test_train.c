// SPDX-License-Identifier: GPL-2.0-or-later
/* test_train.c - dictionaries: made, refused, and worth it for every algorithm that takes one. */
#include <errno.h>

#include "tests/ctl/run.h"
#include "zcomp/dict.h"

static size_t file_size(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return (size_t)st.st_size;
}

/* The ratio that zbench --csv prints for a codec. */
static double ratio_of(const char *codec)
{
	const char *line = strstr(run_out, codec);
	double ratio = 0;

	ck_assert_msg(line != NULL, "no %s in:\n%s", codec, run_out);
	ck_assert_int_eq(sscanf(line,
				"%*[^,],%*[^,],%*[^,],%*[^,],%*[^,],%*[^,],%*[^,],%*[^,],"
				"%*[^,],%*[^,],%*[^,],%*[^,],%lf",
				&ratio),
			 1);
	return ratio;
}

START_TEST(test_dictionary_helps_small_clusters_of_other_files)
{
	char dict[256];

	for (int i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		run_file(name, 20000, (uint64_t)i);
	}
	snprintf(dict, sizeof(dict), "%s.dict", run_dir);
	ck_assert_msg(RUN("train", "--size", "8k", "-o", dict, run_dir) == 0, "%s", run_err);
	ck_assert_msg(strncmp(run_out, dict, strlen(dict)) == 0, "%s", run_out);
	ck_assert_uint_le(file_size(dict), 8192);
	ck_assert_uint_ge(file_size(dict), 1024);
	/* Measured on what it was not made of. */
	run_file("other", 200000, 4711);
	ck_assert_msg(RUN("zbench", "--csv", "--seconds", "0", "--cluster", "4k", "--codec",
			  "lz4,lz4hc,zstd,zstd:9,null", "--dict", dict, run_path("other")) == 0,
		      "%s", run_err);
	ck_assert(ratio_of("\nlz4:1+dict,") > 1.05 * ratio_of("\nlz4:1,"));
	ck_assert(ratio_of("\nlz4hc:9+dict,") > 1.05 * ratio_of("\nlz4hc:9,"));
	ck_assert(ratio_of("\nzstd:1+dict,") > 1.05 * ratio_of("\nzstd:1,"));
	ck_assert(ratio_of("\nzstd:9+dict,") > 1.05 * ratio_of("\nzstd:9,"));
	ck_assert_ptr_null(strstr(run_out, "null+dict"));
	unlink(dict);
}
END_TEST

/* What others have put beside the output, where they expect us to write, stays as it is. */
START_TEST(test_nothing_but_the_output_is_written)
{
	char dict[256], trap[256], victim[256];
	struct stat st;
	mode_t mask = umask(027);

	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		run_file(name, 20000, (uint64_t)i);
	}
	run_file("victim", 100, 1);
	snprintf(victim, sizeof(victim), "%s", run_path("victim"));
	snprintf(dict, sizeof(dict), "%s.dict", run_dir);
	snprintf(trap, sizeof(trap), "%s.dict.new", run_dir);
	ck_assert_int_eq(symlink(victim, trap), 0);
	ck_assert_msg(RUN("train", "--size", "8k", "-o", dict, run_dir) == 0, "%s", run_err);
	ck_assert_uint_eq(file_size(victim), 100);
	ck_assert_int_eq(lstat(trap, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	ck_assert_int_eq(lstat(dict, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0640);
	umask(mask);
	unlink(trap);
	unlink(dict);
}
END_TEST

START_TEST(test_wrong_use_is_told_in_one_line_and_makes_no_file)
{
	static const char *const wrong[][8] = {
		{ "train", NULL },
		{ "train", "/etc", NULL },
		{ "train", "-o", NULL },
		{ "train", "-o", "x.dict", NULL },
		{ "train", "-o", "x.dict", "--size", "255", "/etc", NULL },
		{ "train", "-o", "x.dict", "--size", "2m", "/etc", NULL },
		{ "train", "-o", "x.dict", "--cluster", "5k", "/etc", NULL },
		{ "train", "-o", "x.dict", "--cluster", "256k", "/etc", NULL },
		{ "train", "-o", "x.dict", "--limit", "0", "/etc", NULL },
		{ "train", "-o", "x.dict", "--what", "/etc", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ck_assert_int_eq(RUN(wrong[i][0], wrong[i][1], wrong[i][2], wrong[i][3],
				     wrong[i][4], wrong[i][5], wrong[i][6]),
				 CTL_EXIT_USAGE);
		ck_assert_ptr_eq(strchr(run_err, '\n'), run_err + strlen(run_err) - 1);
	}
	ck_assert_int_eq(access("x.dict", F_OK), -1);
}
END_TEST

START_TEST(test_too_little_or_nothing_is_refused_in_words)
{
	ck_assert_int_eq(RUN("train", "-o", run_path("d"), "/no/such"), CTL_EXIT_FAILED);
	ck_assert_str_eq(run_err, "ztmpfsctl: /no/such: No such file or directory\n");
	ck_assert_int_eq(RUN("train", "-o", "x.dict", run_dir), CTL_EXIT_FAILED);
	ck_assert_ptr_nonnull(strstr(run_err, "nothing to read"));
	run_file("small", 100, 1);
	ck_assert_int_eq(RUN("train", "-o", "x.dict", run_dir), CTL_EXIT_FAILED);
	ck_assert_ptr_nonnull(strstr(run_err, "no dictionary out of 1 samples"));
	ck_assert_int_eq(access("x.dict", F_OK), -1);
	run_file("large", 300000, 1);
	ck_assert_int_eq(RUN("train", "-o", "/no/such/dict", run_dir), CTL_EXIT_FAILED);
	ck_assert_str_eq(run_err, "ztmpfsctl: /no/such/dict: No such file or directory\n");
}
END_TEST

START_TEST(test_dictionary_of_a_size_that_nothing_takes_is_refused)
{
	const size_t sizes[] = { 8 };
	char text[ZCOMP_ERROR_TEXT] = "", dict[512];
	size_t len;

	ck_assert_int_eq(zcomp_dict_train("12345678", sizes, 1, dict, 255, 0, text, &len), -EINVAL);
	ck_assert_ptr_nonnull(strstr(text, "out of range 256..1048576"));
	ck_assert_int_eq(zcomp_dict_train("12345678", sizes, 1, dict, 256, 0, text, &len), -ENODATA);
	ck_assert_int_eq(zcomp_dict_train("12345678", sizes, 1, dict, 512, 0, text, &len), -ENODATA);
	ck_assert_ptr_nonnull(strstr(text, "no dictionary out of 1 samples: "));
}
END_TEST

/* What was there is replaced at once, or not at all. */
START_TEST(test_old_dictionary_is_replaced)
{
	char dict[256];

	run_file("a", 300000, 1);
	snprintf(dict, sizeof(dict), "%s", run_path("dict"));
	run_file("dict", 100000, 2);
	ck_assert_int_eq(RUN("train", "--size", "4k", "-o", dict, run_path("a")), 0);
	ck_assert_uint_le(file_size(dict), 4096);
	ck_assert_int_eq(access(run_path("dict.new"), F_OK), -1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl train");
	TCase *tc = tcase_create("ctl train");

	tcase_add_checked_fixture(tc, run_setup, run_teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_dictionary_helps_small_clusters_of_other_files);
	tcase_add_test(tc, test_nothing_but_the_output_is_written);
	tcase_add_test(tc, test_wrong_use_is_told_in_one_line_and_makes_no_file);
	tcase_add_test(tc, test_too_little_or_nothing_is_refused_in_words);
	tcase_add_test(tc, test_dictionary_of_a_size_that_nothing_takes_is_refused);
	tcase_add_test(tc, test_old_dictionary_is_replaced);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
