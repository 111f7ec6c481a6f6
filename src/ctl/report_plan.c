// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * report_plan.c - which points each picture of zbench --report needs. No locks.
 *
 * What codecs do is measured over all of the sample. What a device does depends on its times, not
 * on the data: a few hundred units, evenly spread, keep slow devices from taking the afternoon.
 */
#include "ctl/report.h"
#include "util/sizes.h"

#define FEW_UNITS  512u /* of 4 KiB */
#define SOME_UNITS 128u /* of 64 KiB */

static const struct report_text texts[NR_REPORT_PICTURES] = {
	[REPORT_DEPTH] = {
		.file = "depth",
		.title = "A deep queue hides the latency of a device",
		.what = "One caller compresses pages of 4 KiB on a device with one engine that "
			"takes 0, 20, 100 or 500 µs longer than the work. Per-thread streams "
			"(broken lines) have one request in the device, however deep its queue: "
			"the latency is paid for each page. Managed streams keep the queue full, "
			"and the latency disappears once it is deep enough. Codec null has no "
			"work, so only the cost of the way shows.",
	},
	[REPORT_SUBMIT] = {
		.file = "submit",
		.title = "What a submission costs stays; what a completion takes does not",
		.what = "The same device with a queue of 64, and a cost of each submission that "
			"its caller pays. To the right the lines fall together: with requests "
			"in flight, latency is hidden until the queue is too short for it, and "
			"the door bell is what limits the caller.",
	},
	[REPORT_BATCH] = {
		.file = "batch",
		.title = "Several requests by one submission",
		.what = "To the left a device with eight engines, 8 µs of work for each page and "
			"2 µs for a submission: a batch pays these once. To the right a device "
			"whose submission costs nothing: there batches must do no harm, and the "
			"lines are to be flat.",
	},
	[REPORT_FALLBACK] = {
		.file = "fallback",
		.title = "More work than the device takes: the hybrid falls back",
		.what = "A device of 500 µs with a queue of 16, and a caller that wants more and "
			"more requests in flight. What finds no space is compressed by the caller "
			"at once. So the device is kept busy, nothing waits for it, and speed "
			"goes on rising above what the device or software could do alone.",
	},
	[REPORT_FLUSHER] = {
		.file = "flusher",
		.title = "One flusher beside parallel engines",
		.what = "One thread writes back clusters of 64 KiB, as the kernel's flusher or "
			"kcompressd does. Alone it compresses by itself. One engine moves that "
			"work to another thread; more engines compress side by side, as far as "
			"there are CPUs.",
	},
	[REPORT_CODECS] = {
		.file = "codecs",
		.title = "Codecs by the size of the cluster",
		.what = "Over all of the sample, by one thread, without a device. A larger unit "
			"compresses better, and a read of one page out of it costs more.",
	},
};

const struct report_text *report_text_of(enum report_picture which)
{
	return &texts[which];
}

static void add(struct report *report, enum report_picture picture,
		const struct zbench_point *point)
{
	if (report->nr < REPORT_MAX_POINTS)
		report->points[report->nr++] =
			(struct report_point){ .picture = picture, .point = *point };
}

/* One caller, one engine, one page. */
static struct zbench_point base_point(const char *name, enum zbench_mode mode)
{
	return (struct zbench_point){
		.name = name,
		.level = ZCOMP_LEVEL_DEFAULT,
		.cluster = 4 * KIB,
		.mode = mode,
		.threads = 1,
		.depth = mode == ZBENCH_SYNC ? 0 : 1,
		.engines = mode == ZBENCH_SYNC ? 0 : 1,
		.batch = mode == ZBENCH_SYNC ? 0 : 1,
		.max_units = FEW_UNITS,
	};
}

