// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * report_charts.c - from what zbench --report measured to its pictures. No locks.
 *
 * A series that does not fit in memory makes the picture fail as a whole: chart_series_add() says
 * NULL, chart_point_add() takes NULL, and draw() looks once, at the end.
 */
#include <errno.h>
#include <string.h>

#include "ctl/report.h"
#include "util/sizes.h"

struct drawing {
	const struct report *report;
	enum report_picture which;
	struct picture picture;
	bool failed; /* no memory */
};

static struct chart *add_chart(struct drawing *d, enum chart_kind kind, const char *title,
			       const char *note)
{
	struct chart *chart = picture_add(&d->picture, kind, title, note);

	d->failed = d->failed || !chart;
	return chart;
}

static struct chart *add_lines(struct drawing *d, const char *title, const char *note,
			       const char *x, const char *y)
{
	struct chart *chart = add_chart(d, CHART_LINES, title, note);

	if (!chart)
		return NULL;
	snprintf(chart->x.label, sizeof(chart->x.label), "%s", x);
	snprintf(chart->y.label, sizeof(chart->y.label), "%s", y);
	chart->x.scale = CHART_STEPS;
	return chart;
}

static struct chart_series *add_series(struct drawing *d, struct chart *chart, const char *name,
				       unsigned colour)
{
	struct chart_series *series = chart ? chart_series_add(chart, name, colour) : NULL;

	d->failed = d->failed || !series;
	return series;
}

/* The next point of this picture, from @inout_at on; NULL at the end. */
static const struct report_point *next(const struct drawing *d, size_t *inout_at)
{
	while (*inout_at < d->report->nr) {
		const struct report_point *one = &d->report->points[(*inout_at)++];

		if (one->picture == d->which)
			return one;
	}
	return NULL;
}

static bool is_codec(const struct report_point *one, const char *codec)
{
	return strcmp(one->point.name, codec) == 0;
}

/* Speed against depth ------------------------------------------------------ */

static void draw_depth_line(struct drawing *d, struct chart *chart, const char *codec,
			    enum zbench_mode mode, uint32_t latency)
{
	static const uint32_t latencies[] = { 0, 20, 100, 500 };
	struct chart_series *series = NULL;
	const struct report_point *one;
	unsigned colour = 0;
	char name[64];

	while (colour + 1 < ARRAY_SIZE(latencies) && latencies[colour] != latency)
		colour++;
	if (mode == ZBENCH_SYNC)
		snprintf(name, sizeof(name), "no device");
	else
		snprintf(name, sizeof(name), "%s, %u µs",
			 mode == ZBENCH_WAIT ? "per-thread" : "managed", latency);
	series = add_series(d, chart, name, mode == ZBENCH_SYNC ? CHART_GREY : colour);
	if (!series)
		return;
	series->across = mode != ZBENCH_MANAGED;
	series->broken = series->across;
	for (size_t at = 0; (one = next(d, &at)) != NULL;)
		if (is_codec(one, codec) && one->point.mode == mode &&
		    one->point.latency_us == latency)
			chart_point_add(series, one->point.depth, one->result.in_mbps);
}

static void draw_depth(struct drawing *d)
{
	static const char *const codecs[] = { "lz4", "null" };
	static const uint32_t latencies[] = { 0, 20, 100, 500 };

	for (size_t c = 0; c < ARRAY_SIZE(codecs); c++) {
		struct chart *chart = add_lines(
			d, codecs[c], "pages of 4 KiB, one engine, one caller; more is better",
			"requests in flight: depth of the queue", "MB/s");

		if (!chart)
			return;
		chart->y.scale = CHART_LOG;
		for (size_t l = 0; l < ARRAY_SIZE(latencies); l++) {
			draw_depth_line(d, chart, codecs[c], ZBENCH_MANAGED, latencies[l]);
			draw_depth_line(d, chart, codecs[c], ZBENCH_WAIT, latencies[l]);
		}
		draw_depth_line(d, chart, codecs[c], ZBENCH_SYNC, 0);
	}
}

/* The other lines ---------------------------------------------------------- */

static void draw_submit(struct drawing *d)
{
	static const uint32_t latencies[] = { 0, 20, 100, 500 };
	struct chart *chart = add_lines(d, "null", "pages of 4 KiB, depth 64; more is better",
					"cost of one submission, ns", "MB/s");

	if (!chart)
		return;
	chart->y.scale = CHART_LOG;
	for (size_t l = 0; l < ARRAY_SIZE(latencies); l++) {
		const struct report_point *one;
		struct chart_series *series;
		char name[64];

		snprintf(name, sizeof(name), "latency %u µs", latencies[l]);
		series = add_series(d, chart, name, (unsigned)l);
		for (size_t at = 0; (one = next(d, &at)) != NULL;)
			if (one->point.latency_us == latencies[l])
				chart_point_add(series, one->point.submit_ns, one->result.in_mbps);
	}
}

static void draw_batch_line(struct drawing *d, struct chart *chart, const char *codec, bool costly,
			    unsigned colour)
{
	struct chart_series *series = add_series(d, chart, codec, colour);
	const struct report_point *one;

	for (size_t at = 0; (one = next(d, &at)) != NULL;)
		if (is_codec(one, codec) && (one->point.submit_ns > 0) == costly)
			chart_point_add(series, one->point.batch, one->result.in_mbps);
}

