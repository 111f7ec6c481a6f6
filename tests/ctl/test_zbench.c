// SPDX-License-Identifier: GPL-2.0-or-later
/* test_zbench.c - what zbench measures, prints and refuses. No figure is held against a clock. */
#include <errno.h>

#include "ctl/zbench.h"
#include "tests/ctl/json.h"
#include "tests/ctl/run.h"
#include "util/alloc.h"

#define NR_COLUMNS 26

static void setup(void)
{
	run_setup();
	run_file("text", 300000, 1);
}

static unsigned nr_lines(const char *text)
{
	unsigned nr = 0;

	for (; *text != '\0'; text++)
		nr += *text == '\n';
	return nr;
}

START_TEST(test_every_codec_cluster_and_mode_is_one_line)
{
	ck_assert_msg(RUN("zbench", "--seconds", "0", "--cluster", "4k,128k", "--mode",
			  "sync,wait,managed", "--depth", "1,16", run_dir) == 0,
		      "%s", run_err);
	ck_assert_str_eq(run_err, "");
	/* Two of head, one of foot; per codec and cluster one of sync and wait, two of managed. */
	ck_assert_uint_eq(nr_lines(run_out), 2 + 4 * 2 * 4 + 1);
	for (char *line = strtok(run_out, "\n"); line; line = strtok(NULL, "\n"))
		ck_assert_msg(strlen(line) <= 80, "%s", line);
}
END_TEST

START_TEST(test_line_under_the_table_says_how_much_was_measured)
{
	ck_assert_int_eq(RUN("zbench", "--seconds", "0", "--cluster", "4k", "--codec", "null",
			     run_dir),
			 0);
	ck_assert_ptr_nonnull(strstr(run_out, "\nmeasured over 0.3 of 0.3 MB in 1 files\n"));
	for (unsigned i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "short%u", i);
		run_file(name, 12000, i + 1);
	}
	ck_assert_int_eq(RUN("zbench", "--seconds", "0", "--cluster", "4k", "--codec", "null",
			     "--limit", "500000", run_dir),
			 0);
	ck_assert_msg(strstr(run_out, "\nmeasured over 0.5 of 1.5 MB in 101 files, evenly spread "
				      "(--limit)\n") != NULL,
		      "%s", run_out);
}
END_TEST

