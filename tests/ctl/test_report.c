// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * test_report.c - the page of zbench --report: all pictures, well-formed, with the figures of the
 * CSV; and pictures out of descriptions. Covers chart.c, chart_axis.c, chart_svg.c, draw.c and all of
 * report.h. No figure is held against a clock.
 */
#include "ctl/report.h"
#include "tests/ctl/json.h"
#include "tests/ctl/run.h"
#include "tests/ctl/xml.h"
#include "util/sizes.h"

static char text[1 << 20];

static void setup(void)
{
	run_setup();
	run_file("data", 100000, 1);
}

/* A file of the report's folder, into text. */
static const char *load(const char *name)
{
	char path[256];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/report/%s", run_dir, name);
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s", path);
	len = fread(text, 1, sizeof(text) - 1, file);
	ck_assert_uint_lt(len, sizeof(text) - 1);
	text[len] = '\0';
	fclose(file);
	return text;
}

static void make_report(void)
{
	char dir[128], data[128];

	snprintf(dir, sizeof(dir), "%s/report", run_dir);
	snprintf(data, sizeof(data), "%s/data", run_dir);
	ck_assert_msg(RUN("zbench", "--seconds", "0", "--report", dir, data) == 0, "%s", run_err);
	/* No progress where nobody looks. */
	ck_assert_str_eq(run_err, "");
}

static unsigned count(const char *in, const char *what)
{
	unsigned nr = 0;

	while ((in = strstr(in, what)) != NULL) {
		in += strlen(what);
		nr++;
	}
	return nr;
}

static void check_page(void)
{
	const char *page = load("index.html");

	ck_assert_msg(xml_error(page) == NULL, "at: %.80s", xml_error(page));
	ck_assert_uint_eq(count(page, "<section id="), NR_REPORT_PICTURES);
	ck_assert_uint_eq(count(page, "<svg "), 2 + 1 + 2 + 2 + 2 + 3);
	ck_assert_uint_eq(count(page, "Machine: "), NR_REPORT_PICTURES + 1);
	ck_assert_uint_eq(count(page, "0.1 of 0.1 MB in 1 files"), NR_REPORT_PICTURES + 1);
	ck_assert_uint_eq(count(page, " units verified, "), NR_REPORT_PICTURES);
	ck_assert_ptr_nonnull(strstr(page, "prefers-color-scheme:dark"));
	/* Nothing from elsewhere: names of namespaces are no addresses that are fetched. */
	ck_assert_ptr_null(strstr(page, "<script"));
	ck_assert_ptr_null(strstr(page, "src="));
	ck_assert_ptr_null(strstr(page, "url("));
	ck_assert_ptr_null(strstr(page, "@import"));
	ck_assert_ptr_null(strstr(page, "href=\"http"));
	ck_assert_ptr_null(strstr(page, "nan"));
	ck_assert_ptr_null(strstr(page, "inf<"));
}

static void check_pictures(void)
{
	for (unsigned which = 0; which < NR_REPORT_PICTURES; which++) {
		const struct report_text *of = report_text_of((enum report_picture)which);
		char name[64];
		const char *svg;

		snprintf(name, sizeof(name), "%s.svg", of->file);
		svg = load(name);
		ck_assert_msg(xml_error(svg) == NULL, "%s at: %.80s", name, xml_error(svg));
		ck_assert_msg(strstr(svg, of->title) != NULL, "%s", name);
		ck_assert_msg(strstr(svg, which == REPORT_FLUSHER ? "<rect " : "<polyline ") !=
				      NULL,
			      "%s", name);
		ck_assert_ptr_nonnull(strstr(svg, "prefers-color-scheme:dark"));
		ck_assert_ptr_null(strstr(svg, "nan"));
	}
}

/* The value of column @idx of a line of CSV. */
static double column(const char *line, unsigned idx)
{
	while (idx-- > 0)
		line = strchr(line, ',') + 1;
	return atof(line);
}

