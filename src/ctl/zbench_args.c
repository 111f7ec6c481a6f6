// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zbench_args.c - the command line of zbench. No locks.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/zbench.h"
#include "ctl/zbench_args.h"
#include "util/sizes.h"

#define MAX_CALLERS 256

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
	case 'b':
		return parse_number(text, 1, ZCOMP_MAX_BATCH, out);
	default:
		return parse_number(text, 0, ZCOMP_ACCEL_MAX_LATENCY_US, out);
	}
}

static struct zbench_list *list_of(struct zbench_args *args, int letter)
{
	switch (letter) {
	case 'c':
		return &args->clusters;
	case 'm':
		return &args->modes;
	case 't':
		return &args->callers;
	case 'q':
		return &args->depths;
	case 'b':
		return &args->batches;
	default:
		return &args->latencies;
	}
}

/* Words between commas; a list given again replaces the first. @text is cut. */
static int parse_list(struct zbench_args *args, int letter, char *text)
{
	struct zbench_list *list = list_of(args, letter);
	char *word;

	list->nr = 0;
	while ((word = strsep(&text, ",")) != NULL)
		if (list->nr == ZBENCH_MAX_LIST ||
		    parse_value(letter, word, &list->values[list->nr++]) != 0)
			return -EINVAL;
	return 0;
}

