// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zbench_plot.c - a picture of throughput against queue depth, as SVG. No locks.
 *
 * Both axes are logarithmic: a queue that keeps a device busy is a straight line up to what the
 * engines can do. Colours are told apart by people who see few of them, and lines by their dashes.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ctl/zbench.h"

#define PANEL_WIDTH  520
#define PANEL_HEIGHT 400
#define LEFT         70
#define RIGHT        150 /* room for the lines' names */
#define TOP          50
#define BOTTOM       60
#define MAX_PANELS   4
#define MAX_LABELS   32

/* One codec with one cluster, and the edges of its axes. */
struct panel {
	const struct zbench_result *first;
	double x0; /* left edge in the picture */
	double depth_max; /* log2 */
	double rate_min, rate_max; /* log10 of units a second */
	double labels[MAX_LABELS]; /* where names of lines already stand */
	size_t nr_labels;
};

static const char *colour_of(uint32_t latency_us, const struct zbench_result *results, size_t nr)
{
	static const char *const colours[] = { "#0072b2", "#d55e00", "#009e73", "#cc79a7",
					       "#e69f00", "#56b4e9", "#000000" };
	uint32_t seen[sizeof(colours) / sizeof(colours[0])];
	size_t nr_seen = 0, at;

	for (size_t i = 0; i < nr; i++) {
		for (at = 0; at < nr_seen && seen[at] != results[i].point.latency_us; at++)
			;
		if (at == nr_seen && nr_seen < sizeof(seen) / sizeof(seen[0]))
			seen[nr_seen++] = results[i].point.latency_us;
	}
	for (at = 0; at + 1 < nr_seen && seen[at] != latency_us; at++)
		;
	return colours[at];
}

static double units_per_second(const struct zbench_result *result)
{
	return result->seconds > 0 && result->calls > 0 ? (double)result->calls / result->seconds
							: 1;
}

static bool same_panel(const struct zbench_result *a, const struct zbench_result *b)
{
	return strcmp(a->codec, b->codec) == 0 && a->point.cluster == b->point.cluster;
}

/* Results of one line: the same but for the depth. */
static bool same_line(const struct zbench_result *a, const struct zbench_result *b)
{
	return same_panel(a, b) && a->point.mode == b->point.mode &&
	       a->point.threads == b->point.threads &&
	       a->point.latency_us == b->point.latency_us && a->point.batch == b->point.batch;
}

static double x_of(const struct panel *panel, double depth)
{
	const double width = PANEL_WIDTH - LEFT - RIGHT;

	return panel->x0 + LEFT + width * log2(depth) / panel->depth_max;
}

static double y_of(const struct panel *panel, double rate)
{
	const double height = PANEL_HEIGHT - TOP - BOTTOM;

	return TOP + height * (panel->rate_max - log10(rate)) / (panel->rate_max - panel->rate_min);
}

static void panel_init(struct panel *panel, const struct zbench_result *first,
		       const struct zbench_result *results, size_t nr, size_t number)
{
	*panel = (struct panel){
		.first = first,
		.x0 = (double)number * PANEL_WIDTH,
		.depth_max = 1,
		.rate_min = 9,
		.rate_max = 0,
	};
	for (size_t i = 0; i < nr; i++) {
		const double rate = log10(units_per_second(&results[i]));

		if (!same_panel(first, &results[i]))
			continue;
		panel->rate_min = fmin(panel->rate_min, floor(rate));
		panel->rate_max = fmax(panel->rate_max, ceil(rate));
		if (results[i].point.mode == ZBENCH_MANAGED)
			panel->depth_max = fmax(panel->depth_max, log2(results[i].point.depth));
	}
	if (panel->rate_max <= panel->rate_min)
		panel->rate_max = panel->rate_min + 1;
}

static void text(FILE *out, double x, double y, const char *anchor, const char *words)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor,
		words);
}

static void draw_axes(FILE *out, const struct panel *panel)
{
	const double left = panel->x0 + LEFT, right = panel->x0 + PANEL_WIDTH - RIGHT;
	const double bottom = PANEL_HEIGHT - BOTTOM;
	char words[96];

	for (int power = (int)panel->rate_min; power <= (int)panel->rate_max; power++) {
		const double y = y_of(panel, pow(10, power));

		fprintf(out,
			"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
			"stroke=\"#dddddd\"/>\n",
			left, y, right, y);
		snprintf(words, sizeof(words),
			 power < 3   ? "%.0f"
			 : power < 6 ? "%.0f k"
				     : "%.0f M",
			 pow(10, power < 3   ? power
				 : power < 6 ? power - 3
					     : power - 6));
		text(out, left - 6, y + 4, "end", words);
	}
	for (int power = 0; power <= (int)panel->depth_max; power++) {
		const double x = x_of(panel, pow(2, power));

		fprintf(out,
			"<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%.1f\" "
			"stroke=\"#eeeeee\"/>\n",
			x, TOP, x, bottom);
		snprintf(words, sizeof(words), "%.0f", pow(2, power));
		text(out, x, bottom + 18, "middle", words);
	}
	fprintf(out,
		"<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" "
		"stroke=\"#444444\"/>\n",
		left, TOP, right - left, bottom - TOP);
	text(out, (left + right) / 2, bottom + 40, "middle", "queue depth (requests)");
	fprintf(out,
		"<text transform=\"translate(%.1f %.1f) rotate(-90)\" text-anchor=\"middle\">"
		"units compressed per second</text>\n",
		panel->x0 + 18, (TOP + bottom) / 2);
	snprintf(words, sizeof(words), "%s, units of %u KiB, %u engine%s", panel->first->codec,
		 panel->first->point.cluster / 1024, panel->first->point.engines,
		 panel->first->point.engines == 1 ? "" : "s");
	fprintf(out,
		"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" font-weight=\"bold\">%s"
		"</text>\n",
		(left + right) / 2, TOP - 16, words);
}

