// SPDX-License-Identifier: GPL-2.0-or-later
/* test_stat.c - what ztmpfsctl stat prints. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "tests/ctl/json.h"
#include "tests/lib/zt_check.h"
#include "util/lock.h"

static void print(const struct ztmpfs_stat *stat, bool json, char *text, size_t room)
{
	FILE *file = fmemopen(text, room, "w");

	ck_assert_ptr_nonnull(file);
	ctl_print_stat(file, stat, json);
	ck_assert_int_eq(fclose(file), 0);
}

static struct ztmpfs_stat sample(void)
{
	struct ztmpfs_stat stat = {
		.version = ZTMPFS_STAT_VERSION,
		.struct_size = sizeof(stat),
		.compress = "zstd",
		.orig_data_size = 30000000,
		.compr_data_size = 9000000,
		.mem_used_total = 10000000,
		.mem_used_max = 10999999,
		.heap_used = 500000,
		.same_pages = 12,
		.fallback_busy = 7,
		.inodes_used = 1,
	};

	return stat;
}

START_TEST(test_table_starts_with_zrams_names_in_zrams_order)
{
	static const char *const names[] = { "orig_data_size",  "compr_data_size",
					     "mem_used_total",  "mem_limit",
					     "mem_used_max",    "same_pages",
					     "pages_compacted", "huge_pages",
					     "huge_pages_since" };
	const struct ztmpfs_stat stat = sample();
	char text[8192];
	char *line;

	print(&stat, false, text, sizeof(text));
	line = strtok(text, "\n");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++, line = strtok(NULL, "\n")) {
		ck_assert_ptr_nonnull(line);
		ck_assert_msg(strncmp(line, names[i], strlen(names[i])) == 0 &&
				      line[strlen(names[i])] == ' ',
			      "%s", line);
	}
}
END_TEST

START_TEST(test_table_groups_digits_and_names_units)
{
	const struct ztmpfs_stat stat = sample();
	char text[8192];

	print(&stat, false, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, " 30,000,000 bytes\n"));
	ck_assert_ptr_nonnull(strstr(text, " 500,000 bytes\n"));
	ck_assert_ptr_nonnull(strstr(text, " 12 pages\n"));
	ck_assert_ptr_nonnull(strstr(text, " 3.000\n"));
	/* No reason, no line. */
	ck_assert_ptr_null(strstr(text, "degraded"));
}
END_TEST

START_TEST(test_json_is_one_object_with_plain_numbers)
{
	struct ztmpfs_stat stat = sample();
	char text[8192];

	strcpy(stat.degraded, "no \"threads\" \\ \n");
	print(&stat, true, text, sizeof(text));
	ck_assert_int_eq(strncmp(text, "{\n", 2), 0);
	ck_assert_str_eq(text + strlen(text) - 3, "\n}\n");
	ck_assert_ptr_nonnull(strstr(text, "\"orig_data_size\": 30000000,\n"));
	ck_assert_ptr_nonnull(strstr(text, "\"compress\": \"zstd\",\n"));
	ck_assert_ptr_nonnull(strstr(text, "\"degraded\": \"no \\\"threads\\\" \\\\ \\u000a\",\n"));
	ck_assert_ptr_nonnull(strstr(text, "\"fallback_busy\": 7,\n"));
	ck_assert_ptr_nonnull(strstr(text, "\"ratio\": 3.0000\n"));
	ck_assert_msg(json_error(text) == NULL, "at: %.40s", json_error(text));
}
END_TEST

/* As long as anything can be. */
static struct ztmpfs_stat widest(void)
{
	struct ztmpfs_stat stat;

	memset(&stat, 0xff, sizeof(stat));
	memset(stat.compress, 'c', sizeof(stat.compress));
	memset(stat.recompress, 'r', sizeof(stat.recompress));
	memset(stat.degraded, 'd', sizeof(stat.degraded));
	return stat;
}

START_TEST(test_table_fits_80_columns_however_large_the_numbers)
{
	const struct ztmpfs_stat stat = widest();
	char text[16384];

	print(&stat, false, text, sizeof(text));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_msg(strlen(line) <= 80, "%s", line);
}
END_TEST

/* Every number of the struct stands in the output: a member that is added must be shown. */
/* Whether a word of the struct belongs to a name among the numbers. */
static bool is_text(size_t word)
{
	const size_t at = word * sizeof(uint64_t), begin = offsetof(struct ztmpfs_stat, recompress);

	return at >= begin && at < begin + sizeof(((struct ztmpfs_stat *)0)->recompress);
}

