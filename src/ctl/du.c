// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * du.c - ztmpfsctl du: what files hold, and what that costs, one by one and for trees.
 *
 * Stays on one mount; an inode with several names is counted once. Lines are printed some thousand at
 * a time, so that a tree of any size needs no memory; each lot has columns as wide as it needs.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/walk.h"

#define LINES_AT_ONCE 4096u
#define CELL_BYTES    512u

/* On a terminal the shares of algorithms go on in the next line. */
#define CODECS_COLUMNS 20u

enum column {
	COL_SIZE,
	COL_ALLOC,
	COL_STORED,
	COL_MEM,
	COL_RATIO,
	COL_CODECS,
	COL_PATH,
	NR_COLUMNS,
};

static const struct {
	const char *name;
	double width; /* a hint */
	int flags;
} columns[NR_COLUMNS] = {
	[COL_SIZE] = { "SIZE", 5, SCOLS_FL_RIGHT },
	[COL_ALLOC] = { "ALLOC", 5, SCOLS_FL_RIGHT },
	[COL_STORED] = { "STORED", 6, SCOLS_FL_RIGHT },
	[COL_MEM] = { "MEM", 5, SCOLS_FL_RIGHT },
	[COL_RATIO] = { "RATIO", 5, SCOLS_FL_RIGHT },
	[COL_CODECS] = { "CODECS", 6, SCOLS_FL_WRAP },
	[COL_PATH] = { "PATH", 0.2, SCOLS_FL_WRAP },
};

/* What files hold and cost together. */
struct usage {
	uint64_t nr_inodes;
	uint64_t size, allocated, stored, memory, out; /* bytes, as in struct ztmpfs_file_stat */
	struct ztmpfs_file_codec codecs[ZTMPFS_FILE_CODECS];
};

struct du {
	struct ctl_walk walk; /* first */
	struct usage sum;
	bool each; /* each file, too */
	bool codecs; /* each codec, too */
	bool json;
	bool bytes; /* no sizes for people */
	bool begun; /* one object has been printed */
	int failed; /* exit status so far */
	struct libscols_table *table; /* NULL with json */
	struct libscols_column *columns[NR_COLUMNS]; /* NULL: not shown */
};

/* One line of the table; a text of "" is shown as "-". */
struct cells {
	char text[COL_PATH][CELL_BYTES];
	const char *path;
};

static void usage_add(struct usage *sum, const struct ztmpfs_file_stat *stat)
{
	sum->nr_inodes++;
	sum->size += stat->size;
	sum->allocated += stat->allocated;
	sum->stored += stat->stored;
	sum->memory += stat->memory;
	sum->out += stat->out;
	for (size_t i = 0; i < ZTMPFS_FILE_CODECS; i++) {
		const struct ztmpfs_file_codec *codec = &stat->codecs[i];
		size_t at = 0;

		if (codec->pages == 0 && codec->stored == 0)
			continue;
		while (at + 1 < ARRAY_SIZE(sum->codecs) && sum->codecs[at].name[0] != '\0' &&
		       strncmp(sum->codecs[at].name, codec->name, sizeof(codec->name)) != 0)
			at++;
		memcpy(sum->codecs[at].name, codec->name, sizeof(codec->name));
		sum->codecs[at].name[sizeof(codec->name) - 1] = '\0';
		sum->codecs[at].pages += codec->pages;
		sum->codecs[at].stored += codec->stored;
	}
}

static double ratio(uint64_t plain, uint64_t held)
{
	return held ? (double)plain / (double)held : 0;
}

/* ---- the table ---- */

static void put_size(const struct du *du, char *cell, uint64_t bytes)
{
	if (du->bytes)
		(void)snprintf(cell, CELL_BYTES, "%" PRIu64, bytes);
	else
		(void)ctl_human(bytes, cell);
}

static void put_ratio(const struct du *du, char *cell, double value)
{
	(void)snprintf(cell, CELL_BYTES, du->bytes ? "%.3f" : "%.2f", value);
}

/* "lz4:90%,none:10%,out:5%", as much of it as there is space for. */
static void put_codecs(const struct usage *sum, char *cell)
{
	size_t len = 0;

	for (size_t i = 0;
	     i < ARRAY_SIZE(sum->codecs) && sum->codecs[i].name[0] != '\0' && len < CELL_BYTES; i++)
		len += (size_t)snprintf(cell + len, CELL_BYTES - len, "%s%s:%.0f%%", i ? "," : "",
					sum->codecs[i].name,
					sum->allocated ? 409600.0 * (double)sum->codecs[i].pages /
								 (double)sum->allocated
						       : 0.0);
	if (sum->out > 0 && len < CELL_BYTES)
		(void)snprintf(cell + len, CELL_BYTES - len, "%sout:%.0f%%", len ? "," : "-,",
			       100.0 * (double)sum->out / (double)(sum->out + sum->stored));
}