static void plan_depth(struct report *report, const char *codec)
{
	static const uint32_t latencies[] = { 0, 20, 100, 500 }, depths[] = { 1, 4, 16, 64, 256 };
	struct zbench_point point = base_point(codec, ZBENCH_SYNC);

	add(report, REPORT_DEPTH, &point);
	for (size_t l = 0; l < ARRAY_SIZE(latencies); l++) {
		point = base_point(codec, ZBENCH_WAIT);
		point.latency_us = latencies[l];
		add(report, REPORT_DEPTH, &point);
		point.mode = ZBENCH_MANAGED;
		for (size_t d = 0; d < ARRAY_SIZE(depths); d++) {
			point.depth = depths[d];
			add(report, REPORT_DEPTH, &point);
		}
	}
}

static void plan_submit(struct report *report)
{
	static const uint32_t latencies[] = { 0, 20, 100, 500 };
	static const uint32_t costs[] = { 0, 500, 1000, 2000, 5000, 10000 };
	struct zbench_point point = base_point("null", ZBENCH_MANAGED);

	point.depth = 64;
	for (size_t l = 0; l < ARRAY_SIZE(latencies); l++) {
		for (size_t c = 0; c < ARRAY_SIZE(costs); c++) {
			point.latency_us = latencies[l];
			point.submit_ns = costs[c];
			add(report, REPORT_SUBMIT, &point);
		}
	}
}

static void plan_batch(struct report *report, const char *codec, bool costly)
{
	static const uint32_t batches[] = { 1, 2, 4, 8, 16, 32 };
	struct zbench_point point = base_point(codec, ZBENCH_MANAGED);

	point.depth = 64;
	if (costly) {
		point.engines = 8;
		point.submit_ns = 2000;
		point.device.work_ns = 8000;
	}
	for (size_t b = 0; b < ARRAY_SIZE(batches); b++) {
		point.batch = batches[b];
		add(report, REPORT_BATCH, &point);
	}
}

static void plan_fallback(struct report *report)
{
	static const uint32_t offered[] = { 4, 8, 16, 32, 64, 128 };
	struct zbench_point point = base_point("lz4", ZBENCH_SYNC);

	add(report, REPORT_FALLBACK, &point);
	point = base_point("lz4", ZBENCH_MANAGED);
	point.latency_us = 500;
	point.depth = 16;
	for (size_t i = 0; i < ARRAY_SIZE(offered); i++) {
		point.offered = offered[i];
		add(report, REPORT_FALLBACK, &point);
	}
}

static void plan_flusher(struct report *report, const char *codec)
{
	static const uint32_t engines[] = { 1, 2, 4 };
	struct zbench_point point = base_point(codec, ZBENCH_SYNC);

	point.cluster = 64 * KIB;
	point.max_units = SOME_UNITS;
	add(report, REPORT_FLUSHER, &point);
	point = base_point(codec, ZBENCH_MANAGED);
	point.cluster = 64 * KIB;
	point.max_units = SOME_UNITS;
	point.depth = 64;
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		point.engines = engines[i];
		add(report, REPORT_FLUSHER, &point);
	}
}

static void plan_codecs(struct report *report)
{
	static const struct {
		const char *name;
		int32_t level;
	} codecs[] = { { "lz4", ZCOMP_LEVEL_DEFAULT },
		       { "lz4hc", ZCOMP_LEVEL_DEFAULT },
		       { "zstd", 1 },
		       { "zstd", 3 },
		       { "zstd", 8 } };

	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++) {
		struct zbench_point point = base_point(codecs[i].name, ZBENCH_SYNC);

		point.level = codecs[i].level;
		point.max_units = 0;
		for (uint32_t cluster = 4 * KIB; cluster <= ZCOMP_MAX_UNIT; cluster *= 2) {
			point.cluster = cluster;
			add(report, REPORT_CODECS, &point);
		}
	}
}

void report_plan(struct report *report)
{
	report->nr = 0;
	plan_depth(report, "lz4");
	plan_depth(report, "null");
	plan_submit(report);
	plan_batch(report, "null", true);
	plan_batch(report, "lz4", true);
	plan_batch(report, "lz4", false);
	plan_batch(report, "zstd", false);
	plan_fallback(report);
	plan_flusher(report, "lz4");
	plan_flusher(report, "zstd");
	plan_codecs(report);
}
