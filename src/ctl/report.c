// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * report.c - the measurements of zbench --report, one after the other, with progress for people. No
 * locks.
 */
#include "ctl/report.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "util/alloc.h"
#include "util/clock.h"

/* One line that overwrites itself; only on a terminal. */
static void show_progress(const struct report *report, size_t done, uint64_t begun)
{
	const double spent = (double)(zt_now_ns() - begun) / ZT_NS_PER_S;
	const char *title;

	if (!isatty(STDERR_FILENO))
		return;
	if (done == report->nr) {
		fputs("\r\033[K", stderr);
		return;
	}
	title = report_text_of(report->points[done].picture)->title;
	fprintf(stderr, "\r\033[K%3zu %%  %zu of %zu, %.0f s: %s", 100 * done / report->nr, done,
		report->nr, spent, title);
	fflush(stderr);
}

static int measure(struct report *report, double seconds)
{
	const uint64_t begun = zt_now_ns();
	char text[ZCOMP_ERROR_TEXT];

	for (size_t i = 0; i < report->nr; i++) {
		struct report_point *one = &report->points[i];

		show_progress(report, i, begun);
		if (zbench_run(report->samples, &one->point, seconds, text, &one->result) != 0) {
			show_progress(report, report->nr, begun);
			fprintf(stderr, "ztmpfsctl: %s\n", text);
			return CTL_EXIT_FAILED;
		}
	}
	show_progress(report, report->nr, begun);
	report->seconds = (double)(zt_now_ns() - begun) / ZT_NS_PER_S;
	return 0;
}

int report_run(const struct samples *samples, double seconds, const char *dir)
{
	struct report report = { .samples = samples };
	const char *path = dir;
	int status, error;

	report.points = zt_zalloc(REPORT_MAX_POINTS * sizeof(*report.points));
	if (!report.points)
		return ctl_failed("", strerror(ENOMEM));
	report_plan(&report);
	status = measure(&report, seconds);
	if (!status) {
		error = report_write(&report, dir, &path);
		if (error) {
			status = ctl_failed(path, strerror(-error));
		} else {
			printf("%s/index.html: %zu points in %.0f s\n", dir, report.nr,
			       report.seconds);
		}
	}
	zt_free(report.points);
	return status;
}
