/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zbench.h - ztmpfsctl zbench: codecs measured over real data, without a mount.
 *
 *   zbench.c        which points are measured, and what comes of them
 *   zbench_args.c   the command line
 *   zbench_data.c   samples cut into units
 *   zbench_run.c    one point: made, verified, measured
 *   zbench_pass.c   its callers, for one pass over the units
 *   zbench_print.c  table, JSON, CSV
 *   zbench_replay.c a trace as the load
 *   zbench_plot.c   a picture of throughput against queue depth
 * and report.h, for a page of pictures
 */
#ifndef ZT_CTL_ZBENCH_H
#define ZT_CTL_ZBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/sample.h"
#include "util/compiler.h"
#include "zcomp/zcomp.h"

enum zbench_mode {
	ZBENCH_SYNC, /* per-thread streams, which compress in the caller */
	ZBENCH_WAIT, /* per-thread use of the device: each caller waits for its one request */
	ZBENCH_MANAGED, /* managed streams: as many requests in flight as the queue is deep */
	NR_ZBENCH_MODES,
};

/** zbench_mode_name() - "sync", "wait", "managed" */
const char *zbench_mode_name(enum zbench_mode mode);

struct zbench_replay; /* zbench_replay.h */

/* What is measured. 0 where something has no meaning: depth, engines and latency of sync. */
struct zbench_point {
	const char *name; /* as struct zcomp_config has it */
	int32_t level;
	uint32_t cluster; /* bytes */
	enum zbench_mode mode;
	uint32_t threads; /* callers */
	uint32_t depth, engines, latency_us;
	uint32_t batch; /* requests of one submission, at most ZCOMP_MAX_BATCH; 0: as 1 */
	uint32_t submit_ns; /* what a submission costs its caller */
	struct zcomp_accel_params device; /* the rest of the device; the members above go first */
	const void *dict; /* or NULL */
	size_t dict_size;
	const struct zbench_replay *replay; /* its requests, when they are due; NULL: units in turn */
	uint32_t offered; /* managed: requests that callers want in flight; 0: as deep as the queue */
	uint32_t max_units; /* so many, evenly spread over the samples; 0: all */
};

struct zbench_result {
	struct zbench_point point;
	char codec[48]; /* name and level as they are, "+dict" with one */
	uint64_t units, same_units; /* of one pass; same-filled ones are left out, as in a mount */
	uint64_t bytes_in; /* of one pass, uncompressed */
	uint64_t bytes_out; /* the same, compressed; units that do not shrink count in full */
	uint64_t calls; /* compressions while the clock ran */
	uint64_t fallbacks; /* of these: done by the caller's stream, since the device failed */
	double seconds; /* that the clock ran */
	double in_mbps; /* 10^6 uncompressed bytes compressed in a second */
	double out_mbps; /* 10^6 uncompressed bytes decompressed in a second; 0: not measured */
	double p50_us, p99_us; /* of one unit, from call or submission to completion */
	double cpu_seconds; /* of all threads, for the compressions */
};

/* Cut samples: pointers into them. */
struct zbench_unit {
	const char *data;
	uint32_t len; /* at most the cluster */
	uint64_t at; /* bytes of all units before it */
};

struct zbench_units {
	struct zbench_unit *units;
	size_t nr;
	uint64_t bytes;
	uint64_t nr_same;
};

/**
 * zbench_units_make() - cut @samples; same-filled units are only counted
 * @max_units: then only so many are kept, evenly spread; 0: all
 * Return: 0 or -ENOMEM.
 */
int zbench_units_make(const struct samples *samples, uint32_t cluster, uint32_t max_units,
		      struct zbench_units *out_units) ZT_MUST_CHECK;
void zbench_units_free(struct zbench_units *units);

/**
 * zbench_run() - measure one point
 * @samples: not looked at where the point has a replay
 * @seconds: how long each of compression and decompression is measured; 0: one pass, as in replays
 * @error_text: out on error: one sentence
 *
 * First every unit goes through once, is decompressed and compared.
 *
 * Return: 0; -EBADMSG a unit did not come back as it was; what zcomp_create() says; -EOPNOTSUPP
 *         there are no managed streams; -ENODATA nothing but same-filled units; -ENOMEM, -EAGAIN.
 */
int zbench_run(const struct samples *samples, const struct zbench_point *point, double seconds,
	       char error_text[ZCOMP_ERROR_TEXT], struct zbench_result *out_result) ZT_MUST_CHECK;

/** zbench_print_table_head() - and one line per result: for people, as they come */
void zbench_print_table_head(FILE *out);
void zbench_print_table_line(FILE *out, const struct zbench_result *result);

/** zbench_print_measured() - the line below a table: how much of what was found it is about */
void zbench_print_measured(FILE *out, const struct samples *samples);

/** zbench_print_json() - one object: what was read, and an array of all results */
void zbench_print_json(FILE *out, const struct samples *samples,
		       const struct zbench_result *results, size_t nr);

/** zbench_print_json_point() - one result as an object, without a comma */
void zbench_print_json_point(FILE *out, const struct zbench_result *result);

/** zbench_print_csv_head() - and one line per result */
void zbench_print_csv_head(FILE *out);
void zbench_print_csv_line(FILE *out, const struct zbench_result *result);

/**
 * zbench_plot() - an SVG picture: units a second against queue depth, one chart for each codec and
 * cluster, one colour for each latency
 * Points whose mode is not managed have no queue, and are lines across.
 * Return: 0; -ENOMEM: then nothing was written.
 */
int zbench_plot(FILE *out, const struct zbench_result *results, size_t nr) ZT_MUST_CHECK;

#endif
