/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * option_table.h - the table of mount options; for options.c and its tests.
 */
#ifndef ZT_DAEMON_OPTION_TABLE_H
#define ZT_DAEMON_OPTION_TABLE_H

#include "daemon/options.h"

/* How the value of an option is read. */
enum option_kind {
	OPTION_OTHER, /* by desc.read */
	OPTION_FLAG, /* takes no value */
	OPTION_NUMBER, /* digits */
	OPTION_SIZE, /* size_parse()'s: with a suffix */
	OPTION_CHOICE, /* one word of a few */
	OPTION_TEXT, /* any; the option keeps a copy */
};

/* A word of a choice, and what it means; the last one's word is NULL. */
struct option_choice {
	const char *word;
	unsigned value;
};

struct option_reading;

/* A mount option. All from kind on says what becomes of its value; what a kind does not use is 0. */
struct option_desc {
	const char *name; /* without "=" */
	const char *arg; /* word for its argument in --help, NULL: takes none */
	const char *allowed; /* what a refusal says, NULL: takes no argument or says it itself */
	const char *preset; /* default in words, NULL: none worth a word */
	const char *help; /* one sentence, with the unit */
	enum option_kind kind;
	size_t offset, width; /* of the member of struct options, bytes; width 0: none */
	size_t said; /* offset of a bool that becomes true, 0: none; the first member is none */
	uint64_t min, max; /* of a number; min of a size, before @unit; min bytes of a text */
	uint64_t unit; /* of a size, in bytes; 0: one */
	unsigned base; /* of a number's digits, at most 10; 0: 10 */
	bool of_ram; /* a size may be a % of RAM */
	int8_t on; /* what a flag sets its member to */
	const struct option_choice *choices;
	/* Return: 0, -EINVAL (the text may be left empty: then @allowed is the answer), -ENOMEM. */
	int (*read)(struct option_reading *reading);
};

/* One option that is being read. */
struct option_reading {
	struct options *options;
	const struct options_env *env;
	const struct option_desc *desc;
	const char *value; /* NULL: none, as desc.arg says */
	struct options_error *error;
};

/** option_read() - read a value by its option's kind, into its member. Return: as desc.read. */
int option_read(struct option_reading *reading) ZT_MUST_CHECK;

/* Those of no kind: desc.read. */
int option_read_uid(struct option_reading *r) ZT_MUST_CHECK;
int option_read_gid(struct option_reading *r) ZT_MUST_CHECK;
int option_read_compress(struct option_reading *r) ZT_MUST_CHECK;
int option_read_recompress(struct option_reading *r) ZT_MUST_CHECK;
int option_read_cluster(struct option_reading *r) ZT_MUST_CHECK;
int option_read_accel(struct option_reading *r) ZT_MUST_CHECK;
int option_read_cpus(struct option_reading *r) ZT_MUST_CHECK;
int option_read_spill(struct option_reading *r) ZT_MUST_CHECK;
int option_read_oom(struct option_reading *r) ZT_MUST_CHECK;
int option_read_context(struct option_reading *r) ZT_MUST_CHECK;

/* tmpfs's defaults: half of RAM in whole pages, and an inode for every page of that half. */
#define OPTION_RAM_DIVISOR 2

/**
 * options_settle() - once all words are read: what they imply together
 * Return: 0; -EINVAL with a sentence, -ENOMEM.
 */
int options_settle(struct options *options, const struct options_env *env,
		   struct options_error *error) ZT_MUST_CHECK;

/** option_at() - the @idx-th option, NULL at the end */
const struct option_desc *option_at(size_t idx);

/** option_find() - by name, NULL: no such option */
const struct option_desc *option_find(const char *name);

/**
 * option_take_word() - a word, with its value, that is no option of the table
 *
 * What is worth a line in the log is noted in @options.
 * Return: 1 when it is taken; 0 when it is not known; -EINVAL with a sentence in @error; -ENOMEM.
 */
int option_take_word(struct options *options, const char *word,
		     struct options_error *error) ZT_MUST_CHECK;

/** option_note() - a line for the log, once the mount is there. Return: 0 or -ENOMEM. */
int option_note(struct options *options, const char *fmt, ...) ZT_MUST_CHECK
	__attribute__((format(printf, 2, 3)));

/** option_guess() - the option or word whose name is most like @name, or NULL */
const char *option_guess(const char *name);

/** option_is_ignored() - a word that is taken without effect */
bool option_is_ignored(const char *word);

/** option_refused_at() - the @idx-th word of tmpfs's that is refused, NULL at the end */
const char *option_refused_at(size_t idx);

/**
 * option_ignored_at() - the @idx-th such word, NULL at the end; one that ends in = or - is
 * followed by anything
 */
const char *option_ignored_at(size_t idx);

/**
 * option_parse_accel() - the value of accel=
 * Return: 0; -EINVAL, with a sentence in @error.
 */
int option_parse_accel(const char *value, struct options *options,
		       struct options_error *error) ZT_MUST_CHECK;

/** option_module_exists() - where modules are looked for, or at that path */
bool option_module_exists(const char *name);

/** option_text_set() - replace a string by a copy of @text. Return: 0 or -ENOMEM. */
int option_text_set(char **inout_text, const char *text) ZT_MUST_CHECK;

#endif
