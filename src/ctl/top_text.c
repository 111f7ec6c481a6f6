// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * top_text.c - what ztmpfsctl top shows, as lines of a width.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <wchar.h>

#include "ctl/ctl.h"
#include "ctl/top.h"
#include "util/clock.h"
#include "util/sizes.h"

/* Bytes of a line: a character takes some, and a terminal has a few hundred columns. */
#define LINE_BYTES 2048u
#define CELL_BYTES 16u
/* The least that is left for the mount point. */
#define PATH_COLUMNS 12u
/* From here on a mount is nearly full, and full. */
#define NEAR_PCT 90.0
#define FULL_PCT 99.0

struct line {
	char text[LINE_BYTES];
	size_t len;
};

static void ZT_PRINTF(2, 3) put(struct line *line, const char *format, ...)
{
	const size_t space = sizeof(line->text) - line->len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line->text + line->len, space, format, args);
	va_end(args);
	if (len > 0)
		line->len += (size_t)len < space ? (size_t)len : space - 1;
}

/*
 * As much of @text as has @width columns, and nothing that would move a terminal's cursor.
 * Return: columns.
 */
static size_t put_columns(struct line *line, const char *text, size_t width)
{
	mbstate_t state = { 0 };
	size_t used = 0;

	while (*text != '\0' && line->len + MB_LEN_MAX < sizeof(line->text)) {
		wchar_t wide;
		size_t bytes = mbrtowc(&wide, text, strlen(text), &state);
		int columns = -1;

		if (bytes != (size_t)-1 && bytes != (size_t)-2)
			columns = wcwidth(wide);
		else
			bytes = 1;
		if (columns < 0)
			memset(&state, 0, sizeof(state));
		if (used + (size_t)(columns < 0 ? 1 : columns) > width)
			break;
		if (columns < 0)
			line->text[line->len++] = '?';
		else
			memcpy(line->text + line->len, text, bytes);
		line->len += columns < 0 ? 0 : bytes;
		used += (size_t)(columns < 0 ? 1 : columns);
		text += bytes;
	}
	line->text[line->len] = '\0';
	return used;
}

/* Numbers ----------------------------------------------------------------- */

/* How much a counter grew each second; negative: not known yet. */
static double rate(const struct top_mount *mount, size_t member)
{
	uint64_t now, before;

	if (!mount->before_ns || mount->now_ns <= mount->before_ns)
		return -1;
	memcpy(&now, (const char *)&mount->now + member, sizeof(now));
	memcpy(&before, (const char *)&mount->before + member, sizeof(before));
	/* Mounted anew. */
	if (now < before)
		return -1;
	return (double)(now - before) * (double)ZT_NS_PER_S /
	       (double)(mount->now_ns - mount->before_ns);
}

#define RATE(mount, name) rate(mount, offsetof(struct ztmpfs_stat, name))

/* "1234", "56k", "7M"; "-" is not known. */
static const char *count_text(double number, char out[CELL_BYTES])
{
	if (number < 0)
		strcpy(out, "-");
	else if (number < 9.95 && number > 0)
		snprintf(out, CELL_BYTES, "%.1f", number);
	else if (number < 99999.5)
		snprintf(out, CELL_BYTES, "%.0f", number);
	else if (number < 9999999.5)
		snprintf(out, CELL_BYTES, "%.0fk", number / 1e3);
	else
		snprintf(out, CELL_BYTES, "%.0fM", number / 1e6);
	return out;
}

static const char *bytes_text(double number, char out[CELL_BYTES])
{
	char text[CTL_HUMAN];

	snprintf(out, CELL_BYTES, "%s", number < 0 ? "-" : ctl_human((uint64_t)number, text));
	return out;
}

