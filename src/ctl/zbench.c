// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zbench.c - ztmpfsctl zbench: which points are measured, and what comes of them.
 *
 * Every list stands for itself and all others: codecs x clusters x modes x callers, and for the
 * modes that have a device, x latencies x depths. With a dictionary all of it twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/progress.h"
#include "ctl/report.h"
#include "ctl/zbench.h"
#include "ctl/zbench_args.h"
#include "ctl/zbench_replay.h"
#include "util/alloc.h"
#include "util/sizes.h"

struct bench {
	struct zbench_args args;
	void *dict;
	size_t dict_size;
	struct samples samples;
	struct zbench_replay replay; /* of args.replay_path */
	struct zbench_result *results;
	size_t nr_results, allocated;
};

/* Points ------------------------------------------------------------------ */

static int add_result(struct bench *bench, const struct zbench_result *result)
{
	if (bench->nr_results == bench->allocated) {
		struct zbench_result *results =
			zt_grow(bench->results, sizeof(*results), 64, &bench->allocated);

		if (!results)
			return ctl_failed("", strerror(ENOMEM));
		bench->results = results;
	}
	bench->results[bench->nr_results++] = *result;
	return 0;
}

static void point_text(void *point, char out[PROGRESS_TEXT])
{
	const struct zbench_point *now = point;

	snprintf(out, PROGRESS_TEXT, "%s, clusters of %" PRIu32, now->name, now->cluster);
}

static int run_point(struct bench *bench, struct zbench_point *point)
{
	const struct progress progress = { .what = "measuring", .text = point_text, .arg = point };
	char text[ZCOMP_ERROR_TEXT];
	struct zbench_result result;
	int error;

	progress_begin(&progress);
	error = zbench_run(&bench->samples, point, bench->args.seconds, text, &result);
	progress_end();
	if (error != 0)
		return ctl_failed("", text);
	if (bench->args.csv)
		zbench_print_csv_line(stdout, &result);
	else if (!bench->args.json)
		zbench_print_table_line(stdout, &result);
	/* A table grows while it is looked at. */
	if (fflush(stdout) != 0)
		return ctl_failed("output", strerror(errno));
	return add_result(bench, &result);
}

static int run_queue(struct bench *bench, struct zbench_point point)
{
	int status = 0;

	for (size_t d = 0; d < bench->args.depths.nr; d++) {
		for (size_t b = 0; b < bench->args.batches.nr && !status; b++) {
			point.depth = (uint32_t)bench->args.depths.values[d];
			point.batch = (uint32_t)bench->args.batches.values[b];
			status = run_point(bench, &point);
		}
	}
	return status;
}

/* A device that is waited for has one request of each caller, however deep its queue. */
static int run_device(struct bench *bench, struct zbench_point point)
{
	int status = 0;

	point.engines = (uint32_t)bench->args.engines;
	point.submit_ns = (uint32_t)bench->args.submit_ns;
	point.device = bench->args.params;
	point.device.work_ns = (uint32_t)bench->args.work_ns;
	point.depth = point.threads;
	point.batch = 1;
	for (size_t l = 0; l < bench->args.latencies.nr && !status; l++) {
		point.latency_us = (uint32_t)bench->args.latencies.values[l];
		status = point.mode == ZBENCH_WAIT ? run_point(bench, &point)
						   : run_queue(bench, point);
	}
	return status;
}

