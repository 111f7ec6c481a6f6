// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * chart_axis.c - the axes of charts: from values to places, and the numbers beside them. No locks.
 */
#include <math.h>
#include <string.h>

#include "ctl/chart.h"
#include "util/sizes.h"

/* "4 KiB", "500", "20 k", "1.5 M" */
static void number(char *text, size_t space, double value, bool bytes)
{
	const double size = fabs(value);

	if (bytes && size >= MIB)
		snprintf(text, space, "%g MiB", value / MIB);
	else if (bytes && size >= KIB)
		snprintf(text, space, "%g KiB", value / KIB);
	else if (size >= 1e6)
		snprintf(text, space, "%g M", value / 1e6);
	else if (size >= 1e4)
		snprintf(text, space, "%g k", value / 1e3);
	else if (size >= 100)
		snprintf(text, space, "%.0f", value);
	else
		snprintf(text, space, "%.3g", value);
}

static void add_tick(struct chart_range *range, double value, bool bytes)
{
	struct chart_tick *tick;

	if (range->nr_ticks == CHART_MAX_TICKS)
		return;
	tick = &range->ticks[range->nr_ticks++];
	tick->at = chart_range_at(range, value);
	number(tick->words, sizeof(tick->words), value, bytes);
}

static void add_step(struct chart_range *range, double value)
{
	size_t at = range->nr_steps;

	for (size_t i = 0; i < range->nr_steps; i++)
		if (range->steps[i] == value)
			return;
	if (at == CHART_MAX_TICKS)
		return;
	for (; at > 0 && range->steps[at - 1] > value; at--)
		range->steps[at] = range->steps[at - 1];
	range->steps[at] = value;
	range->nr_steps++;
}

static void take(struct chart_range *range, double value)
{
	range->low = fmin(range->low, value);
	range->high = fmax(range->high, value);
}

/* All values that the axis has to hold; steps are those of x. */
static void look(const struct chart *chart, bool is_x, struct chart_range *range)
{
	range->low = INFINITY;
	range->high = -INFINITY;
	for (size_t s = 0; s < chart->nr; s++) {
		const struct chart_series *series = &chart->series[s];

		for (size_t p = 0; p < series->nr; p++) {
			const struct chart_point *point = &series->points[p];

			if (is_x && series->across)
				continue;
			take(range, is_x ? point->x : point->y);
			if (is_x)
				add_step(range, point->x);
			if (!is_x && point->high > 0)
				take(range, point->high);
			if (!is_x && point->low > 0)
				take(range, point->low);
		}
	}
	if (!(range->low <= range->high))
		range->low = range->high = 1;
}

/* 1, 2 and 5 times a power of ten, at most five of them from 0. */
static void make_linear(struct chart_range *range, bool bytes)
{
	double step = pow(10, floor(log10(fmax(range->high, 1e-9))));

	if (range->high / step < 2)
		step /= 5;
	else if (range->high / step < 5)
		step /= 2;
	range->low = 0;
	range->high = step * ceil(range->high / step * (1 - 1e-9));
	for (double value = 0; value <= range->high * (1 + 1e-9); value += step)
		add_tick(range, value, bytes);
}

/* Powers of ten; where there are few of them, 2 and 5 times these, too. */
static void make_log(struct chart_range *range, bool bytes)
{
	range->low = fmax(range->low, 1e-9);
	range->high = fmax(range->high, range->low * 2);
	for (double power = floor(log10(range->low)); power <= ceil(log10(range->high)); power++) {
		static const double times[] = { 1, 2, 5 };
		const size_t nr = range->high / range->low < 200 ? 3 : 1;

		for (size_t i = 0; i < nr; i++) {
			const double value = times[i] * pow(10, power);

			if (value >= range->low * 0.999 && value <= range->high * 1.001)
				add_tick(range, value, bytes);
		}
	}
}

/* To the next of 1, 2, 5: the ends of the axis have numbers. */
static double nice(double value, bool up)
{
	const double power = pow(10, floor(log10(fmax(value, 1e-9))));
	const double digits = value / power;

	if (up)
		return power * (digits <= 1.0001 ? 1 : digits <= 2 ? 2 : digits <= 5 ? 5 : 10);
	return power * (digits >= 5 ? 5 : digits >= 2 ? 2 : 1);
}

void chart_range_make(const struct chart *chart, bool is_x, struct chart_range *out_range)
{
	const struct chart_axis *axis = is_x ? &chart->x : &chart->y;
	struct chart_range range = { .scale = axis->scale };

	look(chart, is_x, &range);
	switch (axis->scale) {
	case CHART_LINEAR:
		make_linear(&range, axis->bytes);
		break;
	case CHART_LOG:
		if (!is_x) {
			range.low = nice(range.low, false);
			range.high = nice(range.high, true);
			make_log(&range, axis->bytes);
			break;
		}
		range.high = fmax(range.high, range.low * 2);
		for (size_t i = 0; i < range.nr_steps; i++)
			add_tick(&range, range.steps[i], axis->bytes);
		break;
	case CHART_STEPS:
		for (size_t i = 0; i < range.nr_steps; i++)
			add_tick(&range, range.steps[i], axis->bytes);
		break;
	}
	*out_range = range;
}

double chart_range_at(const struct chart_range *range, double value)
{
	size_t step = 0;

	switch (range->scale) {
	case CHART_LINEAR:
		return (value - range->low) / (range->high - range->low);
	case CHART_LOG:
		value = fmax(value, range->low);
		return log(value / range->low) / log(range->high / range->low);
	case CHART_STEPS:
		break;
	}
	while (step + 1 < range->nr_steps && range->steps[step] < value)
		step++;
	/* Half a step at both sides. */
	return ((double)step + 0.5) / (double)(range->nr_steps ? range->nr_steps : 1);
}
