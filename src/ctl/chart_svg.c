// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chart_svg.c - pictures drawn as SVG. No locks.
 *
 * Places are in pixels at the size at which the picture is meant to be looked at. Each point says
 * its figures when the pointer is over it.
 */
#include <math.h>
#include <string.h>

#include "ctl/chart.h"
#include "util/sizes.h"

#define WIDTH     480 /* of a chart, with its margins */
#define NAMES     150 /* of bars */
#define GAP       24
#define HEAD      64 /* title, note and the label of y */
#define BAR_HEAD  46
#define PLOT      230 /* height of lines */
#define LEFT      58
#define RIGHT     16
#define FOOT      40 /* numbers and the label of x */
#define ROW       18 /* of a legend, of bars */
#define LEGEND    2 /* columns */
#define TEXT      12
#define SMALL     9.0
#define LETTER    0.6 /* of the size: what one takes at most on average */
#define CAPTION   46
#define BAR_VALUE 110

static const char *const light[CHART_COLOURS] = { "#0b6bb5", "#c9510c", "#08815f", "#9b4390",
						  "#8a6a00", "#b3261e", "#6b6f76" };
static const char *const dark[CHART_COLOURS] = { "#63b3f5", "#ff9b57", "#41d3a5", "#e296d6",
						 "#e5c34d", "#ff8a80", "#a3a8b0" };

static void style_colours(FILE *out, const char *const colours[CHART_COLOURS])
{
	for (unsigned i = 0; i < CHART_COLOURS; i++)
		fprintf(out, ".zl%u{stroke:%s;fill:none}.zf%u{fill:%s}", i, colours[i], i,
			colours[i]);
}

void chart_style(FILE *out)
{
	fputs(".zbg{fill:#fff}.zt{fill:#1c1e21}.zn{fill:#5b6067}.zg{stroke:#dcdfe3}.za{stroke:#"
	      "1c1e21}",
	      out);
	style_colours(out, light);
	fputs("@media(prefers-color-scheme:dark){.zbg{fill:#15171a}.zt{fill:#e8eaed}"
	      ".zn{fill:#a3a8b0}.zg{stroke:#34383e}.za{stroke:#e8eaed}",
	      out);
	style_colours(out, dark);
	fputs("}", out);
}

void chart_escape(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '"')
			fputs("&quot;", out);
		else if ((unsigned char)*text >= 0x20)
			fputc(*text, out);
	}
}

/* Pieces ------------------------------------------------------------------ */

struct pen {
	FILE *out;
	double x, y; /* the chart's upper left corner */
	double width, names; /* of the chart, with its margins; of the names of bars */
};

/* Letters of UTF-8. */
static size_t letters(const char *text)
{
	size_t nr = 0;

	for (; *text != '\0'; text++)
		nr += ((unsigned char)*text & 0xc0) != 0x80;
	return nr;
}

enum anchor { START, MIDDLE, END };

/*
 * How words stand; those that may be longer than @most pixels are written smaller, and what is too
 * long even so is pressed together. 0: any.
 */
struct words {
	enum anchor anchor;
	const char *look;
	double most;
};

static void text(const struct pen *pen, double x, double y, struct words how, const char *words)
{
	static const char *const anchors[] = { "start", "middle", "end" };
	const double width = LETTER * TEXT * (double)letters(words);
	const double size = how.most > 0 && width > how.most ? TEXT * how.most / width : TEXT;

	fprintf(pen->out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\"", pen->x + x,
		pen->y + y, anchors[how.anchor], how.look);
	if (strcmp(how.look, "zt zb") == 0)
		fputs(" font-weight=\"bold\"", pen->out);
	if (size < TEXT)
		fprintf(pen->out, " font-size=\"%.1f\"", fmax(size, SMALL));
	if (size < SMALL)
		fprintf(pen->out, " textLength=\"%.0f\" lengthAdjust=\"spacingAndGlyphs\"",
			how.most);
	fputs(">", pen->out);
	chart_escape(pen->out, words);
	fputs("</text>\n", pen->out);
}

struct span {
	double x1, y1, x2, y2;
};

static void line(const struct pen *pen, struct span at, const char *look, const char *more)
{
	fprintf(pen->out,
		"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"%s%s/>\n",
		pen->x + at.x1, pen->y + at.y1, pen->x + at.x2, pen->y + at.y2, look,
		*more ? " " : "", more);
}

static void head(const struct pen *pen, const struct chart *chart)
{
	text(pen, 0, 14, (struct words){ START, "zt zb", pen->width }, chart->title);
	text(pen, 0, 32, (struct words){ START, "zn", pen->width }, chart->note);
}

/* Lines ------------------------------------------------------------------- */

struct plot {
	struct pen pen;
	const struct chart *chart;
	struct chart_range x, y;
};

static double place_x(const struct plot *plot, double value)
{
	return LEFT + (plot->pen.width - LEFT - RIGHT) * chart_range_at(&plot->x, value);
}