START_TEST(test_every_number_of_the_struct_is_printed_once)
{
	const size_t first = offsetof(struct ztmpfs_stat, orig_data_size) / sizeof(uint64_t);
	const size_t end = offsetof(struct ztmpfs_stat, reserved) / sizeof(uint64_t);
	struct ztmpfs_stat stat = { 0 };
	char text[16384], word[32];

	for (size_t i = first; i < end; i++)
		if (!is_text(i))
			((uint64_t *)(void *)&stat)[i] = 1000000 + i;
	print(&stat, true, text, sizeof(text));
	ck_assert_ptr_null(json_error(text));
	for (size_t i = first; i < end; i++) {
		const char *at;

		if (is_text(i))
			continue;
		snprintf(word, sizeof(word), "%zu", 1000000 + i);
		at = strstr(text, word);
		ck_assert_msg(at != NULL, "word %zu of struct ztmpfs_stat is not printed", i);
		ck_assert_msg(strstr(at + 1, word) == NULL, "word %zu is printed twice", i);
	}
}
END_TEST

START_TEST(test_json_is_valid_for_the_largest_values_too)
{
	const struct ztmpfs_stat stat = widest();
	char text[16384];

	print(&stat, true, text, sizeof(text));
	ck_assert_msg(json_error(text) == NULL, "at: %.40s", json_error(text));
	ck_assert_ptr_nonnull(strstr(text, "18446744073709551615"));
}
END_TEST

START_TEST(test_buckets_are_lines_with_bars_between_the_first_and_the_last_that_count)
{
	struct ztmpfs_stat stat = { .managed_latency = { [4] = 1, [14] = 3000, [16] = 1500 },
				    .accel_batches = { [0] = 5, [8] = 10 } };
	char text[16384];

	print(&stat, false, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "  from 16 ns                                  1\n"));
	ck_assert_ptr_nonnull(strstr(text, "  from 16 us                              3,000 "
					   "###############################\n"));
	ck_assert_ptr_nonnull(strstr(text, "  from 33 us                                  0\n"));
	ck_assert_ptr_nonnull(strstr(text, "  from 66 us                              1,500 "
					   "################\n"));
	ck_assert_ptr_null(strstr(text, "from 131 us"));
	ck_assert_ptr_null(strstr(text, "from 8 ns"));
	ck_assert_ptr_nonnull(strstr(text, "  from 1                                      5 "));
	ck_assert_ptr_nonnull(strstr(text, "  from 256                                   10 "));
	print(&stat, true, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "\"accel_batches\": [5, 0, 0, 0, 0, 0, 0, 0, 10],\n"));
	stat = (struct ztmpfs_stat){ 0 };
	print(&stat, false, text, sizeof(text));
	ck_assert_ptr_null(strstr(text, "from"));
}
END_TEST

START_TEST(test_locks_are_named_and_those_that_nobody_waited_for_left_out)
{
	struct ztmpfs_stat stat = { .lock_waits = { [ZT_LOCK_CLASS] = 1234 },
				    .lock_wait_ns = { [ZT_LOCK_CLASS] = 5678901 } };
	char text[16384];

	print(&stat, false, text, sizeof(text));
	ck_assert_ptr_nonnull(
		strstr(text, "\nlock_waits   class                        1,234 times\n"));
	ck_assert_ptr_nonnull(
		strstr(text, "\nlock_wait_ns class                    5,678,901 ns\n"));
	ck_assert_ptr_null(strstr(text, " arena "));
	print(&stat, true, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "\"lock_waits\": {\"file\": 0, "));
	ck_assert_ptr_nonnull(strstr(text, "\"class\": 1234, "));
	ck_assert_ptr_nonnull(strstr(text, "\"transport\": 0},\n"));
	stat = (struct ztmpfs_stat){ 0 };
	print(&stat, false, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "\nlock_waits                                 none\n"));
}
END_TEST

START_TEST(test_text_without_an_end_is_cut)
{
	struct ztmpfs_stat stat = sample();
	char text[8192];

	memset(stat.compress, 'a', sizeof(stat.compress));
	print(&stat, true, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "\"compress\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\n"));
}
END_TEST

START_TEST(test_empty_mount_has_ratio_zero)
{
	struct ztmpfs_stat stat = { 0 };
	char text[8192];

	print(&stat, true, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "\"ratio\": 0.0000\n"));
}
END_TEST

START_TEST(test_what_is_no_ztmpfs_is_told_apart_from_what_is_absent)
{
	struct ztmpfs_stat stat;

	ck_assert_int_eq(ctl_get_stat("/", &stat), -ENOTTY);
	ck_assert_int_eq(ctl_get_stat("/proc", &stat), -ENOTTY);
	ck_assert_int_eq(ctl_get_stat("/no/such/directory", &stat), -ENOENT);
}
END_TEST

