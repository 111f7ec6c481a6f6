/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * report.h - ztmpfsctl zbench --report: the argument for managed streams, measured on the reader's
 * own data, as one page with pictures.
 *
 *   report.c         the measurements, one after the other, with progress for people
 *   report_plan.c    which points each picture needs
 *   report_charts.c  from results to pictures
 *   report_page.c    what is written: the page, pictures, CSV, JSON
 */
#ifndef ZT_CTL_REPORT_H
#define ZT_CTL_REPORT_H

#include "ctl/chart.h"
#include "ctl/zbench.h"

enum report_picture {
	REPORT_DEPTH,
	REPORT_SUBMIT,
	REPORT_BATCH,
	REPORT_FALLBACK,
	REPORT_FLUSHER,
	REPORT_CODECS,
	NR_REPORT_PICTURES,
};

/* What a picture is called, and what its reader is to look for. Constant. */
struct report_text {
	const char *file; /* "depth": its name in CSV and JSON, and of its SVG */
	const char *title;
	const char *what; /* a few sentences for the page */
};

/** report_text_of() */
const struct report_text *report_text_of(enum report_picture which);

#define REPORT_MAX_POINTS 256

struct report_point {
	enum report_picture picture;
	struct zbench_point point; /* then its result's */
	struct zbench_result result; /* once measured */
};

struct report {
	const struct samples *samples;
	struct report_point *points; /* REPORT_MAX_POINTS */
	size_t nr;
	double seconds; /* that measuring took, all in all */
};

/** report_plan() - fill report->points, without results */
void report_plan(struct report *report);

/**
 * report_draw() - one picture of what was measured
 * @out_picture: picture_free()
 * Return: 0 or -ENOMEM.
 */
int report_draw(const struct report *report, enum report_picture which,
		struct picture *out_picture) ZT_MUST_CHECK;

/**
 * report_write() - index.html, report.csv, report.json and an SVG for each picture into @dir
 * @dir: made if it is not there
 * Return: 0 or -errno, then *out_path is the file that could not be written.
 */
int report_write(const struct report *report, const char *dir, const char **out_path) ZT_MUST_CHECK;

/**
 * report_run() - measure all, and write it
 * @seconds: for each figure; 0: one pass
 * Progress goes to stderr, when that is a terminal; errors go there, too, as one sentence.
 * Return: an exit status.
 */
int report_run(const struct samples *samples, double seconds, const char *dir) ZT_MUST_CHECK;

#endif
