/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * option_table.h - the table of mount options; for options.c and its tests.
 */
#ifndef ZT_DAEMON_OPTION_TABLE_H
#define ZT_DAEMON_OPTION_TABLE_H

#include "daemon/options.h"

struct option_desc {
	const char *name; /* without "=" */
	const char *arg; /* word for its argument in --help, NULL: takes none */
	const char *allowed; /* what a refusal says, NULL: takes no argument or says it itself */
	const char *preset; /* default in words, NULL: none worth a word */
	const char *help; /* one sentence, with the unit */
	/* Return: 0, -EINVAL (the text may be left empty: then @allowed is the answer), -ENOMEM. */
	int (*parse)(struct options *options, const struct option_desc *desc,
		     const struct options_env *env, const char *value, struct options_error *error);
	unsigned flag; /* enum mount_flag of a flag, enum option_context of a label */
	int8_t flag_value;
};

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
int option_parse_accel(const char *value, struct super_params *super,
		       struct options_error *error) ZT_MUST_CHECK;

/** option_text_set() - replace a string by a copy of @text. Return: 0 or -ENOMEM. */
int option_text_set(char **inout_text, const char *text) ZT_MUST_CHECK;

#endif
