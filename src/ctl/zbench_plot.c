// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zbench_plot.c - a picture of throughput against queue depth. No locks.
 *
 * Both axes are logarithmic: a queue that keeps a device busy is a straight line up to what the
 * engines can do.
 */
#include <errno.h>
#include <string.h>

#include "ctl/chart.h"
#include "ctl/zbench.h"

static double units_per_second(const struct zbench_result *result)
{
	return result->seconds > 0 && result->calls > 0 ? (double)result->calls / result->seconds
							: 1;
}

static bool same_chart(const struct zbench_result *a, const struct zbench_result *b)
{
	return strcmp(a->codec, b->codec) == 0 && a->point.cluster == b->point.cluster;
}

/* Results of one line: the same but for the depth. */
static bool same_line(const struct zbench_result *a, const struct zbench_result *b)
{
	return same_chart(a, b) && a->point.mode == b->point.mode &&
	       a->point.threads == b->point.threads && a->point.latency_us == b->point.latency_us &&
	       a->point.batch == b->point.batch;
}

/* One colour for each latency, in the order in which they come. */
static unsigned colour_of(const struct zbench_result *results, size_t nr, uint32_t latency_us)
{
	unsigned colour = 0;

	for (size_t i = 0; i < nr && results[i].point.latency_us != latency_us; i++) {
		size_t before = 0;

		while (results[before].point.latency_us != results[i].point.latency_us)
			before++;
		colour += before == i && results[i].point.mode != ZBENCH_SYNC;
	}
	return colour % CHART_GREY;
}

static void name_line(const struct zbench_point *point, char *name, size_t space)
{
	if (point->mode == ZBENCH_SYNC)
		snprintf(name, space, "no device x%u", point->threads);
	else if (point->mode == ZBENCH_WAIT)
		snprintf(name, space, "per-thread x%u, %u µs", point->threads, point->latency_us);
	else if (point->batch > 1)
		snprintf(name, space, "batches of %u, %u µs", point->batch, point->latency_us);
	else
		snprintf(name, space, "managed, %u µs", point->latency_us);
}

static int add_line(struct chart *chart, const struct zbench_result *results, size_t nr,
		    size_t first)
{
	const struct zbench_point *point = &results[first].point;
	struct chart_series *series;
	char name[64];

	name_line(point, name, sizeof(name));
	series = chart_series_add(chart, name,
				  point->mode == ZBENCH_SYNC
					  ? CHART_GREY
					  : colour_of(results, nr, point->latency_us));
	if (!series)
		return chart->nr == CHART_MAX_SERIES ? 0 : -ENOMEM; /* more lines are left out */
	series->across = point->mode != ZBENCH_MANAGED;
	series->broken = series->across;
	for (size_t i = first; i < nr; i++)
		if (same_line(&results[first], &results[i]))
			chart_point_add(series,
					point->mode == ZBENCH_MANAGED ? results[i].point.depth : 1,
					units_per_second(&results[i]));
	return 0;
}

static int add_chart(struct picture *picture, const struct zbench_result *results, size_t nr,
		     size_t first)
{
	const struct zbench_point *point = &results[first].point;
	struct chart *chart;
	char title[96];
	int error = 0;

	snprintf(title, sizeof(title), "%s, units of %u KiB, %u engine%s", results[first].codec,
		 point->cluster / 1024, point->engines, point->engines == 1 ? "" : "s");
	chart = picture_add(picture, CHART_LINES, title, "more is better");
	if (!chart)
		return -ENOMEM;
	snprintf(chart->x.label, sizeof(chart->x.label), "requests in flight");
	snprintf(chart->y.label, sizeof(chart->y.label), "units a second");
	chart->x.scale = CHART_LOG;
	chart->y.scale = CHART_LOG;
	for (size_t i = first; i < nr && !error; i++) {
		size_t before = first;

		if (!same_chart(&results[first], &results[i]))
			continue;
		while (!same_line(&results[before], &results[i]))
			before++;
		if (before == i)
			error = add_line(chart, results, nr, i);
	}
	return error;
}

int zbench_plot(FILE *out, const struct zbench_result *results, size_t nr)
{
	struct picture picture = { .columns = 2 };
	int error = 0;

	for (size_t i = 0; i < nr && !error; i++) {
		size_t before = 0;

		while (!same_chart(&results[before], &results[i]))
			before++;
		if (before == i)
			error = add_chart(&picture, results, nr, i);
	}
	if (!error)
		chart_svg(out, &picture, true);
	picture_free(&picture);
	return error;
}
