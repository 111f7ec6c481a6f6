// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * report_page.c - what zbench --report writes: a page that needs nothing else, each picture as a
 * file of its own, and all figures as CSV and JSON. No locks.
 *
 * The page is well-formed XML, too. It has no script, and fetches nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/report.h"

/* Where and of what all was measured: lines under each picture. */
struct facts {
	char machine[320], data[160], when[32];
};

static void cpu_name(char *text, size_t space)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(text, space, "unknown CPU");
	while (file && fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || !colon)
			continue;
		snprintf(text, space, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
		break;
	}
	if (file)
		fclose(file);
}

static void facts_make(const struct report *report, struct facts *facts)
{
	const struct samples *samples = report->samples;
	const double gib = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) /
			   (1024.0 * 1024 * 1024);
	const time_t now = time(NULL);
	struct utsname system = { .release = "" };
	struct tm tm = { .tm_year = 0 };
	char cpu[128];

	cpu_name(cpu, sizeof(cpu));
	(void)uname(&system); /* fails for a bad pointer only */
	snprintf(facts->machine, sizeof(facts->machine),
		 "%ld CPUs (%s), %.1f GiB, Linux %.64s %.16s, ztmpfs %s%s",
		 sysconf(_SC_NPROCESSORS_ONLN), cpu, gib, system.release, system.machine,
		 PACKAGE_VERSION,
#ifdef ZT_DEBUG
		 ", a debug build: its speeds mean little"
#else
		 ""
#endif
	);
	snprintf(facts->data, sizeof(facts->data), "%.1f of %.1f MB in %" PRIu64 " files%s",
		 (double)samples->size / 1e6, (double)samples->found / 1e6, samples->nr_files,
		 samples->size < samples->found ? ", evenly spread (--limit)" : "");
	if (gmtime_r(&now, &tm))
		(void)strftime(facts->when, sizeof(facts->when), "%Y-%m-%d %H:%M UTC", &tm);
}

/* What stands under a picture. */
struct counts {
	size_t points;
	uint64_t units, calls, fallbacks;
	double seconds;
};

static struct counts count(const struct report *report, enum report_picture which)
{
	struct counts counts = { 0 };

	for (size_t i = 0; i < report->nr; i++) {
		const struct report_point *one = &report->points[i];

		if (one->picture != which)
			continue;
		counts.points++;
		counts.units += one->result.units;
		counts.calls += one->result.calls;
		counts.fallbacks += one->result.fallbacks;
		counts.seconds += one->result.seconds;
	}
	return counts;
}

/* The page ---------------------------------------------------------------- */

static void cell(FILE *out, double value)
{
	char text[32];

	chart_number(text, sizeof(text), value);
	fprintf(out, "<td>%s</td>", text);
}

static void table_row(FILE *out, const struct zbench_result *result)
{
	const struct zbench_point *point = &result->point;

	fputs("<tr><td>", out);
	chart_escape(out, result->codec);
	fprintf(out,
		"</td><td>%u</td><td>%s</td><td>%u</td><td>%u</td><td>%u</td><td>%u</td><td>%u</"
		"td>",
		point->cluster / 1024, zbench_mode_name(point->mode), point->engines, point->depth,
		point->latency_us, point->submit_ns, point->batch);
	cell(out, result->bytes_out ? (double)result->bytes_in / (double)result->bytes_out : 0);
	fprintf(out, "<td>%.1f</td>", result->in_mbps);
	if (result->out_mbps > 0)
		fprintf(out, "<td>%.1f</td>", result->out_mbps);
	else
		fputs("<td>-</td>", out);
	cell(out, result->p50_us);
	cell(out, result->p99_us);
	fprintf(out, "<td>%" PRIu64 "</td><td>%" PRIu64 "</td></tr>\n", result->calls,
		result->fallbacks);
}

