// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * table.c - what several tables share, and the summary of ztmpfsctl stat.
 */
#include <errno.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "util/sizes.h"

/* Rounded up, as df does: what is nearly full is not shown as less. */
const char *ctl_human(uint64_t bytes, char out_text[CTL_HUMAN])
{
	static const char units[] = "BKMGTPE";
	size_t unit = 0;
	uint64_t scale = 1, whole, tenths;

	while (unit + 2 < sizeof(units) && bytes / scale >= KIB) {
		scale *= KIB;
		unit++;
	}
	whole = bytes / scale;
	tenths = div_round_up_u64(bytes % scale, div_round_up_u64(scale, 10));
	if (tenths == 10) {
		whole++;
		tenths = 0;
	}
	if (whole >= 10 || tenths == 0)
		snprintf(out_text, CTL_HUMAN, "%" PRIu64 "%c", whole + (tenths > 0), units[unit]);
	else
		snprintf(out_text, CTL_HUMAN, "%" PRIu64 ".%" PRIu64 "%c", whole, tenths,
			 units[unit]);
	return out_text;
}

double ctl_ratio(const struct ztmpfs_stat *stat)
{
	const double held = (double)stat->mem_used_total;

	return held > 0 ? (double)stat->orig_data_size / held : 0;
}

/* Names of the summary, and the gap behind them. */
#define NAME_COLUMNS 11u

/* Columns for a value where it is broken; 0: it is not. */
static size_t value_width(const struct libscols_table *table)
{
	const size_t width = scols_table_get_termforce(table) == SCOLS_TERMFORCE_ALWAYS ||
					     isatty(fileno(scols_table_get_stream(table)))
				     ? scols_table_get_termwidth(table)
				     : 0;

	return width > 2 * NAME_COLUMNS ? width - NAME_COLUMNS : 0;
}

char *ctl_break_text(const char *text, size_t width)
{
	char *out = malloc(2 * strlen(text) + 1), *at = out;
	size_t column = 0;

	while (out && *text != '\0') {
		const size_t word = strcspn(text, ", ") + (text[strcspn(text, ", ")] == ',');

		if (column > 0 && column + word > width) {
			*at++ = '\n';
			column = 0;
			continue;
		}
		/* A blank comes along with what is behind it. */
		if (word == 0) {
			const size_t next = 1 + strcspn(text + 1, ", ");

			if (column + next + (text[next] == ',') > width && column > 0) {
				*at++ = '\n';
				column = 0;
			} else {
				*at++ = ' ';
				column++;
			}
			text++;
			continue;
		}
		memcpy(at, text, word);
		at += word;
		text += word;
		column += word;
	}
	if (out)
		*at = '\0';
	return out;
}

/* One line: a name and a text. */
static int ZT_PRINTF(3, 4)
	add(struct libscols_table *table, const char *name, const char *format, ...)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char *text;
	va_list args;
	int error;

	if (!line)
		return -ENOMEM;
	va_start(args, format);
	error = vasprintf(&text, format, args) < 0 ? -ENOMEM : 0;
	va_end(args);
	if (error)
		return error;
	if (value_width(table)) {
		char *broken = ctl_break_text(text, value_width(table));

		free(text); /* vasprintf's */
		if (!broken)
			return -ENOMEM;
		text = broken;
	}
	error = scols_line_set_data(line, 0, name);
	if (!error)
		error = scols_line_refer_data(line, 1, text);
	else
		free(text); /* vasprintf's, malloc's */
	return error;
}

/* "12M of 64M, 19 %", or what is used without a limit. */
static void used_text(char *out, size_t space, uint64_t used, uint64_t limit)
{
	char a[CTL_HUMAN], b[CTL_HUMAN];

	if (limit)
		snprintf(out, space, "%s of %s, %.0f %%", ctl_human(used, a), ctl_human(limit, b),
			 100.0 * (double)used / (double)limit);
	else
		snprintf(out, space, "%s, no limit", ctl_human(used, a));
}