START_TEST(test_same_data_give_the_same_ratio_on_every_way)
{
	double first[2] = { 0 };

	ck_assert_int_eq(RUN("zbench", "--csv", "--seconds", "0", "--cluster", "4k,64k", "--codec",
			     "zstd", "--mode", "sync,wait,managed", "--callers", "1,3", "--engines",
			     "2", "--batch", "1,5", "--submit", "100", run_dir),
			 0);
	strtok(run_out, "\n");
	for (char *line = strtok(NULL, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned cluster, callers, commas = 0;
		unsigned long long units, same, in, out, calls, fallbacks;
		double ratio;
		char mode[16];

		for (const char *c = line; *c != '\0'; c++)
			commas += *c == ',';
		ck_assert_uint_eq(commas, NR_COLUMNS - 1);
		ck_assert_int_eq(sscanf(line,
					"%*[^,],%*u,%u,%15[^,],%u,%*u,%*u,%*u,%llu,%llu,%llu,%llu,"
					"%lf,%llu,%llu,",
					&cluster, mode, &callers, &units, &same, &in, &out, &ratio,
					&calls, &fallbacks),
				 10);
		ck_assert_uint_eq(in, 300000);
		ck_assert_uint_eq(units, (300000 + cluster - 1) / cluster);
		ck_assert_uint_eq(calls, units);
		ck_assert_uint_eq(same, 0);
		ck_assert_msg(ratio > 2, "%s", line);
		if (first[cluster > 4096] == 0)
			first[cluster > 4096] = ratio;
		ck_assert_msg(ratio == first[cluster > 4096], "%s", line);
	}
	ck_assert(first[1] > first[0]);
}
END_TEST

START_TEST(test_json_is_valid_and_csv_has_as_many_names_as_values)
{
	unsigned names = 1;

	ck_assert_int_eq(RUN("zbench", "--json", "--seconds", "0", "--codec", "lz4,null:", run_dir),
			 CTL_EXIT_FAILED);
	ck_assert_int_eq(RUN("zbench", "--json", "--seconds", "0", "--codec", "lz4,null", "--mode",
			     "sync,managed", run_dir),
			 0);
	ck_assert_msg(json_error(run_out) == NULL, "at: %.60s", json_error(run_out));
	ck_assert_ptr_nonnull(strstr(run_out, "\"mode\": \"managed\""));
	ck_assert_ptr_nonnull(strstr(run_out, "\"out_mbps\": null"));
	ck_assert_int_eq(RUN("zbench", "--csv", "--seconds", "0", "--codec", "null", run_dir), 0);
	for (const char *c = run_out; *c != '\n'; c++)
		names += *c == ',';
	ck_assert_uint_eq(names, NR_COLUMNS);
}
END_TEST

START_TEST(test_device_with_a_name_gives_what_was_not_said)
{
	ck_assert_int_eq(RUN("zbench", "--csv", "--seconds", "0", "--codec", "null", "--device",
			     "iaa:work=1000", "--depth", "9", "--mode", "managed", run_dir),
			 0);
	ck_assert_msg(strstr(run_out, "\nnull,0,4096,managed,1,8,9,2,") != NULL, "%s", run_out);
	ck_assert_msg(strstr(run_out, ",8,2000,1000,0\n") != NULL, "%s", run_out);
	ck_assert_int_eq(RUN("zbench", "--seconds", "0", "--device", "qpcae", run_dir),
			 CTL_EXIT_USAGE);
	ck_assert_str_eq(run_err, "ztmpfsctl: --device qpcae: unknown; did you mean qpace?\n");
	/* The algorithm of a device is the default: hisi's is built in. */
	ck_assert_int_eq(RUN("zbench", "--csv", "--seconds", "0", "--device", "hisi", "--cluster",
			     "64k", "--mode", "managed", run_dir),
			 0);
	ck_assert_msg(strstr(run_out, "\nlz4:1,0,65536,managed,1,2,1024,20,") != NULL, "%s",
		      run_out);
}
END_TEST

START_TEST(test_data_of_one_value_are_left_out_and_counted)
{
	FILE *file = fopen(run_path("zero"), "w");

	ck_assert_int_eq(ftruncate(fileno(file), 40960), 0);
	fclose(file);
	ck_assert_int_eq(RUN("zbench", "--csv", "--seconds", "0", "--codec", "lz4", "--cluster",
			     "4k", run_dir),
			 0);
	ck_assert_ptr_nonnull(strstr(run_out, ",74,10,300000,"));
	ck_assert_int_eq(RUN("zbench", "--seconds", "0", run_path("zero")), CTL_EXIT_FAILED);
	ck_assert_str_eq(run_err, "ztmpfsctl: nothing but repeated values\n");
}
END_TEST

START_TEST(test_clock_runs_about_as_long_as_asked)
{
	struct zbench_point point = { .name = "lz4",
				      .level = ZCOMP_LEVEL_DEFAULT,
				      .cluster = 4096,
				      .mode = ZBENCH_MANAGED,
				      .threads = 2,
				      .depth = 8,
				      .engines = 2,
				      .latency_us = 50 };
	char *paths[] = { run_dir, NULL };
	struct sample_params params = { .paths = paths, .piece = 131072, .limit = 1 << 20 };
	char text[SAMPLE_ERROR_TEXT];
	struct zbench_result result;
	struct samples samples;

	ck_assert_int_eq(samples_read(&params, text, &samples), 0);
	ck_assert_int_eq(zbench_run(&samples, &point, 0.05, text, &result), 0);
	ck_assert(result.seconds >= 0.05 && result.seconds < 5);
	ck_assert_uint_gt(result.calls, 0);
	ck_assert_uint_eq(result.fallbacks, 0);
	/* No request can be faster than the device. */
	ck_assert(result.p50_us >= 45 && result.p99_us >= result.p50_us);
	ck_assert_str_eq(result.codec, "lz4:1");
	samples_free(&samples);
}
END_TEST

START_TEST(test_plot_has_a_line_for_each_latency_and_a_panel_for_each_codec)
{
	char path[256], svg[65536];
	const char *at = svg;
	unsigned nr_lines_drawn = 0;
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s", run_path("plot.svg"));
	ck_assert_msg(RUN("zbench", "--seconds", "0", "--limit", "128k", "--plot", path, "--codec",
			  "null,lz4", "--latency", "0,7,13", "--depth", "1,4,16",
			  run_path("text")) == 0,
		      "%s", run_err);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	len = fread(svg, 1, sizeof(svg) - 1, file);
	svg[len] = '\0';
	fclose(file);
	while ((at = strstr(at, "<polyline")) != NULL) {
		at++;
		nr_lines_drawn++;
	}
	ck_assert_uint_eq(nr_lines_drawn, 6);
	ck_assert_ptr_nonnull(strstr(svg, "null, units of 4 KiB, 1 engine<"));
	ck_assert_ptr_nonnull(strstr(svg, "lz4:1, units of 4 KiB, 1 engine<"));
	ck_assert_ptr_nonnull(strstr(svg, "managed, 13 "));
	ck_assert_ptr_nonnull(strstr(svg, "per-thread x1, 7 "));
	ck_assert_ptr_null(strstr(svg, "nan"));
	ck_assert_ptr_null(strstr(svg, "inf"));
	ck_assert_str_eq(svg + len - 7, "</svg>\n");
	ck_assert_int_eq(RUN("zbench", "--seconds", "0", "--plot", "/no/such/x.svg", "--depth", "1",
			     "--latency", "0", run_path("text")),
			 CTL_EXIT_FAILED);
	ck_assert_ptr_nonnull(strstr(run_err, "/no/such/x.svg: No such file"));
}
END_TEST

START_TEST(test_wrong_use_is_told_in_one_line)
{
	static const char *const wrong[][3] = {
		{ "--codec", "" },
		{ "--codec", "lz4,,zstd" },
		{ "--cluster", "5k" },
		{ "--cluster", "4k,256k" },
		{ "--mode", "async" },
		{ "--mode", "sync," },
		{ "--callers", "0" },
		{ "--callers", "257" },
		{ "--depth", "0" },
		{ "--depth", "4097" },
		{ "--batch", "0" },
		{ "--batch", "65" },
		{ "--submit", "1000001" },
		{ "--latency", "x" },
		{ "--work", "100000001" },
		{ "--device", "iax" },
		{ "--device", "iaa:depth=0" },
		{ "--device", "something" },
		{ "--engines", "65" },
		{ "--seconds", "-1" },
		{ "--seconds", "nan" },
		{ "--seconds", "1s" },
		{ "--limit", "0" },
		{ "--what", "1" },
		{ "--json", "--csv" },
		{ "--depth", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ck_assert_msg(RUN("zbench", wrong[i][0], wrong[i][1], run_dir) == CTL_EXIT_USAGE,
			      "%s %s is taken", wrong[i][0], wrong[i][1]);
		ck_assert_ptr_eq(strchr(run_err, '\n'), run_err + strlen(run_err) - 1);
	}
}
END_TEST

START_TEST(test_what_cannot_be_measured_is_told_in_words)
{
	static const char *const cases[][3] = {
		{ "--codec", "rar", "unknown algorithm; allowed: lz4" },
		{ "--codec", "zstd:99", "level out of range" },
		{ "--codec", "/no/such.so", "No such file" },
		{ "--dict", "/no/such", "/no/such: No such file" },
		{ "--dict", "/dev/null", "no file of 1 byte to 16 MiB" },
	};
	char large[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_int_eq(RUN("zbench", "--seconds", "0", "--cluster", "4k", cases[i][0],
				     cases[i][1], run_dir),
				 CTL_EXIT_FAILED);
		ck_assert_msg(strstr(run_err, cases[i][2]) != NULL, "%s", run_err);
		ck_assert_ptr_eq(strchr(run_err, '\n'), run_err + strlen(run_err) - 1);
	}
	/* A dictionary that is too large for lz4 is a sentence of the core's. */
	run_file("large", 70000, 3);
	snprintf(large, sizeof(large), "%s", run_path("large"));
	ck_assert_int_eq(RUN("zbench", "--seconds", "0", "--codec", "lz4", "--cluster", "4k",
			     "--dict", large, run_path("text")),
			 CTL_EXIT_FAILED);
	ck_assert_ptr_nonnull(strstr(run_err, "dictionary of 70000 bytes: out of range 1..65536"));
}
END_TEST

START_TEST(test_no_memory_is_an_error_and_leaves_nothing)
{
	struct zbench_point point = { .name = "lz4",
				      .level = ZCOMP_LEVEL_DEFAULT,
				      .cluster = 65536,
				      .mode = _i ? ZBENCH_MANAGED : ZBENCH_SYNC,
				      .threads = 2,
				      .depth = 2 * (uint32_t)_i,
				      .engines = (uint32_t)_i };
	char *paths[] = { run_dir, NULL };
	struct sample_params params = { .paths = paths, .piece = 131072, .limit = 1 << 20 };
	char text[SAMPLE_ERROR_TEXT];
	struct zbench_result result;
	struct samples samples;
	int error, nr = 0;

	ck_assert_int_eq(samples_read(&params, text, &samples), 0);
	do {
		zt_fault_set(++nr);
		error = zbench_run(&samples, &point, 0, text, &result);
		zt_fault_set(0);
		/* The device may do without some engines, or says that there is none. */
		ck_assert_msg(error == 0 || error == -ENOMEM || error == -EOPNOTSUPP, "%d", error);
	} while (error || nr < 8);
	samples_free(&samples);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl zbench");
	TCase *tc = tcase_create("ctl zbench");

	tcase_add_checked_fixture(tc, setup, run_teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_every_codec_cluster_and_mode_is_one_line);
	tcase_add_test(tc, test_line_under_the_table_says_how_much_was_measured);
	tcase_add_test(tc, test_same_data_give_the_same_ratio_on_every_way);
	tcase_add_test(tc, test_json_is_valid_and_csv_has_as_many_names_as_values);
	tcase_add_test(tc, test_device_with_a_name_gives_what_was_not_said);
	tcase_add_test(tc, test_data_of_one_value_are_left_out_and_counted);
	tcase_add_test(tc, test_clock_runs_about_as_long_as_asked);
	tcase_add_test(tc, test_plot_has_a_line_for_each_latency_and_a_panel_for_each_codec);
	tcase_add_test(tc, test_wrong_use_is_told_in_one_line);
	tcase_add_test(tc, test_what_cannot_be_measured_is_told_in_words);
	tcase_add_loop_test(tc, test_no_memory_is_an_error_and_leaves_nothing, 0, 2);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
