/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * chart.h - pictures of what was measured, as SVG: for zbench, and for make bench by ztmpfsctl draw.
 *
 *   chart.c        what a picture shows: charts, series, points
 *   chart_axis.c   from values to places, and the numbers at the axes
 *   chart_svg.c    the drawing
 *
 * Colours follow the reader's choice of light or dark. Nothing is fetched from elsewhere.
 */
#ifndef ZT_CTL_CHART_H
#define ZT_CTL_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "util/compiler.h"

#define CHART_TEXT       128
#define CHART_MAX_SERIES 40
#define CHART_MAX_POINTS 24
/* Colours of a series: so many, then they come again, broken. The last one is grey. */
#define CHART_COLOURS 7
#define CHART_GREY    (CHART_COLOURS - 1)

enum chart_kind {
	CHART_LINES, /* a line for each series */
	CHART_BARS, /* a bar for each series, which has one point */
};

enum chart_scale {
	CHART_LINEAR, /* from 0 */
	CHART_LOG,
	CHART_STEPS, /* x only: the values that there are, side by side */
};

struct chart_point {
	double x, y;
	double low, high; /* the spread; both 0: none */
	char words[CHART_TEXT]; /* behind a bar, in place of the figure; "" */
};

struct chart_series {
	char name[CHART_TEXT];
	unsigned colour; /* below CHART_COLOURS */
	bool broken; /* a broken line */
	bool across; /* one point, whose y holds for all x */
	struct chart_point points[CHART_MAX_POINTS];
	size_t nr;
};

struct chart_axis {
	char label[CHART_TEXT];
	enum chart_scale scale;
	bool bytes; /* numbers are sizes: 4 KiB */
};

struct chart {
	enum chart_kind kind;
	char title[CHART_TEXT], note[CHART_TEXT];
	struct chart_axis x, y; /* of lines only */
	double mark; /* a line across bars at this value; 0: none */
	char mark_words[CHART_TEXT];
	struct chart_series *series; /* picture_free() */
	size_t nr;
};

/* What chart_svg() draws. */
struct picture {
	char title[CHART_TEXT * 2];
	unsigned columns; /* of charts side by side */
	unsigned width, names; /* pixels: of a chart; of the names before its bars; 0: as usual */
	struct chart *charts; /* picture_free() */
	size_t nr, allocated;
};

/** picture_add() - one chart more, empty; good until the next. Return: NULL: no memory. */
struct chart *picture_add(struct picture *picture, enum chart_kind kind, const char *title,
			  const char *note);
void picture_free(struct picture *picture);

/** chart_series_add() - Return: NULL when there is no memory, or no space. */
struct chart_series *chart_series_add(struct chart *chart, const char *name, unsigned colour);

/** chart_point_add() - what has no space is left out */
void chart_point_add(struct chart_series *series, double x, double y);

/** chart_number() - a figure as the pictures and their tables show it: three digits that mean
 * something */
void chart_number(char *text, size_t space, double value);

/** chart_style() - the style sheet of pictures, for a page that has them in it */
void chart_style(FILE *out);

/** chart_escape() - @text with what XML reads escaped */
void chart_escape(FILE *out, const char *text);

/**
 * chart_svg() - draw
 * @alone: as a file of its own; else as a part of a page that has chart_style()
 */
void chart_svg(FILE *out, const struct picture *picture, bool alone);

/* chart_axis.c, for chart_svg.c */

#define CHART_MAX_TICKS 32

struct chart_tick {
	double at; /* 0 to 1 along the axis */
	char words[24];
};

/* One axis of one chart, with the values that it has to hold. */
struct chart_range {
	enum chart_scale scale;
	double low, high;
	double steps[CHART_MAX_TICKS]; /* of CHART_STEPS, rising */
	size_t nr_steps;
	struct chart_tick ticks[CHART_MAX_TICKS];
	size_t nr_ticks;
};

/** chart_range_make() - of the chart's x or y */
void chart_range_make(const struct chart *chart, bool is_x, struct chart_range *out_range);

/** chart_range_at() - where @value is, 0 to 1 */
double chart_range_at(const struct chart_range *range, double value);

#endif