/* A pool in two answers, and one more. */
static void sample_pools(struct ztmpfs_pool_stat answers[3])
{
	memset(answers, 0, 3 * sizeof(*answers));
	for (size_t i = 0; i < 3; i++) {
		strcpy(answers[i].name, i < 2 ? "data" : "in\"odes");
		answers[i].nr_classes = 2;
		answers[i].pages_compacted = 77;
		answers[i].resident = 900000;
		answers[i].range = 4194304;
		answers[i].range_runs = 2097152;
		answers[i].range_free[9] = 1;
		for (uint32_t c = 0; c < 2; c++)
			answers[i].classes[c] = (struct ztmpfs_pool_class){
				.idx = (uint32_t)(10 * i + c),
				.size = 1024,
				.obj_allocated = 500,
				.obj_used = 100,
				.obj_bytes = 51200,
				.pages_used = 50,
				.pages_cached = 3,
				.pages_per_zspage = 123,
				.freeable = 25,
				.groups = { [3] = 5, [9] = 6 },
			};
	}
	answers[0].next = 10;
	answers[1].first = 10;
}

START_TEST(test_pools_are_tables_with_sums)
{
	struct ztmpfs_pool_stat answers[3];
	FILE *file;
	char text[16384];

	sample_pools(answers);
	file = fmemopen(text, sizeof(text), "w");
	ctl_print_pools(file, answers, 3, false);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(strncmp(text, "Pool data:\nclass   size  empty   <1/8 ", 38), 0);
	/* Four classes of the first pool, two of the second. */
	ck_assert_ptr_nonnull(strstr(
		text,
		"\n   11   1024      0      0      0      5      0      0      0      0"
		"      0      6           500        100         50              123       25\n"
		"Total             0      0      0     20      0      0      0      0"
		"      0     24          2000        400        200                       100\n"));
	ck_assert_ptr_nonnull(strstr(text, " 204800 bytes\n"));
	ck_assert_ptr_nonnull(strstr(text, " 409600 bytes, 50.0 % lost to headers and rounding\n"));
	ck_assert_ptr_nonnull(strstr(text, " 819200 bytes, 50.0 % lost to gaps\n"));
	ck_assert_ptr_nonnull(strstr(text, "Pool in\"odes:\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nTotal             0      0      0     10"));
	ck_assert_ptr_nonnull(
		strstr(text, "\nfree,  512 pages                         1 blocks\n"));
	ck_assert_ptr_nonnull(strstr(text, " 100.0 % of what is free"));
}
END_TEST

START_TEST(test_pools_are_one_json_object)
{
	struct ztmpfs_pool_stat answers[3];
	FILE *file;
	char text[16384];

	sample_pools(answers);
	for (int empty = 0; empty < 2; empty++) {
		if (empty)
			answers[0].nr_classes = answers[1].nr_classes = answers[2].nr_classes = 0;
		file = fmemopen(text, sizeof(text), "w");
		ctl_print_pools(file, answers, 3, true);
		ck_assert_int_eq(fclose(file), 0);
		ck_assert_msg(json_error(text) == NULL, "at: %.40s", json_error(text));
		if (empty)
			break;
		ck_assert_ptr_nonnull(strstr(text, "\"class\": 11, \"size\": 1024, "));
		ck_assert_ptr_nonnull(strstr(text, "\"groups\": [0, 0, 0, 5, 0, 0, 0, 0, 0, 6]"));
		ck_assert_ptr_nonnull(strstr(text, "\"objects\": 400, \"object_bytes\": 204800, "));
		ck_assert_ptr_nonnull(strstr(text, "\"objects\": 200, "));
		ck_assert_ptr_nonnull(strstr(text, "\"name\": \"in\\\"odes\""));
		ck_assert_ptr_nonnull(
			strstr(text, "\"range_free\": [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]"));
	}
}
END_TEST

/* Runs @argv with the error output caught. */
static int run(const char *argv[], char *text, size_t room)
{
	FILE *file = tmpfile();
	const int saved = dup(STDERR_FILENO);
	size_t len;
	int argc = 0, status;

	while (argv[argc])
		argc++;
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	status = ctl_main(argc, (char **)argv);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	len = fread(text, 1, room - 1, file);
	text[len] = '\0';
	fclose(file);
	return status;
}

#define RUN(text, ...) run((const char *[]){ "ztmpfsctl", __VA_ARGS__ }, text, sizeof(text))

START_TEST(test_wrong_use_is_told_in_one_line)
{
	static const char *const wrong[][4] = { { NULL },
						{ "nope", NULL },
						{ "stat", NULL },
						{ "stat", "--jason", "/", NULL },
						{ "stat", "/", "/", NULL } };
	char text[1024];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ck_assert_int_eq(RUN(text, wrong[i][0], wrong[i][1], wrong[i][2], NULL),
				 CTL_EXIT_USAGE);
		ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	}
	ck_assert_int_eq(RUN(text, "stat", "/", NULL), CTL_EXIT_FAILED);
	ck_assert_str_eq(text, "ztmpfsctl: /: not a ztmpfs\n");
	ck_assert_int_eq(RUN(text, "stat", "--pool", "/", NULL), CTL_EXIT_FAILED);
	ck_assert_str_eq(text, "ztmpfsctl: /: not a ztmpfs\n");
	ck_assert_int_eq(RUN(text, "stat", "--json", "/no/such", NULL), CTL_EXIT_FAILED);
	ck_assert_str_eq(text, "ztmpfsctl: /no/such: No such file or directory\n");
}
END_TEST