static void draw_batch(struct drawing *d)
{
	struct chart *chart = add_lines(d, "2 µs a submission, 8 µs of work a page",
					"8 engines, pages of 4 KiB, depth 64; more is better",
					"requests of one submission", "MB/s");

	draw_batch_line(d, chart, "null", true, 0);
	draw_batch_line(d, chart, "lz4", true, 1);
	chart = add_lines(d, "A submission costs nothing",
			  "1 engine, pages of 4 KiB, depth 64; flat is good",
			  "requests of one submission", "MB/s");
	draw_batch_line(d, chart, "lz4", false, 1);
	draw_batch_line(d, chart, "zstd", false, 2);
}

static double fallback_pct(const struct zbench_result *result)
{
	return result->calls ? 100.0 * (double)result->fallbacks / (double)result->calls : 0;
}

static void draw_fallback(struct drawing *d)
{
	const char *x = "requests that the caller wants in flight; 16 fit";
	struct chart *speed =
		add_lines(d, "Speed, lz4", "500 µs, a queue of 16, pages of 4 KiB; more is better",
			  x, "MB/s");
	struct chart_series *hybrid = add_series(d, speed, "hybrid", 0);
	struct chart_series *alone = add_series(d, speed, "the device alone", 1);
	struct chart_series *software = add_series(d, speed, "software alone", CHART_GREY);
	const struct report_point *one;
	struct chart_series *share;
	struct chart *chart;

	for (size_t at = 0; (one = next(d, &at)) != NULL;) {
		if (one->point.mode == ZBENCH_SYNC)
			chart_point_add(software, 0, one->result.in_mbps);
		else
			chart_point_add(hybrid, one->point.offered, one->result.in_mbps);
		if (one->point.offered == one->point.depth && one->point.depth > 0)
			chart_point_add(alone, 0, one->result.in_mbps);
	}
	if (alone)
		alone->across = alone->broken = true;
	if (software)
		software->across = software->broken = true;
	chart = add_lines(d, "Done by the caller's own stream", "of all requests", x, "%");
	share = add_series(d, chart, "fell back", 0);
	for (size_t at = 0; (one = next(d, &at)) != NULL;)
		if (one->point.mode == ZBENCH_MANAGED)
			chart_point_add(share, one->point.offered, fallback_pct(&one->result));
}

static void draw_flusher(struct drawing *d)
{
	static const char *const codecs[] = { "lz4", "zstd" };

	for (size_t c = 0; c < ARRAY_SIZE(codecs); c++) {
		struct chart *chart =
			add_chart(d, CHART_BARS, codecs[c],
				  "MB/s, clusters of 64 KiB, one caller; more is better");
		const struct report_point *one;

		for (size_t at = 0; chart && (one = next(d, &at)) != NULL;) {
			const bool sync = one->point.mode == ZBENCH_SYNC;
			char name[64];

			if (!is_codec(one, codecs[c]))
				continue;
			snprintf(name, sizeof(name), "flusher alone");
			if (!sync)
				snprintf(name, sizeof(name), "and %u engine%s", one->point.engines,
					 one->point.engines > 1 ? "s" : "");
			chart_point_add(add_series(d, chart, name, sync ? CHART_GREY : (unsigned)c),
					0, one->result.in_mbps);
		}
	}
}

/* Codecs ------------------------------------------------------------------- */

static double ratio_of(const struct zbench_result *result)
{
	return result->bytes_out ? (double)result->bytes_in / (double)result->bytes_out : 0;
}

static double in_of(const struct zbench_result *result)
{
	return result->in_mbps;
}

static double out_of(const struct zbench_result *result)
{
	return result->out_mbps;
}

static void draw_codec_chart(struct drawing *d, struct chart *chart,
			     double (*value)(const struct zbench_result *result))
{
	const struct report_point *one;
	struct chart_series *series = NULL;
	const char *codec = "";
	unsigned colour = 0;

	if (!chart)
		return;
	chart->x.bytes = true;
	/* One codec's points are one after the other. */
	for (size_t at = 0; (one = next(d, &at)) != NULL;) {
		if (strcmp(one->result.codec, codec) != 0)
			series = add_series(d, chart, one->result.codec, colour++);
		codec = one->result.codec;
		chart_point_add(series, one->point.cluster, value(&one->result));
	}
}

static void draw_codecs(struct drawing *d)
{
	draw_codec_chart(d,
			 add_lines(d, "Ratio", "bytes in for each byte out; more is better",
				   "bytes of a cluster", ""),
			 ratio_of);
	for (int out = 0; out < 2; out++) {
		struct chart *chart =
			add_lines(d, out ? "Decompression" : "Compression",
				  "one thread; more is better", "bytes of a cluster", "MB/s");

		if (chart)
			chart->y.scale = CHART_LOG;
		draw_codec_chart(d, chart, out ? out_of : in_of);
	}
}

int report_draw(const struct report *report, enum report_picture which, struct picture *out_picture)
{
	static void (*const draw[NR_REPORT_PICTURES])(struct drawing * d) = {
		[REPORT_DEPTH] = draw_depth,     [REPORT_SUBMIT] = draw_submit,
		[REPORT_BATCH] = draw_batch,     [REPORT_FALLBACK] = draw_fallback,
		[REPORT_FLUSHER] = draw_flusher, [REPORT_CODECS] = draw_codecs,
	};
	struct drawing d = { .report = report, .which = which, .picture = { .columns = 2 } };

	draw[which](&d);
	if (d.failed) {
		picture_free(&d.picture);
		return -ENOMEM;
	}
	*out_picture = d.picture;
	return 0;
}
