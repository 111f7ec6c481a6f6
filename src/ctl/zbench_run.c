// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zbench_run.c - one point of zbench: made, verified, measured. Locks: none.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "ctl/zbench.h"
#include "ctl/zbench_pass.h"
#include "util/alloc.h"
#include "util/clock.h"

#define NS_PER_S 1000000000u

static double cpu_seconds(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void reset_counters(struct zbench_pass *run)
{
	atomic_store(&run->nr_calls, 0);
	atomic_store(&run->nr_bytes, 0);
	spread_reset(&run->spread);
}

/* What per-thread streams have compressed so far: with a device, all of it are fallbacks. */
static uint64_t own_calls(struct zbench_pass *run)
{
	struct zcomp_stat stat;

	zcomp_get_stat(run->comp, &stat);
	return stat.compress_calls;
}

static int measure(struct zbench_pass *run, double seconds, struct zbench_result *result)
{
	const uint64_t own_before = own_calls(run);
	uint64_t begun = zt_now_ns();
	double cpu = cpu_seconds();
	int error;

	reset_counters(run);
	run->replay = run->point->replay;
	error = zbench_pass(run, run->replay ? 0 : seconds);
	run->replay = NULL;
	if (error)
		return error;
	result->seconds = (double)(zt_now_ns() - begun) / NS_PER_S;
	result->cpu_seconds = cpu_seconds() - cpu;
	result->calls = run->nr_calls;
	if (run->point->mode != ZBENCH_SYNC)
		result->fallbacks = own_calls(run) - own_before;
	result->in_mbps = (double)run->nr_bytes / 1e6 / result->seconds;
	result->p50_us = spread_percentile_us(&run->spread, 0.5);
	result->p99_us = spread_percentile_us(&run->spread, 0.99);
	if (run->point->mode != ZBENCH_SYNC)
		return 0;
	run->expand = true;
	reset_counters(run);
	begun = zt_now_ns();
	error = zbench_pass(run, seconds);
	result->out_mbps = (double)run->nr_bytes / 1e6 / ((double)(zt_now_ns() - begun) / NS_PER_S);
	return error;
}

static int create_comp(struct zbench_pass *run, char error_text[ZCOMP_ERROR_TEXT])
{
	const struct zbench_point *point = run->point;
	struct zcomp_config config = {
		.name = point->name,
		.level = point->level,
		.unit = point->cluster,
		/* Engines verify and fall back by streams of their own. */
		.nr_streams = point->threads + point->engines,
		/* Not used by a module with a device of its own. */
		.accel = point->mode != ZBENCH_SYNC,
		.accel_params = point->device,
		.dict = point->dict,
		.dict_size = point->dict_size,
	};
	struct zcomp_stat stat;
	int error;

	config.accel_params.engines = point->engines;
	config.accel_params.depth = point->depth;
	config.accel_params.batch = point->batch;
	config.accel_params.submit_ns = point->submit_ns;
	config.accel_params.latency_us = point->latency_us;
	/* Unless it was asked for, nothing is given up: it is the device that is measured. */
	if (!config.accel_params.deadline_us)
		config.accel_params.deadline_us = ZCOMP_ACCEL_MAX_DEADLINE_US;
	error = zcomp_create(&config, error_text, &run->comp);
	if (error || point->mode == ZBENCH_SYNC || zcomp_managed(run->comp))
		return error;
	zcomp_get_stat(run->comp, &stat);
	snprintf(error_text, ZCOMP_ERROR_TEXT, "no managed streams: %s",
		 stat.degraded ? stat.degraded : "the backend has none");
	return -EOPNOTSUPP;
}

static uint32_t packed_bytes(const struct zbench_pass *run, size_t unit)
{
	return run->packed_len[unit] ? run->packed_len[unit] : run->units.units[unit].len;
}

/* Of a replay each request counts, whichever of them have the same bytes. */
static void count_steps(const struct zbench_pass *run, struct zbench_result *result)
{
	const struct zbench_replay *replay = run->point->replay;

	result->units = replay->nr_steps;
	result->bytes_in = replay->step_bytes;
	result->bytes_out = 0;
	for (size_t i = 0; i < replay->nr_steps; i++)
		result->bytes_out += packed_bytes(run, replay->steps[i].unit);
}

static int verify_all(struct zbench_pass *run, char error_text[ZCOMP_ERROR_TEXT],
		      struct zbench_result *result)
{
	int error;

	run->verify = true;
	error = zbench_pass(run, 0);
	run->verify = false;
	if (error)
		return error;
	if (run->nr_wrong > 0) {
		snprintf(error_text, ZCOMP_ERROR_TEXT,
			 "%s: %zu of %zu units of %u bytes did not come back as they were",
			 zcomp_name(run->comp), (size_t)run->nr_wrong, run->units.nr,
			 run->point->cluster);
		return -EBADMSG;
	}
	result->units = run->units.nr;
	result->same_units = run->units.nr_same;
	result->bytes_in = run->units.bytes;
	for (size_t i = 0; i < run->units.nr; i++)
		result->bytes_out += packed_bytes(run, i);
	if (run->point->replay)
		count_steps(run, result);
	return 0;
}

static void name_codec(const struct zbench_pass *run, struct zbench_result *result)
{
	const struct zcomp_params *params = zcomp_get_params(run->comp);
	int len = snprintf(result->codec, sizeof(result->codec), "%s", zcomp_name(run->comp));

	if (params->level != 0)
		len += snprintf(result->codec + len, sizeof(result->codec) - (size_t)len, ":%d",
				(int)params->level);
	if (params->dict)
		snprintf(result->codec + len, sizeof(result->codec) - (size_t)len, "+dict");
}

static int units_of(const struct samples *samples, const struct zbench_point *point,
		    struct zbench_units *out_units)
{
	const struct zbench_replay *replay = point->replay;

	if (!replay)
		return zbench_units_make(samples, point->cluster, point->max_units, out_units);
	*out_units = (struct zbench_units){
		.units = replay->units, .nr = replay->nr_units, .bytes = replay->unit_bytes
	};
	return 0;
}

int zbench_run(const struct samples *samples, const struct zbench_point *point, double seconds,
	       char error_text[ZCOMP_ERROR_TEXT], struct zbench_result *out_result)
{
	struct zbench_result result = { .point = *point };
	struct zbench_pass *run = zt_zalloc(sizeof(*run));
	int error = -ENOMEM;

	snprintf(error_text, ZCOMP_ERROR_TEXT, "no memory or no threads");
	if (!run)
		return error;
	run->point = point;
	if (units_of(samples, point, &run->units) != 0)
		goto out;
	if (run->units.nr == 0) {
		snprintf(error_text, ZCOMP_ERROR_TEXT, "nothing but repeated values");
		error = -ENODATA;
		goto out;
	}
	run->packed = zt_map(run->units.bytes);
	run->packed_len = zt_zalloc(run->units.nr * sizeof(*run->packed_len));
	if (!run->packed || !run->packed_len)
		goto out;
	error = create_comp(run, error_text);
	if (!error)
		error = verify_all(run, error_text, &result);
	if (!error)
		error = measure(run, seconds, &result);
	if (!error)
		name_codec(run, &result);
	zcomp_destroy(run->comp);
	if (!error && run->nr_wrong > 0) {
		snprintf(error_text, ZCOMP_ERROR_TEXT, "%s: %zu calls failed", result.codec,
			 (size_t)run->nr_wrong);
		error = -EBADMSG;
	}
out:
	zt_unmap(run->packed, run->units.bytes);
	zt_free(run->packed_len);
	if (!point->replay)
		zbench_units_free(&run->units);
	zt_free(run);
	if (!error)
		*out_result = result;
	return error;
}