static int run_codec(struct bench *bench, struct zbench_point point)
{
	int status = 0;

	for (size_t c = 0; c < bench->args.clusters.nr; c++) {
		for (size_t m = 0; m < bench->args.modes.nr; m++) {
			for (size_t t = 0; t < bench->args.callers.nr && !status; t++) {
				point.cluster = (uint32_t)bench->args.clusters.values[c];
				point.mode = (enum zbench_mode)bench->args.modes.values[m];
				point.threads = (uint32_t)bench->args.callers.values[t];
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

	for (size_t i = 0; i < bench->args.nr_codecs && !status; i++) {
		struct zbench_point point = {
			.replay = bench->args.replay_path ? &bench->replay : NULL
		};

		split_codec(bench->args.codecs[i], &point);
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
	FILE *file = fopen(bench->args.dict_path, "re");
	int status = 0;

	if (!file || fstat(fileno(file), &st) != 0)
		status = ctl_failed(bench->args.dict_path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_size < 1 || st.st_size > (off_t)(16 * MIB))
		status = ctl_failed(bench->args.dict_path, "is no file of 1 byte to 16 MiB");
	else if (!(bench->dict = zt_zalloc((size_t)st.st_size)))
		status = ctl_failed(bench->args.dict_path, strerror(ENOMEM));
	else if (fread(bench->dict, 1, (size_t)st.st_size, file) != (size_t)st.st_size)
		status = ctl_failed(bench->args.dict_path, "cannot be read");
	else
		bench->dict_size = (size_t)st.st_size;
	if (file)
		fclose(file);
	return status;
}

static int write_plot(const struct bench *bench)
{
	FILE *file = fopen(bench->args.plot_path, "we");
	int error = 0;

	if (!file)
		return ctl_failed(bench->args.plot_path, strerror(errno));
	error = -zbench_plot(file, bench->results, bench->nr_results);
	if (!error && ferror(file))
		error = EIO;
	if (fclose(file) != 0 && !error)
		error = errno;
	return error ? ctl_failed(bench->args.plot_path, strerror(error)) : 0;
}

static int measure(struct bench *bench)
{
	int status;

	if (bench->args.csv)
		zbench_print_csv_head(stdout);
	else if (!bench->args.json)
		zbench_print_table_head(stdout);
	status = run_all(bench);
	if (!status && bench->args.json)
		zbench_print_json(stdout, &bench->samples, bench->results, bench->nr_results);
	else if (!status && !bench->args.csv && bench->args.replay_path)
		zbench_print_replayed(stdout, &bench->replay);
	else if (!status && !bench->args.csv)
		zbench_print_measured(stdout, &bench->samples);
	if (!status && bench->args.plot_path)
		status = write_plot(bench);
	if (!status && fflush(stdout) != 0)
		status = ctl_failed("output", strerror(errno));
	return status;
}

/* What is measured: a trace, or files. */
static int load_data(struct bench *bench)
{
	const struct zbench_args *args = &bench->args;
	const struct sample_params params = {
		.paths = args->paths, .piece = ZCOMP_MAX_UNIT, .limit = args->limit
	};
	char text[SAMPLE_ERROR_TEXT];

	static_assert(SAMPLE_ERROR_TEXT >= TRACE_FILE_TEXT, "one buffer for both");
	if (!args->replay_path)
		return samples_read(&params, text, &bench->samples) == 0 ? 0 : ctl_failed("", text);
	if (zbench_replay_open(args->replay_path, args->speed, args->seconds, text, &bench->replay) != 0)
		return ctl_failed(args->replay_path, text);
	/* For JSON: one file, all of it. */
	bench->samples = (struct samples){
		.nr_files = 1,
		.found = bench->replay.file.header.counts.len,
		.size = bench->replay.step_bytes,
	};
	bench->args.clusters = (struct zbench_list){
		.values = { zbench_replay_cluster(&bench->replay) }, .nr = 1
	};
	return 0;
}

static int run(int argc, char *argv[])
{
	struct bench bench = { 0 };
	int status = 0;

	status = zbench_args_parse(argc, argv, &bench.args);
	if (status)
		return status == -ENODEV ? CTL_EXIT_USAGE : ctl_usage(&ctl_zbench);
	if (bench.args.dict_path)
		status = load_dict(&bench);
	if (!status)
		status = load_data(&bench);
	if (!status && bench.args.report_dir)
		status = ctl_end(report_run(&bench.samples, bench.args.seconds,
					    bench.args.report_dir));
	else if (!status)
		status = measure(&bench);
	samples_free(&bench.samples);
	zbench_replay_close(&bench.replay);
	zt_free(bench.results);
	zt_free(bench.dict);
	return status;
}

const struct ctl_command ctl_zbench = {
	.name = "zbench",
	.operands = "[PATH...]",
	.help = "Measure codecs over real files, by default /usr/bin; each result is verified.",
	.switches = zbench_switches,
	.takes = CTL_PATHS,
	.run = run,
};