static double sum_of_fallbacks(const struct top_mount *mount)
{
	static const size_t members[] = {
		offsetof(struct ztmpfs_stat, fallback_no_stream),
		offsetof(struct ztmpfs_stat, fallback_bad_stream),
		offsetof(struct ztmpfs_stat, fallback_busy),
		offsetof(struct ztmpfs_stat, fallback_inflight),
		offsetof(struct ztmpfs_stat, fallback_error),
		offsetof(struct ztmpfs_stat, fallback_timeout),
		offsetof(struct ztmpfs_stat, fallback_reset),
		offsetof(struct ztmpfs_stat, fallback_dead),
		offsetof(struct ztmpfs_stat, fallback_shutdown),
	};
	double sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const double one = rate(mount, members[i]);

		if (one < 0)
			return -1;
		sum += one;
	}
	return sum;
}

/* Of the nearest of its limits; negative: it has none. */
static double used_pct(const struct ztmpfs_stat *stat)
{
	double most = -1;

	if (stat->size_limit)
		most = 100.0 * (double)stat->orig_data_size / (double)stat->size_limit;
	if (stat->mem_limit && 100.0 * (double)stat->mem_counted / (double)stat->mem_limit > most)
		most = 100.0 * (double)stat->mem_counted / (double)stat->mem_limit;
	return most;
}

/* The table --------------------------------------------------------------- */

enum cell {
	CELL_REQUESTS,
	CELL_READ,
	CELL_WRITTEN,
	CELL_DATA,
	CELL_MEM,
	CELL_RATIO,
	CELL_USED,
	CELL_STREAMS,
	CELL_FALLBACKS,
	CELL_SAVED,
	NR_CELLS
};

static const struct {
	const char *name;
	size_t columns; /* with the blank before */
	unsigned order; /* the largest go first where there is no space */
} cells[NR_CELLS] = {
	[CELL_REQUESTS] = { "REQ/S", 7, 0 },  [CELL_READ] = { "READ/S", 7, 2 },
	[CELL_WRITTEN] = { "WRITE/S", 8, 3 }, [CELL_DATA] = { "DATA", 6, 5 },
	[CELL_MEM] = { "MEM", 6, 4 },         [CELL_RATIO] = { "RATIO", 6, 1 },
	[CELL_USED] = { "USE%", 5, 6 },       [CELL_STREAMS] = { "STRMS", 6, 9 },
	[CELL_FALLBACKS] = { "FALLB", 6, 8 }, [CELL_SAVED] = { "RECOMP", 7, 7 },
};

/* Which of them fit beside a mount point. */
static void choose(size_t width, bool out_shown[NR_CELLS])
{
	size_t used = PATH_COLUMNS;

	memset(out_shown, 0, NR_CELLS);
	for (unsigned order = 0; order < NR_CELLS; order++)
		for (size_t i = 0; i < NR_CELLS; i++)
			if (cells[i].order == order) {
				if (used + cells[i].columns > width)
					return;
				used += cells[i].columns;
				out_shown[i] = true;
			}
}

static size_t path_columns(size_t width, const bool shown[NR_CELLS])
{
	for (size_t i = 0; i < NR_CELLS; i++)
		width -= shown[i] ? cells[i].columns : 0;
	return width;
}

static void cell_text(const struct top_mount *mount, enum cell cell, char out[CELL_BYTES])
{
	const struct ztmpfs_stat *now = &mount->now;
	const double used = used_pct(now);

	switch (cell) {
	case CELL_REQUESTS:
		count_text(RATE(mount, requests), out);
		break;
	case CELL_READ:
		bytes_text(RATE(mount, bytes_read), out);
		break;
	case CELL_WRITTEN:
		bytes_text(RATE(mount, bytes_written), out);
		break;
	case CELL_DATA:
		bytes_text((double)now->orig_data_size, out);
		break;
	case CELL_MEM:
		bytes_text((double)now->mem_used_total, out);
		break;
	case CELL_RATIO:
		snprintf(out, CELL_BYTES, "%.2f", ctl_ratio(now));
		break;
	case CELL_USED:
		snprintf(out, CELL_BYTES, used < 0 ? "-" : "%.0f", used);
		break;
	case CELL_STREAMS:
		snprintf(out, CELL_BYTES, "%" PRIu64 "%s", now->streams, now->managed ? "+m" : "");
		break;
	case CELL_FALLBACKS:
		count_text(sum_of_fallbacks(mount), out);
		break;
	case CELL_SAVED:
		bytes_text(RATE(mount, recompress_saved), out);
		break;
	case NR_CELLS:
		break;
	}
}

