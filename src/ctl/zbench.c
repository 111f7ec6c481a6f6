// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zbench.c - ztmpfsctl zbench: the command line, and which points are measured.
 *
 * Every list stands for itself and all others: codecs x clusters x modes x callers, and for the
 * modes that have a device, x latencies x depths. With a dictionary all of it twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/zbench.h"
#include "util/alloc.h"
#include "util/sizes.h"

#define MAX_LIST    16
#define MAX_CALLERS 256

struct list {
	uint64_t values[MAX_LIST];
	size_t nr;
};

struct bench {
	char *codecs[MAX_LIST]; /* into argv, or literals; name[:level] */
	size_t nr_codecs;
	struct list clusters, modes, callers, depths, latencies;
	uint64_t engines, limit;
	double seconds;
	const char *dict_path, *plot_path;
	void *dict;
	size_t dict_size;
	bool json, csv;
	char *const *paths;
	struct samples samples;
	struct zbench_result *results;
	size_t nr_results, room;
};

static int failed(const char *subject, const char *why)
{
	fprintf(stderr, "ztmpfsctl: %s%s%s\n", subject, *subject ? ": " : "", why);
	return CTL_EXIT_FAILED;
}

/* Command line ------------------------------------------------------------ */

static int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t value;

	if (size_parse(text, 0, &value) != 0 || value < min || value > max)
		return -EINVAL;
	*out = value;
	return 0;
}