START_TEST(test_builds_of_one_release_are_told_apart)
{
	static const struct {
		const char *release;
		uint64_t requests;
		const char *daemon, *end; /* what is said of it, and what is to be done */
	} cases[] = {
		{ "9.9.9", 0, "ztmpfs 9.9.9 serves", "take the ztmpfsctl of the former\n" },
		{ PACKAGE_VERSION, 0, " of an older build serves", "mount it anew for that\n" },
		{ PACKAGE_VERSION, 3, " of another build (2 requests) serves",
		  "mount it anew for that\n" },
		{ PACKAGE_VERSION, 2, " of an older build (1 requests) serves",
		  "mount it anew for that\n" },
		{ PACKAGE_VERSION, ZTMPFS_REQUESTS | 1, " of a newer build (",
		  "ztmpfsctl of the former\n" },
		{ PACKAGE_VERSION, ZTMPFS_REQUESTS, " of another build (",
		  "ztmpfsctl of the former\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ztmpfs_info info = { .requests = cases[i].requests };
		char text[1024] = "";
		FILE *file = fmemopen(text, sizeof(text), "w");

		strcpy(info.release, cases[i].release);
		ck_assert_ptr_nonnull(file);
		ctl_print_other(file, "/m", &info);
		ck_assert_int_eq(fclose(file), 0);
		ck_assert_msg(strstr(text, cases[i].daemon) && strstr(text, cases[i].end) &&
				      strchr(text, '\n')[1] == '\0',
			      "%s", text);
	}
}
END_TEST

/* What a terminal of @width columns shows; the words of the options are whole. */
static void summary(size_t width)
{
	static const char options[] =
		"size=64m,nr_inodes=1000,mem_limit=32m,compress=lz4,cluster=64k";
	struct ztmpfs_info info = { .release = "0.1.0", .pid = 1234567 };
	const struct ztmpfs_stat stat = sample();
	char text[8192], got[1024] = "";
	bool in_options = false;
	FILE *file = fmemopen(text, sizeof(text), "w");

	strcpy(info.options, options);
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(ctl_print_summary(file, "/srv/scratch", &info, &stat, width), 0);
	ck_assert_int_eq(fclose(file), 0);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		ck_assert_msg(strlen(line) <= width, "%zu: '%s'", width, line);
		in_options |= strncmp(line, "options", 7) == 0;
		if (!in_options)
			continue;
		ck_assert_uint_gt(strlen(line), 11);
		line[strcspn(line + 11, " ") + 11] = '\0';
		strcat(got, line + 11);
		ck_assert_msg(strcmp(got, options) == 0 || got[strlen(got) - 1] == ',', "%s", got);
	}
	ck_assert_str_eq(got, options);
}

START_TEST(test_summary_is_broken_at_commas_and_blanks)
{
	summary(40);
	summary(57);
	summary(80);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl stat");
	TCase *tc = tcase_create("ctl stat");

	tcase_add_test(tc, test_table_starts_with_zrams_names_in_zrams_order);
	tcase_add_test(tc, test_table_groups_digits_and_names_units);
	tcase_add_test(tc, test_json_is_one_object_with_plain_numbers);
	tcase_add_test(tc, test_table_fits_80_columns_however_large_the_numbers);
	tcase_add_test(tc, test_every_number_of_the_struct_is_printed_once);
	tcase_add_test(tc, test_json_is_valid_for_the_largest_values_too);
	tcase_add_test(tc,
		       test_buckets_are_lines_with_bars_between_the_first_and_the_last_that_count);
	tcase_add_test(tc, test_locks_are_named_and_those_that_nobody_waited_for_left_out);
	tcase_add_test(tc, test_text_without_an_end_is_cut);
	tcase_add_test(tc, test_empty_mount_has_ratio_zero);
	tcase_add_test(tc, test_what_is_no_ztmpfs_is_told_apart_from_what_is_absent);
	tcase_add_test(tc, test_pools_are_tables_with_sums);
	tcase_add_test(tc, test_pools_are_one_json_object);
	tcase_add_test(tc, test_summary_is_broken_at_commas_and_blanks);
	tcase_add_test(tc, test_wrong_use_is_told_in_one_line);
	tcase_add_test(tc, test_builds_of_one_release_are_told_apart);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