static void draw_heading(struct top_sink *sink, const bool shown[NR_CELLS])
{
	struct line line = { .len = 0 };

	put(&line, "%-*s", (int)path_columns(sink->width, shown), "MOUNTPOINT");
	for (size_t i = 0; i < NR_CELLS; i++)
		if (shown[i])
			put(&line, "%*s", (int)cells[i].columns, cells[i].name);
	sink->line(sink, TOP_HEADING, line.text);
}

static void draw_mount(struct top_sink *sink, const struct top_mount *mount,
		       const bool shown[NR_CELLS])
{
	const size_t columns = path_columns(sink->width, shown);
	const double used = used_pct(&mount->now);
	struct line line = { .len = 0 };
	size_t path = put_columns(&line, mount->path, columns);
	char text[CELL_BYTES];

	if (mount->error) {
		put(&line, "  ");
		(void)put_columns(&line,
				  mount->error == -ENOTCONN ? "dead"
				  : mount->error == -EPROTO ? "another version"
				  : mount->error == -ENOTTY ? "not a ztmpfs"
							    : strerror(-mount->error),
				  sink->width - path > 2 ? sink->width - path - 2 : 0);
		sink->line(sink, TOP_FULL, line.text);
		return;
	}
	put(&line, "%*s", (int)(columns - path), "");
	for (size_t i = 0; i < NR_CELLS; i++) {
		if (!shown[i])
			continue;
		cell_text(mount, (enum cell)i, text);
		put(&line, "%*s", (int)cells[i].columns,
		    strlen(text) < cells[i].columns ? text : "*");
	}
	sink->line(sink,
		   used >= FULL_PCT   ? TOP_FULL
		   : used >= NEAR_PCT ? TOP_NEAR
				      : TOP_PLAIN,
		   line.text);
}

/* What one mount does ------------------------------------------------------ */

static void ZT_PRINTF(3, 4)
	draw_detail(struct top_sink *sink, const char *name, const char *format, ...)
{
	struct line line = { .len = 0 };
	char text[512];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put(&line, "%-11s", name);
	(void)put_columns(&line, text, sink->width - 11);
	sink->line(sink, TOP_PLAIN, line.text);
}

static void draw_memory(struct top_sink *sink, const struct ztmpfs_stat *now)
{
	char a[CELL_BYTES], b[CELL_BYTES];

	draw_detail(sink, "data", "%s in %s compressed, ratio %.2f",
		    bytes_text((double)now->orig_data_size, a),
		    bytes_text((double)now->compr_data_size, b), ctl_ratio(now));
	if (now->mem_limit)
		draw_detail(sink, "memory", "%s of %s, %.0f %%",
			    bytes_text((double)now->mem_counted, a),
			    bytes_text((double)now->mem_limit, b),
			    100.0 * (double)now->mem_counted / (double)now->mem_limit);
	else
		draw_detail(sink, "memory", "%s, no limit",
			    bytes_text((double)now->mem_used_total, a));
}

static void draw_work(struct top_sink *sink, const struct top_mount *mount)
{
	const struct ztmpfs_stat *now = &mount->now;
	char a[CELL_BYTES], b[CELL_BYTES], c[CELL_BYTES];

	draw_detail(sink, "requests", "%s/s, %s/s read, %s/s written",
		    count_text(RATE(mount, requests), a), bytes_text(RATE(mount, bytes_read), b),
		    bytes_text(RATE(mount, bytes_written), c));
	draw_detail(sink, "compress", "%s, %s/s of %s/s, %" PRIu64 " streams", now->compress,
		    count_text(RATE(mount, compress_calls), a),
		    bytes_text(RATE(mount, compress_in), b), now->streams);
	if (now->managed)
		draw_detail(sink, "managed", "%s/s of %s/s, queue %" PRIu64 ", %" PRIu64 " engines",
			    count_text(RATE(mount, managed_calls), a),
			    bytes_text(RATE(mount, managed_in), b), now->queued_now,
			    now->accel_engines);
	else
		draw_detail(sink, "managed", "%s", *now->degraded ? now->degraded : "off");
	draw_detail(sink, "fallbacks", "%s/s: no stream %s, busy %s, late %s",
		    count_text(sum_of_fallbacks(mount), a),
		    count_text((double)now->fallback_no_stream, b),
		    count_text((double)now->fallback_busy, c),
		    count_text((double)now->fallback_timeout, (char[CELL_BYTES]){ 0 }));
}

