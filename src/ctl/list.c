// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * list.c - ztmpfsctl list: a line for each mount of this mount namespace.
 *
 * Weakness: a daemon that hangs is waited for, as df(1) does.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/mounts.h"

enum column {
	COL_MOUNTPOINT,
	COL_DATA,
	COL_MEM,
	COL_RATIO,
	COL_LIMIT,
	COL_USE,
	COL_COMPRESS,
	COL_PID,
	COL_VERSION,
	NR_COLUMNS_SHOWN,
	COL_SIZE = NR_COLUMNS_SHOWN,
	COL_MEM_LIMIT,
	COL_INODES,
	COL_RECOMPRESS,
	COL_OUT,
	COL_STATE,
	COL_LIVES,
	COL_KILLS,
	COL_OUTAGE,
	COL_RESENT,
	COL_ANSWERED,
	COL_REPAIRS,
	COL_OPTIONS,
	NR_COLUMNS,
};

static const struct {
	const char *name;
	double width; /* a hint */
	int flags;
	int json;
} columns[NR_COLUMNS] = {
	[COL_MOUNTPOINT] = { "MOUNTPOINT", 0.25, SCOLS_FL_WRAP, SCOLS_JSON_STRING },
	[COL_DATA] = { "DATA", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_MEM] = { "MEM", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_RATIO] = { "RATIO", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_LIMIT] = { "LIMIT", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_USE] = { "USE%", 4, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_COMPRESS] = { "COMPRESS", 8, 0, SCOLS_JSON_STRING },
	[COL_PID] = { "PID", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_VERSION] = { "VERSION", 0.1, SCOLS_FL_WRAP, SCOLS_JSON_STRING },
	[COL_SIZE] = { "SIZE", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_MEM_LIMIT] = { "MEM_LIMIT", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_INODES] = { "INODES", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_RECOMPRESS] = { "RECOMPRESS", 4, 0, SCOLS_JSON_STRING },
	[COL_OUT] = { "OUT", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_STATE] = { "STATE", 0.1, 0, SCOLS_JSON_STRING },
	[COL_LIVES] = { "LIVES", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_KILLS] = { "KILLS", 5, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_OUTAGE] = { "OUTAGE", 6, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_RESENT] = { "RESENT", 6, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_ANSWERED] = { "ANSWERED", 6, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_REPAIRS] = { "REPAIRS", 6, SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER },
	[COL_OPTIONS] = { "OPTIONS", 0.2, SCOLS_FL_WRAP, SCOLS_JSON_STRING },
};
#define COLUMN_NAMES                                                                               \
	"MOUNTPOINT,DATA,MEM,RATIO,LIMIT,USE%,COMPRESS,PID,VERSION,SIZE,MEM_LIMIT,INODES,"         \
	"RECOMPRESS,OUT,STATE,LIVES,KILLS,OUTAGE,RESENT,ANSWERED,REPAIRS,OPTIONS"

struct list {
	struct libscols_table *table;
	enum column shown[NR_COLUMNS];
	size_t nr_shown;
	bool bytes;
	bool chosen; /* the columns were named */
	int error;
};

/* What is known of one mount; a text of "" and a number of UINT64_MAX are unknown. */
struct row {
	const char *path;
	struct ztmpfs_info info;
	struct ztmpfs_stat stat;
	bool has_stat;
	char state[64]; /* "ok", or why something is not known */
};

static uint64_t counter_of(const struct ztmpfs_stat *stat, enum column column)
{
	switch (column) {
	case COL_DATA:
		return stat->orig_data_size;
	case COL_MEM:
		return stat->mem_used_total;
	case COL_SIZE:
		return stat->size_limit;
	case COL_MEM_LIMIT:
		return stat->mem_limit;
	case COL_INODES:
		return stat->inodes_used;
	case COL_OUT:
		return stat->spill_bytes;
	case COL_LIVES:
		return stat->lives;
	case COL_KILLS:
		return stat->kills_survived;
	case COL_OUTAGE:
		return stat->outage_ns;
	case COL_RESENT:
		return stat->requests_resent;
	case COL_ANSWERED:
		return stat->requests_done;
	case COL_REPAIRS:
		return stat->repairs;
	default: /* COL_LIMIT */
		return stat->mem_limit ? stat->mem_limit : stat->size_limit;
	}
}

/* No size. */
static bool is_count(enum column column)
{
	return column == COL_PID || column == COL_INODES ||
	       (column >= COL_LIVES && column <= COL_REPAIRS);
}

static bool number_of(const struct row *row, enum column column, uint64_t *out)
{
	const struct ztmpfs_stat *stat = &row->stat;

	if (column == COL_PID) {
		*out = row->info.pid;
		return row->info.pid != 0;
	}
	if (!row->has_stat)
		return false;
	*out = counter_of(stat, column);
	return true;
}

