// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * draw.c - ztmpfsctl draw: a picture out of a description, by the code that draws zbench's. For
 * make bench, and for who has figures of their own. No locks.
 *
 * A description is lines of words with tabs between them:
 *   picture TITLE COLUMNS WIDTH NAMES
 *                                 first, once; the last two, in pixels, may be missing
 *   chart lines|bars TITLE NOTE   for each chart; what follows is its own
 *   axis x|y linear|log|steps LABEL
 *   mark VALUE WORDS              a line across bars
 *   series NAME COLOUR            0 to 6
 *   point X Y LOW HIGH WORDS      the last three may be missing
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/chart.h"
#include "ctl/ctl.h"
#include "util/sizes.h"

#define MAX_WORDS 6

struct reader {
	struct picture picture;
	struct chart *chart; /* the last one, or NULL */
	struct chart_series *series; /* the same */
	char *words[MAX_WORDS];
	unsigned nr_words;
};

/* The @idx-th word, or "". */
static const char *word(const struct reader *r, unsigned idx)
{
	return idx < r->nr_words ? r->words[idx] : "";
}

static bool is(const struct reader *r, unsigned idx, const char *text)
{
	return strcmp(word(r, idx), text) == 0;
}

/* False: it is no number. */
static bool number(const struct reader *r, unsigned idx, double *out)
{
	char *end;

	*out = strtod(word(r, idx), &end);
	return end != word(r, idx) && *end == '\0';
}

static int read_chart(struct reader *r)
{
	if (!is(r, 1, "lines") && !is(r, 1, "bars"))
		return -EINVAL;
	r->chart = picture_add(&r->picture, is(r, 1, "lines") ? CHART_LINES : CHART_BARS,
			       word(r, 2), word(r, 3));
	r->series = NULL;
	return r->chart ? 0 : -ENOMEM;
}

static int read_axis(struct reader *r)
{
	static const char *const scales[] = {
		[CHART_LINEAR] = "linear",
		[CHART_LOG] = "log",
		[CHART_STEPS] = "steps",
	};
	struct chart_axis *axis;
	size_t scale = 0;

	while (scale < ARRAY_SIZE(scales) && !is(r, 2, scales[scale]))
		scale++;
	if (!r->chart || (!is(r, 1, "x") && !is(r, 1, "y")) || scale == ARRAY_SIZE(scales) ||
	    (is(r, 1, "y") && scale == CHART_STEPS))
		return -EINVAL;
	axis = is(r, 1, "x") ? &r->chart->x : &r->chart->y;
	axis->scale = (enum chart_scale)scale;
	snprintf(axis->label, sizeof(axis->label), "%s", word(r, 3));
	return 0;
}

static int read_mark(struct reader *r)
{
	if (!r->chart || !number(r, 1, &r->chart->mark))
		return -EINVAL;
	snprintf(r->chart->mark_words, sizeof(r->chart->mark_words), "%s", word(r, 2));
	return 0;
}

static int read_series(struct reader *r)
{
	double colour;

	if (!r->chart || !number(r, 2, &colour) || colour < 0 || colour >= CHART_COLOURS)
		return -EINVAL;
	r->series = chart_series_add(r->chart, word(r, 1), (unsigned)colour);
	return r->series ? 0 : r->chart->nr == CHART_MAX_SERIES ? -E2BIG : -ENOMEM;
}

static int read_point(struct reader *r)
{
	struct chart_point *point;
	double x, y;

	if (!r->series || !number(r, 1, &x) || !number(r, 2, &y))
		return -EINVAL;
	if (r->series->nr == CHART_MAX_POINTS)
		return -E2BIG;
	chart_point_add(r->series, x, y);
	point = &r->series->points[r->series->nr - 1];
	if (r->nr_words > 3 && (!number(r, 3, &point->low) || !number(r, 4, &point->high)))
		return -EINVAL;
	snprintf(point->words, sizeof(point->words), "%s", word(r, 5));
	return 0;
}

static int read_picture(struct reader *r)
{
	double columns, width = 0, names = 0;

	if (r->picture.nr > 0 || !number(r, 2, &columns) || columns < 1 || columns > 8)
		return -EINVAL;
	if (r->nr_words > 3 && (!number(r, 3, &width) || width < 240 || width > 2000))
		return -EINVAL;
	if (r->nr_words > 4 && (!number(r, 4, &names) || names < 20 || names > width - 160))
		return -EINVAL;
	snprintf(r->picture.title, sizeof(r->picture.title), "%s", word(r, 1));
	r->picture.columns = (unsigned)columns;
	r->picture.width = (unsigned)width;
	r->picture.names = (unsigned)names;
	return 0;
}

/* @text is cut. */
static int read_line(struct reader *r, char *text)
{
	static const struct {
		const char *name;
		int (*read)(struct reader *r);
	} kinds[] = { { "picture", read_picture }, { "chart", read_chart },
		      { "axis", read_axis },       { "mark", read_mark },
		      { "series", read_series },   { "point", read_point } };
	char *one;

	r->nr_words = 0;
	text[strcspn(text, "\n")] = '\0';
	while ((one = strsep(&text, "\t")) != NULL && r->nr_words < MAX_WORDS)
		r->words[r->nr_words++] = one;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (is(r, 0, kinds[i].name))
			return kinds[i].read(r);
	return -EINVAL;
}

static int read_all(struct reader *r, FILE *in, const char *name)
{
	char *text = NULL;
	size_t size = 0, at = 0;
	int error = 0;

	while (!error && getline(&text, &size, in) >= 0) {
		at++;
		if (*text != '\n')
			error = read_line(r, text);
	}
	free(text); /* getline(3)'s */
	if (!error && ferror(in))
		error = -EIO;
	if (!error && r->picture.nr == 0) {
		fprintf(stderr, "ztmpfsctl: %s: no chart in it\n", name);
		return CTL_EXIT_FAILED;
	}
	if (error)
		fprintf(stderr, "ztmpfsctl: %s: line %zu: %s\n", name, at,
			error == -EINVAL  ? "cannot be read; see ztmpfsctl(8)"
			: error == -E2BIG ? "too many series or points"
					  : strerror(-error));
	return error ? CTL_EXIT_FAILED : 0;
}

static int run(int argc, char *argv[])
{
	struct reader reader = { .chart = NULL };
	const char *name = "standard input";
	FILE *in = stdin;
	int status;

	(void)ctl_switch(&ctl_draw, argc, argv, true);
	if (argc - optind > 1)
		return ctl_usage(&ctl_draw);
	if (optind < argc) {
		name = argv[optind];
		in = fopen(name, "re");
	}
	if (!in)
		return ctl_failed(name, strerror(errno));
	status = read_all(&reader, in, name);
	if (in != stdin)
		fclose(in);
	if (!status)
		chart_svg(stdout, &reader.picture, true);
	picture_free(&reader.picture);
	return status ? status : ctl_end(0);
}

const struct ctl_command ctl_draw = {
	.name = "draw",
	.operands = "[FILE]",
	.help = "Draw a picture, as SVG, out of a description by lines.",
	.takes = CTL_PATHS,
	.run = run,
};