/* Names stand beside the ends of their lines, but not one over the other. */
static void label(FILE *out, struct panel *panel, double y, const char *colour, const char *words)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (size_t i = 0; i < panel->nr_labels; i++) {
			if (fabs(panel->labels[i] - y) < 13) {
				y = panel->labels[i] + 13.5;
				moved = true;
			}
		}
	}
	if (panel->nr_labels < MAX_LABELS)
		panel->labels[panel->nr_labels++] = y;
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\" font-size=\"11\">%s</text>\n",
		panel->x0 + PANEL_WIDTH - RIGHT + 6, y + 4, colour, words);
}

static void draw_queue(FILE *out, struct panel *panel, const struct zbench_result *first,
		       const char *colour, const struct zbench_result *end)
{
	double y = 0;
	char words[64];

	fprintf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour);
	for (const struct zbench_result *r = first; r < end; r++) {
		if (!same_line(first, r))
			continue;
		y = y_of(panel, units_per_second(r));
		fprintf(out, "%.1f,%.1f ", x_of(panel, r->point.depth), y);
	}
	fputs("\"/>\n", out);
	for (const struct zbench_result *r = first; r < end; r++)
		if (same_line(first, r))
			fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n",
				x_of(panel, r->point.depth), y_of(panel, units_per_second(r)),
				colour);
	snprintf(words, sizeof(words), "managed, %u µs", first->point.latency_us);
	if (first->point.batch > 1)
		snprintf(words, sizeof(words), "batches of %u, %u µs", first->point.batch,
			 first->point.latency_us);
	label(out, panel, y, colour, words);
}

static void draw_across(FILE *out, struct panel *panel, const struct zbench_result *result,
			const char *colour)
{
	const double y = y_of(panel, units_per_second(result));
	const bool device = result->point.mode == ZBENCH_WAIT;
	char words[64];

	fprintf(out,
		"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
		"stroke-width=\"2\" stroke-dasharray=\"%s\"/>\n",
		panel->x0 + LEFT, y, panel->x0 + PANEL_WIDTH - RIGHT, y, colour,
		device ? "7 4" : "2 3");
	if (device)
		snprintf(words, sizeof(words), "per-thread x%u, %u µs", result->point.threads,
			 result->point.latency_us);
	else
		snprintf(words, sizeof(words), "no device x%u", result->point.threads);
	label(out, panel, y, colour, words);
}

/* From the fastest line down, so that names which have to give way do so downwards. */
static void draw_lines(FILE *out, struct panel *panel, const struct zbench_result *results,
		       size_t nr)
{
	bool drawn[256] = { false };
	const size_t most = nr < sizeof(drawn) ? nr : sizeof(drawn);

	for (;;) {
		const struct zbench_result *best = NULL, *first;
		const char *colour;

		/* The last point of a line is where its name stands. */
		for (size_t i = 0; i < most; i++)
			if (!drawn[i] && same_panel(panel->first, &results[i]) &&
			    (!best || units_per_second(&results[i]) > units_per_second(best)))
				best = &results[i];
		if (!best)
			return;
		first = NULL;
		for (size_t i = 0; i < most; i++) {
			if (!same_line(best, &results[i]))
				continue;
			drawn[i] = true;
			first = first ? first : &results[i];
		}
		colour = best->point.mode == ZBENCH_SYNC
				 ? "#777777"
				 : colour_of(best->point.latency_us, results, nr);
		if (best->point.mode == ZBENCH_MANAGED)
			draw_queue(out, panel, first, colour, results + nr);
		else
			draw_across(out, panel, best, colour);
	}
}

void zbench_plot(FILE *out, const struct zbench_result *results, size_t nr)
{
	struct panel panels[MAX_PANELS];
	size_t nr_panels = 0;

	for (size_t i = 0; i < nr; i++) {
		size_t p;

		for (p = 0; p < nr_panels && !same_panel(panels[p].first, &results[i]); p++)
			;
		if (p == nr_panels && nr_panels < MAX_PANELS) {
			panel_init(&panels[p], &results[i], results, nr, p);
			nr_panels++;
		}
	}
	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" height=\"%d\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<title>Throughput against queue depth</title>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		nr_panels * PANEL_WIDTH, PANEL_HEIGHT);
	for (size_t p = 0; p < nr_panels; p++) {
		draw_axes(out, &panels[p]);
		draw_lines(out, &panels[p], results, nr);
	}
	fputs("</svg>\n", out);
}