static double place_y(const struct plot *plot, double value)
{
	return HEAD + PLOT * (1 - chart_range_at(&plot->y, value));
}

static void axes(const struct plot *plot)
{
	const struct pen *pen = &plot->pen;
	double free_from = -1e9;

	for (size_t i = 0; i < plot->y.nr_ticks; i++) {
		const double y = HEAD + PLOT * (1 - plot->y.ticks[i].at);

		line(pen, (struct span){ LEFT, y, pen->width - RIGHT, y }, "zg", "");
		text(pen, LEFT - 6, y + 4, (struct words){ END, "zn", LEFT - 6 },
		     plot->y.ticks[i].words);
	}
	for (size_t i = 0; i < plot->x.nr_ticks; i++) {
		const struct chart_tick *tick = &plot->x.ticks[i];
		const double x = LEFT + (pen->width - LEFT - RIGHT) * tick->at;
		const double half = LETTER * TEXT * (double)letters(tick->words) / 2;

		/* Numbers that would touch the one before are left out. */
		if (x - half < free_from)
			continue;
		free_from = x + half + 4;
		line(pen, (struct span){ x, HEAD + PLOT, x, HEAD + PLOT + 4 }, "zg", "");
		text(pen, x, HEAD + PLOT + 17, (struct words){ MIDDLE, "zn", 0 }, tick->words);
	}
	text(pen, LEFT + (pen->width - LEFT - RIGHT) / 2.0, HEAD + PLOT + 34,
	     (struct words){ MIDDLE, "zt", pen->width - LEFT }, plot->chart->x.label);
	text(pen, 0, HEAD - 12, (struct words){ START, "zt", pen->width }, plot->chart->y.label);
}

static void point(const struct plot *plot, const struct chart_series *series,
		  const struct chart_point *point)
{
	char value[32];

	chart_number(value, sizeof(value), point->y);
	fprintf(plot->pen.out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\" class=\"zf%u\"><title>",
		plot->pen.x + place_x(plot, point->x), plot->pen.y + place_y(plot, point->y),
		series->colour);
	chart_escape(plot->pen.out, series->name);
	fprintf(plot->pen.out, ", %g: %s</title></circle>\n", point->x, value);
}

static void draw_series(const struct plot *plot, const struct chart_series *series)
{
	const char *dashes = series->broken ? "stroke-dasharray=\"6 4\"" : "";
	char look[8];

	snprintf(look, sizeof(look), "zl%u", series->colour);
	if (series->nr == 0)
		return;
	if (series->across) {
		const double y = place_y(plot, series->points[0].y);
		char words[64];

		snprintf(words, sizeof(words), "stroke-width=\"2\" %s", dashes);
		line(&plot->pen, (struct span){ LEFT, y, plot->pen.width - RIGHT, y }, look, words);
		return;
	}
	fprintf(plot->pen.out, "<polyline class=\"%s\" stroke-width=\"2\" %s points=\"", look,
		dashes);
	for (size_t i = 0; i < series->nr; i++)
		fprintf(plot->pen.out, "%s%.1f,%.1f", i ? " " : "",
			plot->pen.x + place_x(plot, series->points[i].x),
			plot->pen.y + place_y(plot, series->points[i].y));
	fputs("\"/>\n", plot->pen.out);
	for (size_t i = 0; i < series->nr; i++)
		point(plot, series, &series->points[i]);
}

static void legend(const struct plot *plot)
{
	const double each = (plot->pen.width - LEFT) / LEGEND;

	for (size_t i = 0; i < plot->chart->nr; i++) {
		const struct chart_series *series = &plot->chart->series[i];
		const double x = LEFT + each * (double)(i % LEGEND);
		const double y = HEAD + PLOT + FOOT + 14 + ROW * (double)(i / LEGEND);
		char look[8];

		snprintf(look, sizeof(look), "zl%u", series->colour);
		line(&plot->pen, (struct span){ x, y - 4, x + 22, y - 4 }, look,
		     series->broken ? "stroke-width=\"2\" stroke-dasharray=\"6 4\""
				    : "stroke-width=\"2\"");
		if (!series->across)
			fprintf(plot->pen.out,
				"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\" class=\"zf%u\"/>\n",
				plot->pen.x + x + 11, plot->pen.y + y - 4, series->colour);
		text(&plot->pen, x + 28, y, (struct words){ START, "zt", each - 30 }, series->name);
	}
}

static void draw_lines(const struct pen *pen, const struct chart *chart)
{
	struct plot plot = { .pen = *pen, .chart = chart };

	chart_range_make(chart, true, &plot.x);
	chart_range_make(chart, false, &plot.y);
	head(&plot.pen, chart);
	axes(&plot);
	for (size_t i = chart->nr; i-- > 0;)
		draw_series(&plot, &chart->series[i]);
	legend(&plot);
}

/* Bars -------------------------------------------------------------------- */