/* One word fewer to be read where there is no space: the lines below say all of it. */
static bool is_summed_up(const struct du *du)
{
	return du->codecs && !du->columns[COL_MEM];
}

static int print_lot(struct du *du)
{
	int error = scols_print_table(du->table);

	scols_table_remove_lines(du->table);
	/* The next one goes on below. */
	return error ? error : scols_table_enable_noheadings(du->table, 1);
}

static int set_cell(struct libscols_line *line, struct libscols_column *column, const char *text)
{
	char *broken;
	int error;

	if (!scols_column_is_customwrap(column))
		return scols_line_set_column_data(line, column, text);
	broken = ctl_break_text(text, CODECS_COLUMNS);
	error = broken ? scols_line_set_column_data(line, column, broken) : -ENOMEM;
	free(broken); /* malloc's */
	return error;
}

static int add_line(struct du *du, const struct cells *cells)
{
	struct libscols_line *line;
	int error = 0;

	if (scols_table_get_nlines(du->table) >= LINES_AT_ONCE)
		error = print_lot(du);
	line = error ? NULL : scols_table_new_line(du->table, NULL);
	if (!line)
		return error ? error : -ENOMEM;
	for (size_t i = 0; !error && i < NR_COLUMNS; i++) {
		const char *text = i == COL_PATH ? cells->path : cells->text[i];

		if (du->columns[i])
			error = set_cell(line, du->columns[i], *text ? text : "-");
	}
	return error;
}

static int add_usage(struct du *du, const struct usage *sum, const char *path)
{
	struct cells cells = { .path = path };

	put_size(du, cells.text[COL_SIZE], sum->size);
	put_size(du, cells.text[COL_ALLOC], sum->allocated);
	put_size(du, cells.text[COL_STORED], sum->stored);
	put_size(du, cells.text[COL_MEM], sum->memory);
	put_ratio(du, cells.text[COL_RATIO], ratio(sum->allocated, sum->memory));
	if (is_summed_up(du) && sum == &du->sum)
		strcpy(cells.text[COL_CODECS], "all");
	else
		put_codecs(sum, cells.text[COL_CODECS]);
	return add_line(du, &cells);
}

static int add_codecs(struct du *du, const struct usage *sum, const char *path)
{
	int error = 0;

	for (size_t i = 0; !error && i < ARRAY_SIZE(sum->codecs); i++) {
		const struct ztmpfs_file_codec *codec = &sum->codecs[i];
		struct cells cells = { .path = path };

		if (codec->name[0] == '\0')
			break;
		put_size(du, cells.text[COL_ALLOC], codec->pages * 4096);
		put_size(du, cells.text[COL_STORED], codec->stored);
		put_ratio(du, cells.text[COL_RATIO], ratio(codec->pages * 4096, codec->stored));
		(void)snprintf(cells.text[COL_CODECS], CELL_BYTES, "%s", codec->name);
		error = add_line(du, &cells);
	}
	return error;
}

/*
 * Whether a terminal has space for it, beside a path of some length. What tells of algorithms is not
 * left out where they were asked for. A pipe gets all.
 */
static bool fits(const struct du *du, enum column column)
{
	static const size_t all[NR_COLUMNS] = {
		[COL_ALLOC] = 48, [COL_STORED] = 56, [COL_CODECS] = 72
	};
	static const size_t codecs[NR_COLUMNS] = {
		[COL_SIZE] = 56, [COL_MEM] = 64, [COL_ALLOC] = 48
	};

	return !isatty(STDOUT_FILENO) ||
	       scols_table_get_termwidth(du->table) >= (du->codecs ? codecs : all)[column];
}

static void break_at_commas(struct libscols_column *column)
{
	(void)scols_column_set_wrapfunc(column, scols_wrapnl_chunksize, scols_wrapnl_nextchunk,
					NULL);
	(void)scols_column_set_safechars(column, "\n");
}

static int begin_table(struct du *du)
{
	scols_init_debug(0);
	du->table = scols_new_table();
	for (size_t i = 0; du->table && i < NR_COLUMNS; i++) {
		if (!fits(du, i))
			continue;
		du->columns[i] = scols_table_new_column(du->table, columns[i].name,
							columns[i].width, columns[i].flags);
		if (i == COL_CODECS && du->columns[i] && isatty(STDOUT_FILENO))
			break_at_commas(du->columns[i]);
		if (!du->columns[i]) {
			scols_unref_table(du->table);
			du->table = NULL;
		}
	}
	return du->table ? 0 : -ENOMEM;
}