/* Of the limit that is shown: memory where it is limited, else content. */
static int use_pct(const struct ztmpfs_stat *stat, double *out)
{
	const double limit = (double)(stat->mem_limit ? stat->mem_limit : stat->size_limit);
	const double used = (double)(stat->mem_limit ? stat->mem_counted : stat->orig_data_size);

	*out = limit > 0 ? 100 * used / limit : 0;
	return limit > 0;
}

/* "" where it is not known. */
static void cell(const struct list *list, const struct row *row, enum column column, char *out,
		 size_t space)
{
	char human[CTL_HUMAN];
	uint64_t number;
	double pct;

	*out = '\0';
	if (column == COL_RATIO || column == COL_USE) {
		if (row->has_stat && column == COL_RATIO)
			snprintf(out, space, "%.2f", ctl_ratio(&row->stat));
		else if (row->has_stat && use_pct(&row->stat, &pct))
			snprintf(out, space, "%.0f%s", pct, list->bytes ? "" : "%");
	} else if (columns[column].json == SCOLS_JSON_NUMBER) {
		if (!number_of(row, column, &number))
			return;
		if (column == COL_OUTAGE && !list->bytes)
			snprintf(out, space, "%.1fms", (double)number / 1e6);
		else if (list->bytes || is_count(column))
			snprintf(out, space, "%" PRIu64, number);
		else if (number > 0 || column == COL_DATA)
			snprintf(out, space, "%s", ctl_human(number, human));
		else
			snprintf(out, space, "none");
	} else if (column == COL_VERSION) {
		snprintf(out, space, "%s%s%s", row->info.release,
			 *row->info.release && strcmp(row->state, "ok") != 0 ? ", " : "",
			 strcmp(row->state, "ok") != 0 ? row->state : "");
	} else {
		snprintf(out, space, "%s",
			 column == COL_MOUNTPOINT          ? row->path
			 : column == COL_STATE             ? row->state
			 : column == COL_OPTIONS           ? row->info.options
			 : !row->has_stat                  ? ""
			 : column == COL_COMPRESS          ? row->stat.compress
			 : row->stat.recompress[0] == '\0' ? "off"
							   : row->stat.recompress);
	}
}

static void add_row(struct list *list, const struct row *row)
{
	struct libscols_line *line = scols_table_new_line(list->table, NULL);
	char text[4096];

	for (size_t i = 0; line && i < list->nr_shown; i++) {
		cell(list, row, list->shown[i], text, sizeof(text));
		if (*text != '\0' && scols_line_set_data(line, i, text) != 0)
			line = NULL;
	}
	if (!line)
		list->error = -ENOMEM;
}

/* The user whose mount it is, of the options that the kernel shows. */
static unsigned mounter(const char *options)
{
	const char *at = strstr(options, "user_id=");

	return at ? (unsigned)strtoul(at + strlen("user_id="), NULL, 10) : 0;
}

static void ask(struct row *row, const char *super_options)
{
	int error = ctl_get_info(row->path, &row->info);

	strcpy(row->state, row->info.flags & ZTMPFS_INFO_REPLACED ? "replaced" : "ok");
	if (!error)
		error = ctl_get_stat(row->path, &row->stat);
	row->has_stat = !error;
	if (error == -EACCES || error == -EPERM)
		snprintf(row->state, sizeof(row->state),
			 *row->info.release ? "counters of uid %u" : "private to uid %u",
			 mounter(super_options));
	else if (error == -ENOTCONN)
		strcpy(row->state, "dead");
	else if (error == -EPROTO)
		strcpy(row->state, "another version");
	else if (error == -ENOTTY)
		strcpy(row->state, *row->info.release ? "another version" : "hidden or old");
	else if (error)
		snprintf(row->state, sizeof(row->state), "%s", strerror(-error));
}

static void look(void *arg, const struct mountinfo *mount)
{
	struct list *list = arg;
	struct row row = { .path = mount->path };

	if (list->error)
		return;
	ask(&row, mount->super_options);
	add_row(list, &row);
}

/* Words between commas, in any case; behind a "+" besides those of the default. */
static int parse_columns(struct list *list, char *text)
{
	char *word;

	list->chosen = true;
	if (*text != '+')
		list->nr_shown = 0;
	else
		text++;
	while ((word = strsep(&text, ",")) != NULL) {
		size_t column = 0;

		while (column < NR_COLUMNS && strcasecmp(word, columns[column].name) != 0)
			column++;
		if (column == NR_COLUMNS || list->nr_shown == NR_COLUMNS) {
			fprintf(stderr, "ztmpfsctl: --output %s: allowed: %s\n", word,
				COLUMN_NAMES);
			return -EINVAL;
		}
		list->shown[list->nr_shown++] = (enum column)column;
	}
	return 0;
}