static int parse_mode(const char *text, uint64_t *out)
{
	for (unsigned mode = 0; mode < NR_ZBENCH_MODES; mode++) {
		if (strcmp(text, zbench_mode_name(mode)) == 0) {
			*out = mode;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_value(int letter, const char *text, uint64_t *out)
{
	switch (letter) {
	case 'c':
		return ctl_parse_cluster(text, out);
	case 'm':
		return parse_mode(text, out);
	case 't':
		return parse_number(text, 1, MAX_CALLERS, out);
	case 'q':
		return parse_number(text, 1, ZCOMP_ACCEL_MAX_DEPTH, out);
	default:
		return parse_number(text, 0, ZCOMP_ACCEL_MAX_LATENCY_US, out);
	}
}

static struct list *list_of(struct bench *bench, int letter)
{
	switch (letter) {
	case 'c':
		return &bench->clusters;
	case 'm':
		return &bench->modes;
	case 't':
		return &bench->callers;
	case 'q':
		return &bench->depths;
	default:
		return &bench->latencies;
	}
}

/* Words between commas; a list given again replaces the first. @text is cut. */
static int parse_list(struct bench *bench, int letter, char *text)
{
	struct list *list = list_of(bench, letter);
	char *word;

	list->nr = 0;
	while ((word = strsep(&text, ",")) != NULL)
		if (list->nr == MAX_LIST ||
		    parse_value(letter, word, &list->values[list->nr++]) != 0)
			return -EINVAL;
	return 0;
}

static int parse_codecs(struct bench *bench, char *text)
{
	char *word;

	bench->nr_codecs = 0;
	while ((word = strsep(&text, ",")) != NULL) {
		if (bench->nr_codecs == MAX_LIST || *word == '\0')
			return -EINVAL;
		bench->codecs[bench->nr_codecs++] = word;
	}
	return 0;
}

static int parse_seconds(const char *text, double *out)
{
	char *end;
	const double value = strtod(text, &end);

	/* Written so that what is no number is refused too. */
	if (end == text || *end != '\0' || !(value >= 0 && value <= 3600))
		return -EINVAL;
	*out = value;
	return 0;
}

static int parse_switch(struct bench *bench, int letter)
{
	switch (letter) {
	case 'a':
		return parse_codecs(bench, optarg);
	case 'c':
	case 'm':
	case 't':
	case 'q':
	case 'l':
		return parse_list(bench, letter, optarg);
	case 'e':
		return parse_number(optarg, 1, ZCOMP_ACCEL_MAX_ENGINES, &bench->engines);
	case 'd':
		bench->dict_path = optarg;
		return 0;
	case 's':
		return parse_seconds(optarg, &bench->seconds);
	case 'n':
		return parse_number(optarg, 1, 4 * GIB, &bench->limit);
	case 'p':
		bench->plot_path = optarg;
		return 0;
	case 'j':
		bench->json = true;
		return 0;
	case 'v':
		bench->csv = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static int parse(int argc, char *argv[], struct bench *bench)
{
	int letter = ctl_switch(&ctl_zbench, argc, argv, true);

	for (; letter != CTL_SWITCH_END; letter = ctl_switch(&ctl_zbench, argc, argv, false)) {
		if (parse_switch(bench, letter) != 0)
			return -EINVAL;
	}
	if (optind < argc)
		bench->paths = argv + optind;
	return bench->json && bench->csv ? -EINVAL : 0;
}

static void set_list(struct list *list, const uint64_t *values, size_t nr)
{
	if (list->nr > 0)
		return;
	memcpy(list->values, values, nr * sizeof(*values));
	list->nr = nr;
}

#define SET_LIST(list, ...)                                                                        \
	set_list(list, (const uint64_t[]){ __VA_ARGS__ },                                          \
		 sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

/* What was not asked for: all codecs without a device; or for a picture, the device's queue. */
static void set_defaults(struct bench *bench)
{
	/* Not const, since what a user gives instead is not. */
	static char codecs[][8] = { "lz4", "lz4hc", "zstd", "null" };
	static char usr_bin[] = "/usr/bin";
	static char *const paths[] = { usr_bin, NULL };
	const bool device = bench->plot_path || bench->depths.nr > 0 || bench->latencies.nr > 0;

	if (!bench->paths)
		bench->paths = paths;
	if (bench->nr_codecs == 0) {
		bench->nr_codecs = bench->plot_path ? 1 : ARRAY_SIZE(codecs);
		for (size_t i = 0; i < bench->nr_codecs; i++)
			bench->codecs[i] = codecs[i];
	}
	SET_LIST(&bench->callers, 1);
	if (device)
		SET_LIST(&bench->modes, ZBENCH_WAIT, ZBENCH_MANAGED);
	else
		SET_LIST(&bench->modes, ZBENCH_SYNC);
	if (bench->plot_path) {
		SET_LIST(&bench->clusters, 4 * KIB);
		SET_LIST(&bench->depths, 1, 2, 4, 8, 16, 32, 64, 128, 256);
		SET_LIST(&bench->latencies, 0, 20, 100);
	}
	SET_LIST(&bench->clusters, 4 * KIB, 16 * KIB, 64 * KIB, 128 * KIB);
	SET_LIST(&bench->depths, 256);
	SET_LIST(&bench->latencies, 0);
}

/* Points ------------------------------------------------------------------ */

static int add_result(struct bench *bench, const struct zbench_result *result)
{
	if (bench->nr_results == bench->room) {
		const size_t room = bench->room ? 2 * bench->room : 64;
		struct zbench_result *results = zt_zalloc(room * sizeof(*results));

		if (!results)
			return failed("", strerror(ENOMEM));
		if (bench->nr_results > 0)
			memcpy(results, bench->results, bench->nr_results * sizeof(*results));
		zt_free(bench->results);
		bench->results = results;
		bench->room = room;
	}
	bench->results[bench->nr_results++] = *result;
	return 0;
}

static int run_point(struct bench *bench, const struct zbench_point *point)
{
	char text[ZCOMP_ERROR_TEXT];
	struct zbench_result result;

	if (zbench_run(&bench->samples, point, bench->seconds, text, &result) != 0)
		return failed("", text);
	if (bench->csv)
		zbench_print_csv_line(stdout, &result);
	else if (!bench->json)
		zbench_print_table_line(stdout, &result);
	/* A table grows while it is looked at. */
	if (fflush(stdout) != 0)
		return failed("output", strerror(errno));
	return add_result(bench, &result);
}

/* A device that is waited for has one request of each caller, however deep its queue. */
static int run_device(struct bench *bench, struct zbench_point point)
{
	const size_t nr_depths = point.mode == ZBENCH_WAIT ? 1 : bench->depths.nr;
	int status = 0;

	point.engines = (uint32_t)bench->engines;
	for (size_t l = 0; l < bench->latencies.nr && !status; l++) {
		for (size_t d = 0; d < nr_depths && !status; d++) {
			point.latency_us = (uint32_t)bench->latencies.values[l];
			point.depth = point.mode == ZBENCH_WAIT ? point.threads
								: (uint32_t)bench->depths.values[d];
			status = run_point(bench, &point);
		}
	}
	return status;
}

static int run_codec(struct bench *bench, struct zbench_point point)
{
	int status = 0;

	for (size_t c = 0; c < bench->clusters.nr; c++) {
		for (size_t m = 0; m < bench->modes.nr; m++) {
			for (size_t t = 0; t < bench->callers.nr && !status; t++) {
				point.cluster = (uint32_t)bench->clusters.values[c];
				point.mode = (enum zbench_mode)bench->modes.values[m];
				point.threads = (uint32_t)bench->callers.values[t];
				status = point.mode == ZBENCH_SYNC ? run_point(bench, &point)
								   : run_device(bench, point);
			}
		}
	}
	return status;
}

/* "lz4hc:9"; a path may have colons of its own. The name is cut off in place. */
static void split_codec(char *text, struct zbench_point *point)
{
	char *colon = strrchr(text, ':'), *end;
	long level;

	point->name = text;
	point->level = ZCOMP_LEVEL_DEFAULT;
	if (!colon)
		return;
	level = strtol(colon + 1, &end, 10);
	if (end == colon + 1 || *end != '\0' || level <= INT32_MIN || level > INT32_MAX)
		return;
	*colon = '\0';
	point->level = (int32_t)level;
}

static int run_all(struct bench *bench)
{
	int status = 0;

	for (size_t i = 0; i < bench->nr_codecs && !status; i++) {
		struct zbench_point point = { 0 };

		split_codec(bench->codecs[i], &point);
		status = run_codec(bench, point);
		point.dict = bench->dict;
		point.dict_size = bench->dict_size;
		/* null takes none. */
		if (!status && bench->dict && strcmp(point.name, "null") != 0)
			status = run_codec(bench, point);
	}
	return status;
}

static int load_dict(struct bench *bench)
{
	struct stat st;
	FILE *file = fopen(bench->dict_path, "re");
	int status = 0;

	if (!file || fstat(fileno(file), &st) != 0)
		status = failed(bench->dict_path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_size < 1 || st.st_size > (off_t)(16 * MIB))
		status = failed(bench->dict_path, "is no file of 1 byte to 16 MiB");
	else if (!(bench->dict = zt_zalloc((size_t)st.st_size)))
		status = failed(bench->dict_path, strerror(ENOMEM));
	else if (fread(bench->dict, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		status = failed(bench->dict_path, "cannot be read");
	else
		bench->dict_size = (size_t)st.st_size;
	if (file)
		fclose(file);
	return status;
}

static int write_plot(const struct bench *bench)
{
	FILE *file = fopen(bench->plot_path, "we");
	int error = 0;

	if (!file)
		return failed(bench->plot_path, strerror(errno));
	zbench_plot(file, bench->results, bench->nr_results);
	if (ferror(file))
		error = EIO;
	if (fclose(file) != 0)
		error = errno;
	return error ? failed(bench->plot_path, strerror(error)) : 0;
}

static int measure(struct bench *bench)
{
	int status;

	if (bench->csv)
		zbench_print_csv_head(stdout);
	else if (!bench->json)
		zbench_print_table_head(stdout);
	status = run_all(bench);
	if (!status && bench->json)
		zbench_print_json(stdout, &bench->samples, bench->results, bench->nr_results);
	else if (!status && !bench->csv)
		zbench_print_measured(stdout, &bench->samples);
	if (!status && bench->plot_path)
		status = write_plot(bench);
	if (!status && fflush(stdout) != 0)
		status = failed("output", strerror(errno));
	return status;
}

static int run(int argc, char *argv[])
{
	struct bench bench = { .engines = 1, .limit = 32 * MIB, .seconds = 0.5 };
	struct sample_params params = { .piece = ZCOMP_MAX_UNIT };
	char text[SAMPLE_ERROR_TEXT];
	int status = 0;

	if (parse(argc, argv, &bench) != 0)
		return ctl_usage(&ctl_zbench);
	set_defaults(&bench);
	if (bench.dict_path)
		status = load_dict(&bench);
	params.paths = bench.paths;
	params.limit = bench.limit;
	if (!status && samples_read(&params, text, &bench.samples) != 0)
		status = failed("", text);
	if (!status)
		status = measure(&bench);
	samples_free(&bench.samples);
	zt_free(bench.results);
	zt_free(bench.dict);
	return status;
}

static const struct ctl_switch switches[] = {
	{ .letter = 'a',
	  .name = "codec",
	  .arg = "NAME[:LEVEL],...",
	  .words = "lz4 lz4hc zstd null",
	  .help = "algorithms that are built in, or modules" },
	{ .letter = 'c',
	  .name = "cluster",
	  .arg = "SIZE,...",
	  .words = "4k 8k 16k 32k 64k 128k",
	  .help = "bytes of a unit" },
	{ .letter = 'm',
	  .name = "mode",
	  .arg = "MODE,...",
	  .words = "sync wait managed",
	  .help = "sync, wait (for a device), managed (by its queue)" },
	{ .letter = 't',
	  .name = "callers",
	  .arg = "N,...",
	  .words = "",
	  .help = "threads that compress or submit" },
	{ .letter = 'q',
	  .name = "depth",
	  .arg = "N,...",
	  .words = "",
	  .help = "of the device's queue" },
	{ .letter = 'l',
	  .name = "latency",
	  .arg = "US,...",
	  .words = "",
	  .help = "of the simulated device" },
	{ .letter = 'e', .name = "engines", .arg = "N", .words = "", .help = "of the device" },
	{ .letter = 'd',
	  .name = "dict",
	  .arg = "FILE",
	  .help = "measure without this dictionary, and with it" },
	{ .letter = 's',
	  .name = "seconds",
	  .arg = "S",
	  .words = "",
	  .help = "for each figure; 0: one pass (0.5)" },
	{ .letter = 'n',
	  .name = "limit",
	  .arg = "SIZE",
	  .words = "",
	  .help = "bytes of the data that are read (32m)" },
	{ .letter = 'p',
	  .name = "plot",
	  .arg = "FILE",
	  .help = "draw speed against queue depth, as SVG" },
	{ .letter = 'j', .name = "json", .help = "one JSON object" },
	{ .letter = 'v', .name = "csv", .help = "comma-separated values" },
	{ 0 },
};

const struct ctl_command ctl_zbench = {
	.name = "zbench",
	.operands = "[PATH...]",
	.help = "Measure codecs over real files, by default /usr/bin; each result is verified.",
	.switches = switches,
	.takes = CTL_PATHS,
	.run = run,
};