/* ---- JSON ---- */

static void print_json(const struct usage *sum, const char *path)
{
	fputs("{\"path\": ", stdout);
	ctl_print_json_text(stdout, path);
	printf(", \"inodes\": %" PRIu64 ", \"size\": %" PRIu64 ", \"allocated\": %" PRIu64
	       ", \"stored\": %" PRIu64 ", \"memory\": %" PRIu64 ", \"out\": %" PRIu64
	       ", \"ratio\": %.4f, \"codecs\": {",
	       sum->nr_inodes, sum->size, sum->allocated, sum->stored, sum->memory, sum->out,
	       ratio(sum->allocated, sum->memory));
	for (size_t i = 0; i < ARRAY_SIZE(sum->codecs) && sum->codecs[i].name[0] != '\0'; i++) {
		fputs(i ? ", " : "", stdout);
		ctl_print_json_text(stdout, sum->codecs[i].name);
		printf(": {\"allocated\": %" PRIu64 ", \"stored\": %" PRIu64 "}",
		       sum->codecs[i].pages * 4096, sum->codecs[i].stored);
	}
	fputs("}}", stdout);
}

/* ---- the walk ---- */

static void print(struct du *du, const struct usage *usage, const char *path)
{
	int error;

	if (du->json) {
		fputs(du->begun ? ",\n  " : "\n  ", stdout);
		print_json(usage, path);
		du->begun = true;
		return;
	}
	error = add_usage(du, usage, path);
	if (!error && du->codecs && usage == &du->sum)
		error = add_codecs(du, usage, path);
	if (error) {
		du->failed = ctl_fail(path, error);
		du->walk.stop = true;
	}
}

/* Below what is no ztmpfs there is nothing to be asked: said once. */
static void failed(struct ctl_walk *walk, const char *path, int error)
{
	struct du *du = (struct du *)walk;

	du->failed = ctl_fail(path, error);
	walk->stop |= error == -ENOTTY || error == -EPROTO;
}

static void count_inode(struct ctl_walk *walk, int fd, const struct stat *st, const char *path)
{
	struct du *du = (struct du *)walk;
	struct ztmpfs_file_stat stat = { 0 };

	if (ioctl(fd, ZTMPFS_IOC_FILE_STAT, &stat) != 0) {
		failed(walk, path, -errno);
		return;
	}
	usage_add(&du->sum, &stat);
	if (du->each && S_ISREG(st->st_mode)) {
		struct usage one = { 0 };

		usage_add(&one, &stat);
		print(du, &one, path);
	}
}

static void print_tree(struct du *du, const char *path)
{
	du->walk = (struct ctl_walk){ .each = count_inode, .failed = failed };
	memset(&du->sum, 0, sizeof(du->sum));
	ctl_walk(&du->walk, path);
	if (du->sum.nr_inodes > 0)
		print(du, &du->sum, path);
}

static int begin(struct du *du)
{
	if (!du->json)
		return begin_table(du);
	fputs("{\"usage\": [", stdout);
	return 0;
}

static int end(struct du *du)
{
	int error;

	if (du->json) {
		fputs("\n]}\n", stdout);
		return 0;
	}
	error = print_lot(du);
	scols_unref_table(du->table);
	return error;
}

static int run(int argc, char *argv[])
{
	struct du du = { .failed = 0 };
	int letter = ctl_switch(&ctl_du, argc, argv, true), first, error;

	for (; letter != CTL_SWITCH_END; letter = ctl_switch(&ctl_du, argc, argv, false)) {
		du.bytes |= letter == 'b';
		du.each |= letter == 'f';
		du.codecs |= letter == 'c';
		du.json |= letter == 'J';
	}
	first = optind;
	error = begin(&du);
	if (error)
		return ctl_fail("du", error);
	for (int i = first; i < argc || i == first; i++)
		print_tree(&du, i < argc ? argv[i] : ".");
	error = end(&du);
	return error ? ctl_fail("du", error) : ctl_end(du.failed);
}

static const struct ctl_switch switches[] = {
	{ .letter = 'b', .brief = true, .name = "bytes", .help = "sizes in bytes" },
	{ .letter = 'c', .name = "codecs", .help = "a line for each algorithm, too" },
	{ .letter = 'f', .name = "files", .help = "a line for each file, too" },
	{ .letter = 'J', .brief = true, .name = "json", .help = "one JSON object, for programs" },
	{ 0 },
};

const struct ctl_command ctl_du = {
	.name = "du",
	.operands = "[PATH...]",
	.help = "Print what files and trees hold, and what that costs.",
	.switches = switches,
	.takes = CTL_PATHS,
	.run = run,
};
