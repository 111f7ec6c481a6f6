// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chart.c - what a picture shows: charts, their series, points. No locks.
 */
#include "ctl/chart.h"

#include <math.h>
#include <string.h>

#include "util/alloc.h"

struct chart *picture_add(struct picture *picture, enum chart_kind kind, const char *title,
			  const char *note)
{
	struct chart *chart;

	if (picture->nr == picture->allocated) {
		struct chart *charts =
			zt_grow(picture->charts, sizeof(*charts), 4, &picture->allocated);

		if (!charts)
			return NULL;
		picture->charts = charts;
	}
	chart = &picture->charts[picture->nr++];
	*chart = (struct chart){ .kind = kind };
	snprintf(chart->title, sizeof(chart->title), "%s", title);
	snprintf(chart->note, sizeof(chart->note), "%s", note);
	return chart;
}

void picture_free(struct picture *picture)
{
	for (size_t i = 0; i < picture->nr; i++)
		zt_free(picture->charts[i].series);
	zt_free(picture->charts);
	picture->charts = NULL;
	picture->nr = picture->allocated = 0;
}

struct chart_series *chart_series_add(struct chart *chart, const char *name, unsigned colour)
{
	struct chart_series *series;

	if (!chart || chart->nr == CHART_MAX_SERIES)
		return NULL;
	if (!chart->series)
		chart->series = zt_zalloc(CHART_MAX_SERIES * sizeof(*chart->series));
	if (!chart->series)
		return NULL;
	series = &chart->series[chart->nr++];
	series->colour = colour % CHART_COLOURS;
	snprintf(series->name, sizeof(series->name), "%s", name);
	return series;
}

void chart_point_add(struct chart_series *series, double x, double y)
{
	if (series && series->nr < CHART_MAX_POINTS)
		series->points[series->nr++] = (struct chart_point){ .x = x, .y = y };
}

void chart_number(char *text, size_t space, double value)
{
	const double size = fabs(value);

	if (size >= 1e6)
		snprintf(text, space, "%.*f M", size < 1e7 ? 2 : size < 1e8 ? 1 : 0, value / 1e6);
	else
		snprintf(text, space, "%.*f",
			 size == 0 || size >= 100 ? 0
			 : size < 1               ? 3
			 : size < 10              ? 2
						  : 1,
			 value);
}