static void table(FILE *out, const struct report *report, enum report_picture which)
{
	fputs("<details><summary>Figures</summary><div class=\"wide\"><table>\n<tr><th>codec</th>"
	      "<th>KiB</th><th>mode</th><th>engines</th><th>depth</th><th>latency µs</th>"
	      "<th>submit ns</th><th>batch</th><th>ratio</th><th>in MB/s</th><th>out MB/s</th>"
	      "<th>p50 µs</th><th>p99 µs</th><th>calls</th><th>fell back</th></tr>\n",
	      out);
	for (size_t i = 0; i < report->nr; i++)
		if (report->points[i].picture == which)
			table_row(out, &report->points[i].result);
	fputs("</table></div></details>\n", out);
}

static void page_head(FILE *out, const struct facts *facts)
{
	fputs("<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n"
	      "<meta charset=\"utf-8\"/>\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
	      "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
	      "<title>Compression offload, measured</title>\n<style>\n"
	      "body{font:16px/1.5 sans-serif;max-width:1060px;margin:24px auto;padding:0 20px;"
	      "background:#fff;color:#1c1e21}\n"
	      ".charts{display:flex;flex-wrap:wrap;margin:0 -24px}svg{flex:1 1 480px;min-width:0;"
	      "height:auto}\n"
	      "h1{font-size:26px;line-height:1.25;margin:0 0 8px}"
	      "h2{font-size:20px;line-height:1.3;margin:0 0 6px}\n"
	      "section{border-top:1px solid #dcdfe3;padding-top:20px;margin-top:28px}\n"
	      "p{margin:6px 0;max-width:78ch}.count,.facts{color:#5b6067;font-size:14px}\n"
	      ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px}"
	      "th,td{padding:2px 9px;text-align:right;border-bottom:1px solid #dcdfe3;"
	      "white-space:nowrap}th:first-child,td:first-child{text-align:left}"
	      "summary{cursor:pointer;font-size:14px}\n"
	      "@media(prefers-color-scheme:dark){body{background:#15171a;color:#e8eaed}"
	      "section,th,td{border-color:#34383e}.count,.facts{color:#a3a8b0}}\n",
	      out);
	chart_style(out);
	fputs("\n</style>\n</head>\n<body>\n<h1>Compression offload, measured</h1>\n"
	      "<p>What a compressing filesystem or block device gains when its codec manages "
	      "streams of its own, and keeps many requests in a device's queue: measured on this "
	      "machine, with these data. The device is simulated. Its engines are threads on the "
	      "same CPUs, so the pictures show overlap, depth and cost, and no gain that only "
	      "silicon has.</p>\n<p class=\"facts\">Machine: ",
	      out);
	chart_escape(out, facts->machine);
	fputs("<br/>Data: ", out);
	chart_escape(out, facts->data);
	fprintf(out,
		"<br/>Measured: %s. <a href=\"report.csv\">CSV</a>, "
		"<a href=\"report.json\">JSON</a></p>\n",
		facts->when);
}

static void section(FILE *out, const struct report *report, const struct facts *facts,
		    enum report_picture which, const struct picture *picture)
{
	const struct report_text *text = report_text_of(which);
	const struct counts counts = count(report, which);

	fprintf(out, "<section id=\"%s\">\n<h2>", text->file);
	chart_escape(out, text->title);
	fputs("</h2>\n<p>", out);
	chart_escape(out, text->what);
	fputs("</p>\n", out);
	/* One by one: beside each other where there is space, readable where there is little. */
	fputs("<div class=\"charts\">\n", out);
	for (size_t i = 0; i < picture->nr; i++) {
		const struct picture one = { .charts = &picture->charts[i], .nr = 1 };

		chart_svg(out, &one, false);
	}
	fputs("</div>\n", out);
	fprintf(out,
		"<p class=\"count\">%zu points; %" PRIu64 " units verified, %" PRIu64
		" compressed in %.1f s, %" PRIu64 " of them by the caller because the device had "
		"no space. ",
		counts.points, counts.units, counts.calls, counts.seconds, counts.fallbacks);
	fputs("Data: ", out);
	chart_escape(out, facts->data);
	fputs(which == REPORT_CODECS ? ", all of it. " : "; a few hundred units of it. ", out);
	fputs("Machine: ", out);
	chart_escape(out, facts->machine);
	fprintf(out, ". Picture: <a href=\"%s.svg\">%s.svg</a></p>\n", text->file, text->file);
	table(out, report, which);
	fputs("</section>\n", out);
}