/* Each line of the CSV is a row of the page, with the same speed, in the same order. */
static void check_figures(void)
{
	static char csv[1 << 17];
	const char *page, *row;
	unsigned nr = 0;

	snprintf(csv, sizeof(csv), "%s", load("report.csv"));
	page = load("index.html");
	row = page;
	strtok(csv, "\n");
	for (char *line = strtok(NULL, "\n"); line; line = strtok(NULL, "\n"), nr++) {
		char picture[32];
		const char *at;
		double in;

		snprintf(picture, sizeof(picture), "id=\"%.*s\"", (int)strcspn(line, ","), line);
		at = strstr(row, "<tr><td>");
		ck_assert_msg(at != NULL, "no row for %s", line);
		row = at + 8;
		ck_assert_ptr_nonnull(strstr(page, picture));
		ck_assert_msg(strstr(page, picture) < row, "%s is in another section", line);
		/* The tenth cell is the speed. */
		for (unsigned i = 0; i < 10; i++)
			at = strstr(at + 4, "<td>");
		in = column(line, 17);
		ck_assert_msg(atof(at + 4) - in < 0.06 && in - atof(at + 4) < 0.06, "%s: %.20s",
			      line, at);
	}
	ck_assert_uint_eq(nr, count(page, "<tr><td>"));
	ck_assert_uint_gt(nr, 100);
	page = load("report.json");
	ck_assert_msg(json_error(page) == NULL, "at: %.60s", json_error(page));
	ck_assert_uint_eq(count(page, "\"in_mbps\""), nr);
}

START_TEST(test_report_has_all_pictures_and_the_figures_of_its_csv)
{
	make_report();
	check_page();
	check_pictures();
	check_figures();
}
END_TEST

/* Against the code before: what had no room in the queue was never offered. */
START_TEST(test_more_than_fits_the_device_falls_back)
{
	struct zbench_point point = { .name = "lz4",
				      .level = ZCOMP_LEVEL_DEFAULT,
				      .cluster = 4096,
				      .mode = ZBENCH_MANAGED,
				      .threads = 1,
				      .depth = 2,
				      .engines = 1,
				      .batch = 1,
				      .latency_us = 20000,
				      .offered = 20 };
	char *paths[] = { run_dir, NULL };
	struct sample_params params = { .paths = paths, .piece = 131072, .limit = 1 << 20 };
	char error_text[SAMPLE_ERROR_TEXT];
	struct zbench_result result;
	struct samples samples;

	ck_assert_int_eq(samples_read(&params, error_text, &samples), 0);
	ck_assert_int_eq(zbench_run(&samples, &point, 0, error_text, &result), 0);
	ck_assert_uint_gt(result.fallbacks, 0);
	ck_assert_uint_lt(result.fallbacks, result.calls);
	point.max_units = 7;
	ck_assert_int_eq(zbench_run(&samples, &point, 0, error_text, &result), 0);
	ck_assert_uint_eq(result.units, 7);
	ck_assert_uint_eq(result.calls, 7);
	samples_free(&samples);
}
END_TEST

START_TEST(test_report_is_refused_with_what_chooses_points)
{
	static const char *const wrong[][2] = { { "--codec", "lz4" }, { "--depth", "1" },
						{ "--work", "1" },    { "--device", "iaa" },
						{ "--plot", "x" },    { "--dict", "x" } };
	char dir[128];

	snprintf(dir, sizeof(dir), "%s/report", run_dir);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		ck_assert_int_eq(RUN("zbench", "--report", dir, wrong[i][0], wrong[i][1], run_dir),
				 CTL_EXIT_USAGE);
	ck_assert_int_eq(RUN("zbench", "--report", dir, "--json", run_dir), CTL_EXIT_USAGE);
	ck_assert_int_ne(access(dir, F_OK), 0);
}
END_TEST

static void describe(const char *description)
{
	FILE *file = fopen(run_path("description"), "w");

	ck_assert_ptr_nonnull(file);
	fputs(description, file);
	fclose(file);
}

