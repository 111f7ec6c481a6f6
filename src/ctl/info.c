// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * info.c - ztmpfsctl info: who serves a mount; ztmpfsctl modules: the algorithms there are.
 *
 * info is answered to everybody who may open something of the mount, by daemons of all versions.
 * modules loads each module as a mount would, so that what it says is what a mount would find.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "zcomp/module.h"
#include "zcomp/registry.h"

/* ---- info ---- */

static void print_json(const char *path, const struct ztmpfs_info *info)
{
	const bool replaced = info->flags & ZTMPFS_INFO_REPLACED;

	fputs("{\"path\": ", stdout);
	ctl_print_json_text(stdout, path);
	fputs(", \"release\": ", stdout);
	ctl_print_json_text(stdout, info->release);
	printf(", \"version\": %" PRIu32 ", \"pid\": %" PRIu32 ", \"replaced\": %s, \"options\": ",
	       info->version, info->pid, replaced ? "true" : "false");
	ctl_print_json_text(stdout, info->options);
	fputs("}\n", stdout);
}

static int run_info(int argc, char *argv[])
{
	struct ztmpfs_info info;
	bool json = false;
	int error;

	for (bool again = true; ctl_switch(&ctl_info, argc, argv, again) == 'J'; again = false)
		json = true;
	if (argc != optind + 1)
		return ctl_usage(&ctl_info);
	error = ctl_get_info(argv[optind], &info);
	if (error)
		return ctl_fail(argv[optind], error);
	if (json)
		print_json(argv[optind], &info);
	else
		error = ctl_print_info(stdout, &info, 0);
	return error ? ctl_fail(argv[optind], error) : ctl_end(0);
}

/* ---- modules ---- */

enum column { COL_NAME, COL_LEVELS, COL_DEFAULT, COL_DICT, COL_FROM, NR_COLUMNS };

static const struct {
	const char *name;
	int flags, json;
	size_t from; /* columns of a terminal that has space for it */
} columns[NR_COLUMNS] = {
	[COL_NAME] = { "NAME", 0, SCOLS_JSON_STRING, 0 },
	[COL_LEVELS] = { "LEVELS", 0, SCOLS_JSON_STRING, 0 },
	[COL_DEFAULT] = { "DEFAULT", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 48 },
	[COL_DICT] = { "DICT", SCOLS_FL_RIGHT, SCOLS_JSON_NUMBER, 60 },
	[COL_FROM] = { "FROM", SCOLS_FL_WRAP, SCOLS_JSON_STRING, 0 },
};

/* @ops: NULL for what cannot be used. */
static int add(struct libscols_table *table, const char *name, const struct zcomp_ops *ops,
	       const char *from)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char text[64];
	int error = line ? scols_line_set_data(line, COL_NAME, name) : -ENOMEM;

	if (!error)
		error = scols_line_set_data(line, COL_FROM, from);
	if (error || !ops)
		return error;
	(void)snprintf(text, sizeof(text), "%zu", ops->dict_max);
	error = scols_line_set_data(line, COL_DICT, text);
	if (error || (ops->level_min == 0 && ops->level_max == 0))
		return error;
	(void)snprintf(text, sizeof(text), "%" PRId32 " to %" PRId32, ops->level_min,
		       ops->level_max);
	error = scols_line_set_data(line, COL_LEVELS, text);
	(void)snprintf(text, sizeof(text), "%" PRId32, ops->level_default);
	return error ? error : scols_line_set_data(line, COL_DEFAULT, text);
}

/* "NAME" of "ztmpfs-NAME.so". */
static bool name_of(const char *file, char *out, size_t space)
{
	static const char head[] = "ztmpfs-", end[] = ".so";
	const size_t len = strlen(file), both = strlen(head) + strlen(end);

	if (len <= both || strncmp(file, head, strlen(head)) != 0 ||
	    strcmp(file + len - strlen(end), end) != 0 || len - both >= space)
		return false;
	(void)snprintf(out, space, "%.*s", (int)(len - both), file + strlen(head));
	return zcomp_name_is_valid(out);
}

static int add_module(struct libscols_table *table, const char *name)
{
	char error_text[ZCOMP_ERROR_TEXT], path[PATH_MAX];
	struct zcomp_module *module = NULL;
	int error;

	if (zcomp_module_open(name, error_text, &module) != 0)
		return add(table, name, NULL, error_text);
	error = zcomp_module_path(name, path, sizeof(path));
	if (!error)
		error = add(table, name, zcomp_module_ops(module), path);
	zcomp_module_close(module);
	return error;
}

static int add_modules(struct libscols_table *table)
{
	struct dirent **names;
	const int nr = scandir(zcomp_module_dir, &names, NULL, alphasort);
	char name[ZCOMP_NAME_MAX + 1];
	int error = 0;

	/* Without modules there is no folder. */
	if (nr < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < nr; i++) {
		if (!error && name_of(names[i]->d_name, name, sizeof(name)) &&
		    !zcomp_find_ops(name))
			error = add_module(table, name);
		free(names[i]); /* scandir's */
	}
	free(names); /* scandir's */
	return error;
}

/* A pipe gets all. */
static int flags_of(struct libscols_table *table, enum column column)
{
	const bool narrow = isatty(STDOUT_FILENO) && !scols_table_is_json(table) &&
			    scols_table_get_termwidth(table) < columns[column].from;

	return columns[column].flags | (narrow ? SCOLS_FL_HIDDEN : 0);
}

static int fill(struct libscols_table *table, bool json)
{
	const struct zcomp_ops *ops;
	int error = scols_table_set_name(table, "modules");

	if (!error && json)
		error = scols_table_enable_json(table, 1);
	for (size_t i = 0; !error && i < NR_COLUMNS; i++) {
		struct libscols_column *column = scols_table_new_column(
			table, columns[i].name, i == COL_FROM ? 0.5 : 0, flags_of(table, i));

		error = column ? scols_column_set_json_type(column, columns[i].json) : -ENOMEM;
	}
	for (size_t i = 0; !error && (ops = zcomp_ops_at(i)) != NULL; i++)
		error = add(table, ops->name, ops, "built in");
	return error ? error : add_modules(table);
}

static int run_modules(int argc, char *argv[])
{
	struct libscols_table *table;
	bool json = false;
	int error;

	for (bool again = true; ctl_switch(&ctl_modules, argc, argv, again) == 'J'; again = false)
		json = true;
	if (argc != optind)
		return ctl_usage(&ctl_modules);
	scols_init_debug(0);
	table = scols_new_table();
	error = table ? fill(table, json) : -ENOMEM;
	if (!error)
		error = scols_print_table(table);
	scols_unref_table(table);
	return error ? ctl_fail(zcomp_module_dir, error) : ctl_end(0);
}

static const struct ctl_switch switches[] = {
	{ .letter = 'J', .brief = true, .name = "json", .help = "one JSON object, for programs" },
	{ 0 },
};

const struct ctl_command ctl_info = {
	.name = "info",
	.operands = "PATH",
	.help = "Print who serves a mount; everybody may ask.",
	.switches = switches,
	.takes = CTL_MOUNTS,
	.run = run_info,
};

const struct ctl_command ctl_modules = {
	.name = "modules",
	.operands = "",
	.help = "Print the algorithms that are built in, and modules.",
	.switches = switches,
	.takes = CTL_NOTHING,
	.run = run_modules,
};