static int add_lines(struct libscols_table *table, const char *path, const struct ztmpfs_info *info,
		     const struct ztmpfs_stat *stat)
{
	char a[CTL_HUMAN], b[CTL_HUMAN], c[CTL_HUMAN], text[96], limit[32] = "no limit";
	int error = add(
		table, "mount", "%s, ztmpfs %s, pid %" PRIu32 "%s", path, info->release, info->pid,
		info->flags & ZTMPFS_INFO_REPLACED ? ", its program has been replaced" : "");

	if (!error)
		error = add(table, "data", "%s in %s compressed, ratio %.2f",
			    ctl_human(stat->orig_data_size, a), ctl_human(stat->compr_data_size, b),
			    ctl_ratio(stat));
	used_text(text, sizeof(text), stat->mem_counted, stat->mem_limit);
	if (!error)
		error = add(table, "memory", "%s held, at most %s; counted %s",
			    ctl_human(stat->mem_used_total, a), ctl_human(stat->mem_used_max, b),
			    text);
	if (!error && stat->spill_size)
		error = add(table, "spill", "%s out; %s used of %s",
			    ctl_human(stat->spill_bytes, a), ctl_human(stat->spill_used, b),
			    ctl_human(stat->spill_size, c));
	if (!error && stat->image_bytes)
		error = add(table, "image", "%s read from the file where they stand",
			    ctl_human(stat->image_bytes, a));
	used_text(text, sizeof(text), stat->orig_data_size, stat->size_limit);
	if (!error)
		error = add(table, "space", "%s", text);
	if (stat->inodes_limit)
		snprintf(limit, sizeof(limit), "of %" PRIu64, stat->inodes_limit);
	if (!error)
		error = add(table, "inodes", "%" PRIu64 " %s", stat->inodes_used, limit);
	if (!error)
		error = add(table, "compress", "%s; %s of one value, %s do not compress%s%s",
			    stat->compress, ctl_human(stat->same_pages << ZT_PAGE_SHIFT, a),
			    ctl_human(stat->huge_pages << ZT_PAGE_SHIFT, b),
			    *stat->degraded ? "; " : "", stat->degraded);
	if (!error)
		error = *stat->recompress
				? add(table, "recompress", "%s; %s saved, and %s by dedup",
				      stat->recompress, ctl_human(stat->recompress_saved, a),
				      ctl_human(stat->dedup_saved, c))
				: add(table, "recompress", "off");
	return error ? error : add(table, "options", "%s", info->options);
}

/* Two columns: names, and texts that are broken where the terminal ends. Return: NULL without memory. */
static struct libscols_table *new_pairs(FILE *out, size_t width)
{
	struct libscols_table *table = scols_new_table();
	struct libscols_column *column = NULL;

	if (table && scols_table_new_column(table, "NAME", 10, 0))
		column = scols_table_new_column(table, "VALUE", 0.9, SCOLS_FL_WRAP);
	if (!column) {
		scols_unref_table(table);
		return NULL;
	}
	(void)scols_column_set_wrapfunc(column, scols_wrapnl_chunksize, scols_wrapnl_nextchunk,
					NULL);
	(void)scols_column_set_safechars(column, "\n");
	(void)scols_table_enable_noheadings(table, 1);
	(void)scols_table_set_stream(table, out);
	if (width) {
		(void)scols_table_set_termwidth(table, width);
		(void)scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
	}
	return table;
}

static int print_pairs(struct libscols_table *table, int error)
{
	if (!error)
		error = scols_print_table(table);
	scols_unref_table(table);
	return error;
}

int ctl_print_summary(FILE *out, const char *path, const struct ztmpfs_info *info,
		      const struct ztmpfs_stat *stat, size_t width)
{
	struct libscols_table *table = new_pairs(out, width);

	return table ? print_pairs(table, add_lines(table, path, info, stat)) : -ENOMEM;
}

int ctl_print_info(FILE *out, const struct ztmpfs_info *info, size_t width)
{
	struct libscols_table *table = new_pairs(out, width);
	int error;

	if (!table)
		return -ENOMEM;
	error = add(table, "release", "%s", info->release);
	if (!error)
		error = add(table, "version", "%" PRIu32, info->version);
	if (!error)
		error = add(table, "pid", "%" PRIu32, info->pid);
	if (!error)
		error = add(table, "program", "%s",
			    info->flags & ZTMPFS_INFO_REPLACED ? "replaced" : "as started");
	if (!error)
		error = add(table, "options", "%s", info->options);
	return print_pairs(table, error);
}