static int parse_codecs(struct zbench_args *args, char *text)
{
	char *word;

	args->nr_codecs = 0;
	while ((word = strsep(&text, ",")) != NULL) {
		if (args->nr_codecs == ZBENCH_MAX_LIST || *word == '\0')
			return -EINVAL;
		args->codecs[args->nr_codecs++] = word;
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

/* "iaa", "iaa:depth=8". */
static int parse_device(struct zbench_args *args, const char *text)
{
	const size_t len = strcspn(text, ":");
	char name[64], why[ZCOMP_ERROR_TEXT];
	const char *guess;

	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	args->device = zcomp_device_find(name);
	if (!args->device) {
		guess = zcomp_device_guess(name, NULL, 0);
		fprintf(stderr, "ztmpfsctl: --device %s: unknown; ", name);
		if (guess)
			fprintf(stderr, "did you mean %s?\n", guess);
		else
			fprintf(stderr, "there are hisi, iaa, qpace, hwz, qat\n");
		return -ENODEV;
	}
	args->params = args->device->params;
	if (text[len] == '\0' || zcomp_accel_parse(text + len + 1, &args->params, why) == 0)
		return 0;
	fprintf(stderr, "ztmpfsctl: --device %s: %s\n", text, why);
	return -ENODEV;
}

static int parse_speed(const char *text, double *out)
{
	char *end;
	const double value = strtod(text, &end);

	if (strcmp(text, "max") == 0) {
		*out = 0;
		return 0;
	}
	if (end == text || *end != '\0' || !(value >= 0.001 && value <= 1e6))
		return -EINVAL;
	*out = value;
	return 0;
}

static int parse_switch(struct zbench_args *args, int letter)
{
	switch (letter) {
	case 'D':
		return parse_device(args, optarg);
	case 'w':
		return parse_number(optarg, 0, ZCOMP_ACCEL_MAX_WORK_NS, &args->work_ns);
	case 'a':
		return parse_codecs(args, optarg);
	case 'c':
	case 'm':
	case 't':
	case 'q':
	case 'l':
	case 'b':
		return parse_list(args, letter, optarg);
	case 'u':
		return parse_number(optarg, 0, ZCOMP_ACCEL_MAX_SUBMIT_NS, &args->submit_ns);
	case 'e':
		return parse_number(optarg, 1, ZCOMP_ACCEL_MAX_ENGINES, &args->engines);
	case 'd':
		args->dict_path = optarg;
		return 0;
	case 's':
		return parse_seconds(optarg, &args->seconds);
	case 'n':
		return parse_number(optarg, 1, 4 * GIB, &args->limit);
	case 'p':
		args->plot_path = optarg;
		return 0;
	case 'r':
		args->replay_path = optarg;
		return 0;
	case 'x':
		return parse_speed(optarg, &args->speed);
	case 'R':
		args->report_dir = optarg;
		return 0;
	case 'j':
		args->json = true;
		return 0;
	case 'v':
		args->csv = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static void set_list(struct zbench_list *list, const uint64_t *values, size_t nr)
{
	if (list->nr > 0)
		return;
	memcpy(list->values, values, nr * sizeof(*values));
	list->nr = nr;
}

#define SET_LIST(list, ...)                                                                        \
	set_list(list, (const uint64_t[]){ __VA_ARGS__ },                                          \
		 sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

/* The figures of a device with a name, where nothing else was said; else of none. */
static void set_device(struct zbench_args *args)
{
	const struct zcomp_accel_params *params = &args->params;
	static char name[ZCOMP_NAME_MAX + 1]; /* not const, as all of args->codecs */

	if (args->engines == UINT64_MAX)
		args->engines = max_u64(1, params->engines);
	if (args->submit_ns == UINT64_MAX)
		args->submit_ns = params->submit_ns;
	if (args->work_ns == UINT64_MAX)
		args->work_ns = params->work_ns;
	if (!args->device)
		return;
	if (args->nr_codecs == 0) {
		snprintf(name, sizeof(name), "%s", args->device->algorithm);
		args->codecs[args->nr_codecs++] = name;
	}
	if (params->unit)
		SET_LIST(&args->clusters, params->unit);
	if (!args->plot_path)
		SET_LIST(&args->depths, params->depth);
	SET_LIST(&args->latencies, params->latency_us);
	SET_LIST(&args->batches, min_u64(params->batch, ZCOMP_MAX_BATCH));
}

/* What was not asked for: all codecs without a device; or for a picture, the device's queue. */
static void set_defaults(struct zbench_args *args)
{
	/* Not const, since what a user gives instead is not. */
	static char codecs[][8] = { "lz4", "lz4hc", "zstd", "null" };
	static char usr_bin[] = "/usr/bin";
	static char *const paths[] = { usr_bin, NULL };
	const bool device = args->device || args->plot_path || args->depths.nr > 0 ||
			    args->latencies.nr > 0 || args->batches.nr > 0;

	set_device(args);
	if (!args->paths)
		args->paths = paths;
	if (args->limit == 0)
		args->limit = args->report_dir ? 64 * MIB : 32 * MIB;
	if (args->speed < 0)
		args->speed = 1;
	if (args->seconds < 0)
		args->seconds = args->replay_path ? 0 : args->report_dir ? 0.25 : 0.5;
	if (args->nr_codecs == 0) {
		args->nr_codecs = args->plot_path ? 1 : ARRAY_SIZE(codecs);
		for (size_t i = 0; i < args->nr_codecs; i++)
			args->codecs[i] = codecs[i];
	}
	SET_LIST(&args->callers, 1);
	if (device)
		SET_LIST(&args->modes, ZBENCH_WAIT, ZBENCH_MANAGED);
	else
		SET_LIST(&args->modes, ZBENCH_SYNC);
	if (args->plot_path) {
		SET_LIST(&args->clusters, 4 * KIB);
		SET_LIST(&args->depths, 1, 2, 4, 8, 16, 32, 64, 128, 256);
		SET_LIST(&args->latencies, 0, 20, 100);
	}
	SET_LIST(&args->clusters, 4 * KIB, 16 * KIB, 64 * KIB, 128 * KIB);
	SET_LIST(&args->depths, 256);
	SET_LIST(&args->latencies, 0);
	SET_LIST(&args->batches, 1);
}

/* A trace has its own data, of its own clusters. */
static bool replay_is_alone(const struct zbench_args *args)
{
	if (!args->replay_path)
		return args->speed < 0;
	return !args->paths && args->clusters.nr == 0 && args->limit == 0 && !args->plot_path;
}

/* A report has points of its own. */
static bool chooses_points(const struct zbench_args *args)
{
	return args->nr_codecs || args->clusters.nr || args->modes.nr || args->callers.nr ||
	       args->depths.nr || args->latencies.nr || args->batches.nr || args->device ||
	       args->dict_path || args->plot_path || args->replay_path || args->json || args->csv ||
	       args->engines != UINT64_MAX || args->submit_ns != UINT64_MAX ||
	       args->work_ns != UINT64_MAX;
}

int zbench_args_parse(int argc, char *argv[], struct zbench_args *out_args)
{
	struct zbench_args args = {
		.engines = UINT64_MAX,
		.submit_ns = UINT64_MAX,
		.work_ns = UINT64_MAX,
		.seconds = -1,
		.speed = -1,
	};
	int error, letter = ctl_switch(&ctl_zbench, argc, argv, true);

	for (; letter != CTL_SWITCH_END; letter = ctl_switch(&ctl_zbench, argc, argv, false)) {
		error = parse_switch(&args, letter);
		if (error)
			return error;
	}
	if (optind < argc)
		args.paths = argv + optind;
	if ((args.json && args.csv) || !replay_is_alone(&args) ||
	    (args.report_dir && chooses_points(&args)))
		return -EINVAL;
	set_defaults(&args);
	*out_args = args;
	return 0;
}

const struct ctl_switch zbench_switches[] = {
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
	{ .letter = 'b',
	  .name = "batch",
	  .arg = "N,...",
	  .words = "",
	  .help = "requests of one submission" },
	{ .letter = 'u',
	  .name = "submit",
	  .arg = "NS",
	  .words = "",
	  .help = "what a submission costs its caller" },
	{ .letter = 'w',
	  .name = "work",
	  .arg = "NS",
	  .words = "",
	  .help = "least time that an engine is busy with 4 KiB" },
	{ .letter = 'e', .name = "engines", .arg = "N", .words = "", .help = "of the device" },
	{ .letter = 'D',
	  .name = "device",
	  .arg = "NAME[:KEY=N]...",
	  .words = "hisi iaa qpace hwz qat",
	  .help = "figures of a device with a name; ztmpfs(8) has them" },
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
	{ .letter = 'r',
	  .name = "replay",
	  .arg = "FILE",
	  .help = "the requests of ztmpfsctl trace instead of files, when they came" },
	{ .letter = 'x',
	  .name = "speed",
	  .arg = "N|max",
	  .words = "max",
	  .help = "of the replay: so many times as fast, or one behind the other (1)" },
	{ .letter = 'R',
	  .name = "report",
	  .arg = "DIR",
	  .help = "measure what managed streams gain, and write a page with pictures" },
	{ .letter = 'j', .name = "json", .help = "one JSON object" },
	{ .letter = 'v', .name = "csv", .help = "comma-separated values" },
	{ 0 },
};
