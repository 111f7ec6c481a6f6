/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl.h - ztmpfsctl: the table of subcommands, and what they share.
 */
#ifndef ZT_CTL_CTL_H
#define ZT_CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/compiler.h"
#include "ztmpfs/control.h"

enum { CTL_EXIT_FAILED = 1, CTL_EXIT_USAGE = 2 };

/* One switch of a subcommand. A list of them ends with one of letter 0. */
struct ctl_switch {
	char letter; /* what ctl_switch() returns for it */
	bool brief; /* -LETTER is a way to write it */
	const char *name; /* of --NAME; NULL: there is only the letter */
	const char *arg; /* what its value is called; NULL: it takes none */
	const char *help; /* half a sentence */
	/* Values that completion offers, between blanks; "": none can be told; NULL: files. */
	const char *words;
	const char *verb; /* the first word that it goes with; NULL: any */
};

/* What the words are that a subcommand takes besides its switches. */
enum ctl_operands { CTL_NOTHING, CTL_MOUNTS, CTL_PATHS, CTL_COMMANDS };

/* One subcommand; it has a file of its own. Parsing, help and completion read this. */
struct ctl_command {
	const char *name;
	const char *operands; /* as in the usage line; "": none */
	const char *help; /* one sentence */
	const struct ctl_switch *switches; /* NULL: none */
	const char *words; /* first operands for completion, between blanks; NULL: none */
	enum ctl_operands takes; /* what completion offers else */
	/*
	 * @argv[0] is the subcommand's name; ctl_switch() has found no wrong switch in it.
	 * Return: exit status; the command has printed why.
	 */
	int (*run)(int argc, char *argv[]);
};

/** ctl_command_at() - the @idx-th subcommand, NULL at the end */
const struct ctl_command *ctl_command_at(size_t idx);

/** ctl_command_find() - by its name; NULL: there is none */
const struct ctl_command *ctl_command_find(const char *name);

/** ctl_main() - find and run a subcommand. Return: exit status. */
int ctl_main(int argc, char *argv[]);

/* ---- switches.c ---- */

/* Beside the letters of a table. */
enum { CTL_SWITCH_END = -1, CTL_SWITCH_HELP = 1, CTL_SWITCH_WRONG = 2 };

/**
 * ctl_switch() - the next switch of @argv, as getopt_long(3)
 * @again: begin with the first one
 * Its value is optarg; at the end optind is that of the first operand, all of which come last.
 * Return: a letter of @command's table, or CTL_SWITCH_...; what is wrong has been printed.
 */
int ctl_switch(const struct ctl_command *command, int argc, char *argv[], bool again);

/** ctl_usage() - a line on the error output about wrong use of @command. Return: CTL_EXIT_USAGE. */
int ctl_usage(const struct ctl_command *command);

/** ctl_help() - all there is to say about @command, or with NULL a line for each */
void ctl_help(FILE *out, const struct ctl_command *command);

/* ---- ask.c ---- */

/**
 * ctl_ioctl() - one call on a path that is opened for it
 * @arg: in or out, as @cmd has it
 * Return: 0 or -errno: -ENOTTY where there is no ztmpfs, -EPROTO where there is one of another version
 *         or build that does not know @cmd, else what open(2) or the mount said.
 */
int ctl_ioctl(const char *path, unsigned long cmd, void *arg) ZT_MUST_CHECK;

/**
 * ctl_ask() - the same with a struct that begins with a version
 * It is set before, and compared afterwards. What an older daemon has not filled is as it was.
 * Return: as ctl_ioctl(); -EPROTO for an answer of another version, too.
 */
int ctl_ask(const char *path, unsigned long cmd, void *arg) ZT_MUST_CHECK;

/** ctl_ask_fd() - as ctl_ask(), on what is open */
int ctl_ask_fd(int fd, unsigned long cmd, void *arg) ZT_MUST_CHECK;

/** ctl_get_info() - who serves @path, of whatever version. Return: as ctl_ioctl(). */
int ctl_get_info(const char *path, struct ztmpfs_info *out_info) ZT_MUST_CHECK;

/** ctl_get_stat() - the counters of a mount, its texts ended. @path: anything in it. Return: as ctl_ask(). */
int ctl_get_stat(const char *path, struct ztmpfs_stat *out_stat) ZT_MUST_CHECK;

/** ctl_failed() - "ztmpfsctl: SUBJECT: why", or without an empty subject. Return: CTL_EXIT_FAILED. */
int ctl_failed(const char *subject, const char *why);

/**
 * ctl_print_other() - one sentence: who serves @path does not know what was asked, and which is which
 * Builds of one release are told apart by how many requests each has.
 */