static int add_columns(struct list *list)
{
	for (size_t i = 0; i < list->nr_shown; i++) {
		const enum column column = list->shown[i];
		struct libscols_column *made =
			scols_table_new_column(list->table, columns[column].name,
					       columns[column].width, columns[column].flags);

		if (!made || scols_column_set_json_type(made, columns[column].json) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int parse(int argc, char *argv[], struct list *list)
{
	int error = 0, letter = ctl_switch(&ctl_list, argc, argv, true);

	for (size_t i = 0; i < NR_COLUMNS_SHOWN; i++)
		list->shown[list->nr_shown++] = (enum column)i;
	for (; !error && letter != CTL_SWITCH_END;
	     letter = ctl_switch(&ctl_list, argc, argv, false)) {
		if (letter == 'o')
			error = parse_columns(list, optarg);
		else if (letter == 'J')
			error = scols_table_enable_json(list->table, 1);
		else if (letter == 'n')
			error = scols_table_enable_noheadings(list->table, 1);
		else if (letter == 'r')
			error = scols_table_enable_raw(list->table, 1);
		list->bytes |= letter == 'b' || letter == 'J';
	}
	if (!error && scols_table_is_json(list->table) && scols_table_is_raw(list->table))
		error = -EINVAL;
	return error ? error : argc - optind;
}

/*
 * What a narrow terminal has no space for, beside a mount point of some length; --output names it.
 * A pipe gets all.
 */
static void leave_out(struct list *list)
{
	static const struct {
		enum column column;
		size_t below; /* columns of the terminal */
	} narrow[] = {
		{ COL_VERSION, 72 }, { COL_PID, 72 }, { COL_COMPRESS, 56 }, { COL_LIMIT, 48 },
	};
	const size_t width = scols_table_get_termwidth(list->table);
	size_t kept = 0;

	if (list->chosen || !isatty(STDOUT_FILENO) || scols_table_is_json(list->table))
		return;
	for (size_t i = 0; i < list->nr_shown; i++) {
		bool fits = true;

		for (size_t j = 0; j < ARRAY_SIZE(narrow); j++)
			fits = fits &&
			       !(narrow[j].column == list->shown[i] && width < narrow[j].below);
		if (fits)
			list->shown[kept++] = list->shown[i];
	}
	list->nr_shown = kept;
}

static int print(struct list *list)
{
	int error;

	leave_out(list);
	error = scols_table_set_name(list->table, "mounts");

	if (!error)
		error = add_columns(list);
	if (!error)
		error = ctl_each_mount(look, list);
	if (!error)
		error = list->error;
	/* Without a mount there are no lines, but JSON is whole. */
	if (!error)
		error = scols_print_table(list->table);
	return error;
}

static int run(int argc, char *argv[])
{
	struct list list = { .table = NULL };
	int error;

	scols_init_debug(0);
	list.table = scols_new_table();
	if (!list.table)
		return ctl_fail("list", -ENOMEM);
	error = parse(argc, argv, &list);
	if (error) {
		scols_unref_table(list.table);
		return error > 0 ? ctl_usage(&ctl_list) : CTL_EXIT_USAGE;
	}
	error = print(&list);
	scols_unref_table(list.table);
	return error ? ctl_fail("list", error) : ctl_end(0);
}

static const struct ctl_switch switches[] = {
	{ .letter = 'b',
	  .brief = true,
	  .name = "bytes",
	  .help = "sizes in bytes, and plain percentages" },
	{ .letter = 'J', .brief = true, .name = "json", .help = "one JSON object, in bytes" },
	{ .letter = 'n', .brief = true, .name = "noheadings", .help = "no first line" },
	{ .letter = 'o',
	  .brief = true,
	  .name = "output",
	  .arg = "[+]COLUMN,...",
	  .words =
		  "MOUNTPOINT DATA MEM RATIO LIMIT USE% COMPRESS PID VERSION SIZE MEM_LIMIT INODES "
		  "RECOMPRESS STATE LIVES KILLS OUTAGE RESENT ANSWERED REPAIRS OPTIONS",
	  .help = "these columns, or with + these besides" },
	{ .letter = 'r', .brief = true, .name = "raw", .help = "one blank between columns" },
	{ 0 },
};

const struct ctl_command ctl_list = {
	.name = "list",
	.operands = "",
	.help = "Print a line for each mount.",
	.switches = switches,
	.run = run,
};