/* CSV, JSON --------------------------------------------------------------- */

static void write_csv(FILE *out, const struct report *report)
{
	fputs("picture,", out);
	zbench_print_csv_head(out);
	for (size_t i = 0; i < report->nr; i++) {
		fprintf(out, "%s,", report_text_of(report->points[i].picture)->file);
		zbench_print_csv_line(out, &report->points[i].result);
	}
}

static void write_json(FILE *out, const struct report *report, const struct facts *facts)
{
	fputs("{\n  \"machine\": ", out);
	ctl_print_json_text(out, facts->machine);
	fputs(",\n  \"data\": ", out);
	ctl_print_json_text(out, facts->data);
	fprintf(out, ",\n  \"when\": \"%s\",\n  \"pictures\": [", facts->when);
	for (unsigned which = 0; which < NR_REPORT_PICTURES; which++) {
		const struct report_text *text = report_text_of((enum report_picture)which);
		bool first = true;

		fprintf(out, "%s\n  { \"name\": \"%s\", \"title\": ", which ? "," : "", text->file);
		ctl_print_json_text(out, text->title);
		fputs(", \"points\": [", out);
		for (size_t i = 0; i < report->nr; i++) {
			if (report->points[i].picture != (enum report_picture)which)
				continue;
			fputs(first ? "\n" : ",\n", out);
			first = false;
			zbench_print_json_point(out, &report->points[i].result);
		}
		fputs("\n  ] }", out);
	}
	fputs("\n  ]\n}\n", out);
}

/* Files ------------------------------------------------------------------- */

static char path[PATH_MAX]; /* the file at hand; the command does one report */

static FILE *open_file(const char *dir, const char *name, const char *end)
{
	snprintf(path, sizeof(path), "%s/%s%s", dir, name, end);
	return fopen(path, "we");
}

static int close_file(FILE *file)
{
	int error = ferror(file) ? -EIO : 0;

	if (fclose(file) != 0 && !error)
		error = -errno;
	return error;
}

static int write_picture(const char *dir, const char *name, const struct picture *picture)
{
	FILE *file = open_file(dir, name, ".svg");

	if (!file)
		return -errno;
	chart_svg(file, picture, true);
	return close_file(file);
}

static int write_page(const struct report *report, const struct facts *facts, const char *dir)
{
	FILE *page = open_file(dir, "index", ".html");
	int error = page ? 0 : -errno, closed;

	if (!page)
		return error;
	page_head(page, facts);
	for (unsigned which = 0; which < NR_REPORT_PICTURES && !error; which++) {
		struct picture picture;

		error = report_draw(report, (enum report_picture)which, &picture);
		if (error)
			break;
		section(page, report, facts, (enum report_picture)which, &picture);
		snprintf(picture.title, sizeof(picture.title), "%s",
			 report_text_of((enum report_picture)which)->title);
		error = write_picture(dir, report_text_of((enum report_picture)which)->file,
				      &picture);
		picture_free(&picture);
	}
	fputs("</body>\n</html>\n", page);
	if (!error)
		(void)snprintf(path, sizeof(path), "%s/index.html", dir);
	closed = close_file(page);
	return error ? error : closed;
}

int report_write(const struct report *report, const char *dir, const char **out_path)
{
	struct facts facts = { .when = "" };
	FILE *file;
	int error;

	*out_path = dir;
	if (mkdir(dir, 0777) != 0 && errno != EEXIST)
		return -errno;
	*out_path = path;
	facts_make(report, &facts);
	error = write_page(report, &facts, dir);
	if (error)
		return error;
	file = open_file(dir, "report", ".csv");
	if (!file)
		return -errno;
	write_csv(file, report);
	error = close_file(file);
	if (error)
		return error;
	file = open_file(dir, "report", ".json");
	if (!file)
		return -errno;
	write_json(file, report, &facts);
	return close_file(file);
}