void ctl_print_other(FILE *out, const char *path, const struct ztmpfs_info *info);

/**
 * ctl_fail() - "ztmpfsctl: PATH: why" on the error output
 * @error: -errno; -ENOTTY and -EPROTO of what is a ztmpfs: as ctl_print_other()
 * Return: CTL_EXIT_FAILED.
 */
int ctl_fail(const char *path, int error);

/** ctl_end() - what was printed has gone out. Return: @status, or CTL_EXIT_FAILED after a line. */
int ctl_end(int status) ZT_MUST_CHECK;

/* ---- table.c ---- */

/* Bytes of what ctl_human() writes. */
#define CTL_HUMAN 32u

/** ctl_human() - bytes for people, as df -h: "64M", "1.5G". Return: @out_text. */
const char *ctl_human(uint64_t bytes, char out_text[CTL_HUMAN]);

/**
 * ctl_break_text() - line ends behind commas and in place of blanks, so that no line is longer than @width
 * A word that is longer stays whole. Return: the caller's to free(3); NULL without memory.
 */
char *ctl_break_text(const char *text, size_t width);

/** ctl_ratio() - user bytes over all memory held for them; 0 while nothing is held */
double ctl_ratio(const struct ztmpfs_stat *stat);

/** ctl_print_info() - who serves a mount, in some lines; @width: columns, 0: those of the terminal */
int ctl_print_info(FILE *out, const struct ztmpfs_info *info, size_t width) ZT_MUST_CHECK;

/** ctl_print_summary() - what a mount is and holds, in some lines; @width: columns, 0: any */
int ctl_print_summary(FILE *out, const char *path, const struct ztmpfs_info *info,
		      const struct ztmpfs_stat *stat, size_t width) ZT_MUST_CHECK;

/** ctl_end_texts() - what comes from another process may lack its end */
void ctl_end_texts(struct ztmpfs_stat *stat);

/** ctl_print_stat() - as an aligned table, or as one JSON object */
void ctl_print_stat(FILE *out, const struct ztmpfs_stat *stat, bool json);

/* More answers than all pools can fill. */
#define CTL_POOL_ANSWERS 32u

/**
 * ctl_get_pools() - ask a mount for all classes of all its pools
 * @out_answers: in the order of pools and classes; the caller frees them with zt_free()
 * @out_nr: at least 1
 * Return: as ctl_get_stat(), and -ENOMEM.
 */
int ctl_get_pools(const char *path, struct ztmpfs_pool_stat **out_answers,
		  size_t *out_nr) ZT_MUST_CHECK;

/** ctl_print_pools() - as tables, or as one JSON object */
void ctl_print_pools(FILE *out, const struct ztmpfs_pool_stat *answers, size_t nr, bool json);

extern const struct ctl_command ctl_attr;
extern const struct ctl_command ctl_clone;
extern const struct ctl_command ctl_compact;
extern const struct ctl_command ctl_completion;
extern const struct ctl_command ctl_du;
extern const struct ctl_command ctl_fetch;
extern const struct ctl_command ctl_image;
extern const struct ctl_command ctl_info;
extern const struct ctl_command ctl_list;
extern const struct ctl_command ctl_modules;
extern const struct ctl_command ctl_recompress;
extern const struct ctl_command ctl_rescue;
extern const struct ctl_command ctl_run;
extern const struct ctl_command ctl_save;
extern const struct ctl_command ctl_set;
extern const struct ctl_command ctl_spill;
extern const struct ctl_command ctl_stat;
extern const struct ctl_command ctl_swap;
extern const struct ctl_command ctl_top;
extern const struct ctl_command ctl_trace;
extern const struct ctl_command ctl_train;
extern const struct ctl_command ctl_upgrade;
extern const struct ctl_command ctl_draw;
extern const struct ctl_command ctl_zbench;

/* ---- text.c ---- */

/**
 * ctl_print_json_text() - @text as a JSON string, quotes included
 * A byte that is no UTF-8 becomes a lone surrogate, U+DC80 to U+DCFF, as Python's os.fsdecode() has it.
 */
void ctl_print_json_text(FILE *out, const char *text);

/**
 * ctl_print_name() - @text on one line, and nothing in it that a terminal obeys; as tar -t has it
 * What is no printable character of the locale, a backslash, and what changes the direction of writing
 * becomes an escape of C's.
 */
void ctl_print_name(FILE *out, const char *text);

/** ctl_parse_cluster() - a cluster's size: a power of two, 4k to 128k. Return: 0 or -EINVAL. */
int ctl_parse_cluster(const char *text, uint64_t *out_size) ZT_MUST_CHECK;

#endif