START_TEST(test_description_becomes_a_picture)
{
	char path[128];

	describe("picture\ta <caption> & more\t2\n"
		 "chart\tbars\tspeed\tMB/s\n"
		 "mark\t2\tthe bar\n"
		 "series\tztmpfs\t0\npoint\t0\t3\t2.5\t3.5\t3.0 *\n"
		 "series\ttmpfs\t6\npoint\t0\t1\n"
		 "\n"
		 "chart\tlines\tcost\tless is better\n"
		 "axis\tx\tlog\tsize\naxis\ty\tlog\tus\n"
		 "series\ta\t1\npoint\t1\t10\npoint\t1000\t20\n");
	snprintf(path, sizeof(path), "%s/description", run_dir);
	ck_assert_msg(RUN("draw", path) == 0, "%s", run_err);
	ck_assert_msg(xml_error(run_out) == NULL, "at: %.60s", xml_error(run_out));
	ck_assert_ptr_nonnull(strstr(run_out, "a &lt;caption&gt; &amp; more"));
	ck_assert_ptr_nonnull(strstr(run_out, ">3.0 *<"));
	ck_assert_ptr_nonnull(strstr(run_out, ">the bar<"));
	ck_assert_ptr_nonnull(strstr(run_out, "tmpfs: 1.00<"));
	ck_assert_uint_eq(count(run_out, "<polyline "), 1);
	ck_assert_ptr_nonnull(strstr(run_out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1032\""));

	/* Two charts of 240 and three margins; a bar begins where the names end. */
	describe("picture\t\t2\t240\t60\n"
		 "chart\tbars\tspeed\tMB/s\nseries\tztmpfs\t0\npoint\t0\t3\n"
		 "chart\tbars\tsize\tMB\nseries\tztmpfs\t0\npoint\t0\t3\n");
	ck_assert_msg(RUN("draw", path) == 0, "%s", run_err);
	ck_assert_ptr_nonnull(strstr(run_out, "width=\"552\""));
	ck_assert_ptr_nonnull(strstr(run_out, "<rect x=\"84.0\""));
	ck_assert_ptr_nonnull(strstr(run_out, "<rect x=\"348.0\""));
}
END_TEST

START_TEST(test_description_that_is_wrong_is_told_by_line)
{
	static const char *const wrong[] = {
		"chart\tpie\tx\ty\n",
		"picture\tx\t1\t100\n",
		"picture\tx\t1\t300\t200\n",
		"axis\tx\tlog\tz\n",
		"chart\tbars\tx\ty\nseries\ta\t7\n",
		"chart\tbars\tx\ty\npoint\t1\t2\n",
		"chart\tbars\tx\ty\nseries\ta\t1\npoint\t1\tx\n",
		"what\n",
	};
	char path[128];

	snprintf(path, sizeof(path), "%s/description", run_dir);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		describe(wrong[i]);
		ck_assert_int_eq(RUN("draw", path), CTL_EXIT_FAILED);
		ck_assert_msg(strstr(run_err, "cannot be read") != NULL, "%s", run_err);
		ck_assert_str_eq(run_out, "");
	}
	describe("");
	ck_assert_int_eq(RUN("draw", path), CTL_EXIT_FAILED);
	ck_assert_ptr_nonnull(strstr(run_err, "no chart in it"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ctl report");
	TCase *tc = tcase_create("ctl report");

	tcase_add_checked_fixture(tc, setup, run_teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_report_has_all_pictures_and_the_figures_of_its_csv);
	tcase_add_test(tc, test_more_than_fits_the_device_falls_back);
	tcase_add_test(tc, test_report_is_refused_with_what_chooses_points);
	tcase_add_test(tc, test_description_becomes_a_picture);
	tcase_add_test(tc, test_description_that_is_wrong_is_told_by_line);
	suite_add_tcase(suite, tc);
	return zt_check_main(suite);
}