static void draw_bar(const struct pen *pen, const struct chart_series *series, double top,
		     double scale)
{
	const struct chart_point *point = &series->points[0];
	const double middle = top + (ROW - 5) / 2.0, end = fmax(point->y, point->high);
	char value[32];

	if (series->nr == 0)
		return;
	chart_number(value, sizeof(value), point->y);
	text(pen, pen->names - 6, top + 11, (struct words){ END, "zt", pen->names - 6 },
	     series->name);
	fprintf(pen->out,
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" class=\"zf%u\"><title>",
		pen->x + pen->names, pen->y + top, fmax(0.5, fmin(point->y * scale, pen->width)),
		ROW - 5, series->colour);
	chart_escape(pen->out, series->name);
	fprintf(pen->out, ": %s</title></rect>\n", value);
	if (point->high > point->low)
		line(pen,
		     (struct span){ pen->names + point->low * scale, middle,
				    pen->names + point->high * scale, middle },
		     "za", "stroke-width=\"1.2\"");
	text(pen, pen->names + end * scale + 5, top + 11,
	     (struct words){ START, "zt", BAR_VALUE + 20 }, *point->words ? point->words : value);
}

static void draw_bars(const struct pen *pen, const struct chart *chart)
{
	const double space = pen->width - pen->names - BAR_VALUE;
	double most = fmax(chart->mark, 1e-9), scale;

	for (size_t i = 0; i < chart->nr; i++)
		if (chart->series[i].nr > 0)
			most = fmax(most, fmax(chart->series[i].points[0].y,
					       chart->series[i].points[0].high));
	scale = space / most;
	head(pen, chart);
	for (size_t i = 0; i < chart->nr; i++)
		draw_bar(pen, &chart->series[i], BAR_HEAD + ROW * (double)i, scale);
	if (chart->mark > 0) {
		const double at = pen->names + chart->mark * scale;
		const double bottom = BAR_HEAD + ROW * (double)chart->nr;

		line(pen, (struct span){ at, BAR_HEAD - 3, at, bottom }, "za",
		     "stroke-width=\"1.5\"");
		text(pen, at, bottom + 13, (struct words){ MIDDLE, "zt", 0 }, chart->mark_words);
	}
}

/* The whole --------------------------------------------------------------- */

static double height_of(const struct chart *chart)
{
	if (chart->kind == CHART_BARS)
		return BAR_HEAD + ROW * (double)chart->nr + (chart->mark > 0 ? ROW : 0);
	return HEAD + PLOT + FOOT + 8 + ROW * ceil((double)chart->nr / LEGEND);
}

/* In columns of even height. With @out they are drawn. Return: where the longest ends. */
static double place_all(FILE *out, const struct picture *picture, unsigned columns)
{
	struct pen pen = {
		.out = out,
		.width = picture->width ? picture->width : WIDTH,
		.names = picture->names ? picture->names : NAMES,
	};
	double ends[8], longest = 0;

	for (unsigned i = 0; i < columns; i++)
		ends[i] = *picture->title ? CAPTION : GAP;
	for (size_t c = 0; c < picture->nr; c++) {
		const struct chart *chart = &picture->charts[c];
		unsigned at = 0;

		for (unsigned i = 1; i < columns; i++)
			if (ends[i] < ends[at])
				at = i;
		pen.x = GAP + at * (pen.width + GAP);
		pen.y = ends[at];
		if (out && chart->kind == CHART_BARS)
			draw_bars(&pen, chart);
		else if (out)
			draw_lines(&pen, chart);
		ends[at] += height_of(chart) + GAP;
		longest = fmax(longest, ends[at]);
	}
	return longest;
}

void chart_svg(FILE *out, const struct picture *picture, bool alone)
{
	const unsigned columns = (unsigned)min_u64(min_u64(max_u64(picture->columns, 1), 8),
						   max_u64(picture->nr, 1));
	const double each = picture->width ? picture->width : WIDTH;
	const double width = columns * (each + GAP) + GAP;
	const double height = place_all(NULL, picture, columns);
	const struct pen pen = { .out = out };

	if (alone)
		fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out);
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
		"viewBox=\"0 0 %.0f %.0f\" style=\"max-width:%.0fpx\" font-family=\"sans-serif\" "
		"font-size=\"%d\">\n",
		width, height, width, height, width, TEXT);
	fputs("<title>", out);
	chart_escape(out, *picture->title || picture->nr == 0 ? picture->title
							      : picture->charts[0].title);
	fputs("</title>\n", out);
	if (alone) {
		fputs("<style>", out);
		chart_style(out);
		fputs("</style>\n<rect width=\"100%\" height=\"100%\" class=\"zbg\"/>\n", out);
	}
	if (*picture->title)
		text(&pen, GAP, 28, (struct words){ START, "zt zb", width - 2 * GAP },
		     picture->title);
	(void)place_all(out, picture, columns); /* the height is known */
	fputs("</svg>\n", out);
}