static void draw_upkeep(struct top_sink *sink, const struct top_mount *mount)
{
	const struct ztmpfs_stat *now = &mount->now;
	char a[CELL_BYTES], b[CELL_BYTES], c[CELL_BYTES];

	if (*now->recompress)
		draw_detail(sink, "recompress", "%s, %s/s, %s/s saved, %s in all", now->recompress,
			    count_text(RATE(mount, recompressed), a),
			    bytes_text(RATE(mount, recompress_saved), b),
			    bytes_text((double)now->recompress_saved, c));
	else
		draw_detail(sink, "recompress", "off");
	if (now->spill_size)
		draw_detail(sink, "spill", "%s out, %s of %s used, %s/s written, %s/s read",
			    bytes_text((double)now->spill_bytes, a),
			    bytes_text((double)now->spill_used, b),
			    bytes_text((double)now->spill_size, c),
			    count_text(RATE(mount, spill_written), (char[CELL_BYTES]){ 0 }),
			    count_text(RATE(mount, spill_fetched), (char[CELL_BYTES]){ 0 }));
	if (now->swap_reserve)
		draw_detail(sink, "swap", "%s of %s ready, %s waits",
			    bytes_text((double)now->swap_ready, a),
			    bytes_text((double)now->swap_reserve, b),
			    count_text((double)now->swap_waits, c));
}

/* The whole --------------------------------------------------------------- */

/* A line more than what is counted is never drawn: the sink would scroll. */
struct bounded {
	struct top_sink sink;
	struct top_sink *to;
	size_t left;
};

static void bounded_line(struct top_sink *sink, enum top_kind kind, const char *text)
{
	struct bounded *bounded = container_of(sink, struct bounded, sink);

	if (bounded->left == 0)
		return;
	bounded->left--;
	bounded->to->line(bounded->to, kind, text);
}

static void draw_title(struct top_sink *sink, const struct top *top, bool keys)
{
	struct line line = { .len = 0 };
	char text[160];

	snprintf(text, sizeof(text), "ztmpfsctl top: %zu mount%s, every %.1f s%s%s", top->nr,
		 top->nr == 1 ? "" : "s", (double)top->interval_ns / (double)ZT_NS_PER_S,
		 top->paused ? ", paused" : "", keys ? "   q space + -" : "");
	(void)put_columns(&line, text, sink->width);
	sink->line(sink, TOP_PLAIN, line.text);
}

void top_draw(struct top_sink *sink, const struct top *top, bool keys)
{
	struct bounded bounded = { .sink = *sink,
				   .to = sink,
				   .left = sink->height ? sink->height : SIZE_MAX };
	bool shown[NR_CELLS];

	bounded.sink.line = bounded_line;
	choose(sink->width, shown);
	if (keys)
		draw_title(&bounded.sink, top, keys);
	draw_heading(&bounded.sink, shown);
	for (size_t i = 0; i < top->nr; i++)
		draw_mount(&bounded.sink, &top->mounts[i], shown);
	if (top->nr == 0 || top->mounts[0].error || !keys)
		return;
	bounded.sink.line(&bounded.sink, TOP_PLAIN, "");
	draw_detail(&bounded.sink, "mount", "%s", top->mounts[0].path);
	draw_memory(&bounded.sink, &top->mounts[0].now);
	draw_work(&bounded.sink, &top->mounts[0]);
	draw_upkeep(&bounded.sink, &top->mounts[0]);
}
