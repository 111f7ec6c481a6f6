// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * option_words.c - words that are accepted without effect, words that are refused with a reason,
 * and guesses at what was meant by any other word.
 *
 * A line for a tmpfs becomes one for a ztmpfs by changing one word: a word that would only tune the
 * kernel's pages is accepted; one that would change the meaning of a mount is not.
 *
 * Locks: none. It prints nothing.
 */
#include "daemon/option_table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/sizes.h"
#include "util/words.h"

/* A word that ends in = or - is followed by anything, or by one of @values. */
struct option_word {
	const char *word;
	const char *why; /* what the log says; NULL: nothing, the word is mount(8)'s or fstab(5)'s */
	const char *values; /* blank before and behind each; NULL: any */
};

#define WHY_ATIME "access times move as with relatime"
#define WHY_LAZY  "times are kept in memory alone"
#define WHY_INO   "inode numbers have 64 bits"
#define WHY_MAND  "the kernel has no mandatory locks any more"
#define WHY_FUSE  "ztmpfs agrees on it with the kernel by itself"

static const struct option_word taken[] = {
	{ "defaults", NULL, NULL },
	{ "auto", NULL, NULL },
	{ "noauto", NULL, NULL },
	{ "user", NULL, NULL },
	{ "user=", NULL, NULL },
	{ "nouser", NULL, NULL },
	{ "users", NULL, NULL },
	{ "nousers", NULL, NULL },
	{ "owner", NULL, NULL },
	{ "noowner", NULL, NULL },
	{ "group", NULL, NULL },
	{ "nogroup", NULL, NULL },
	{ "nofail", NULL, NULL },
	{ "_netdev", NULL, NULL },
	{ "x-", NULL, NULL },
	{ "X-", NULL, NULL },
	{ "comment=", NULL, NULL },
	{ "helper=", NULL, NULL },
	{ "uhelper=", NULL, NULL },
	{ "silent", NULL, NULL },
	{ "loud", NULL, NULL },
	/* These three say what is so anyway. */
	{ "relatime", NULL, NULL },
	{ "nostrictatime", NULL, NULL },
	{ "nolazytime", NULL, NULL },
	{ "noquota", NULL, NULL },
	{ "norelatime", WHY_ATIME, NULL },
	{ "strictatime", WHY_ATIME, NULL },
	{ "lazytime", WHY_LAZY, NULL },
	{ "inode32", WHY_INO, NULL },
	{ "inode64", NULL, NULL },
	{ "iversion", "changes of a file are not counted", NULL },
	{ "noiversion", NULL, NULL },
	{ "mand", WHY_MAND, NULL },
	{ "nomand", NULL, NULL },
	{ "huge=", "the kernel's pages of a file are no part of it",
	  " never always within_size advise " },
	{ "mpol=", "memory is placed as numactl(8) says for the daemon", NULL },
	/* The kernel shows them for each FUSE filesystem, so they come again with remount. */
	{ "user_id=", WHY_FUSE, NULL },
	{ "group_id=", WHY_FUSE, NULL },
	{ "max_read=", WHY_FUSE, NULL },
};

#define WHY_QUOTA "FUSE has no quotactl(2); size=, nr_inodes= and mem_limit= bound the mount"
#define WHY_CASE  "names are compared byte by byte"

static const struct option_word refused[] = {
	{ "quota", WHY_QUOTA, NULL },
	{ "usrquota", WHY_QUOTA, NULL },
	{ "grpquota", WHY_QUOTA, NULL },
	{ "usrquota_block_hardlimit=", WHY_QUOTA, NULL },
	{ "usrquota_inode_hardlimit=", WHY_QUOTA, NULL },
	{ "grpquota_block_hardlimit=", WHY_QUOTA, NULL },
	{ "grpquota_inode_hardlimit=", WHY_QUOTA, NULL },
	{ "casefold", WHY_CASE, NULL },
	{ "casefold=", WHY_CASE, NULL },
	{ "strict_encoding", WHY_CASE, NULL },
};

/* The entry that @word, with its value, is; or NULL. */
static const struct option_word *find(const struct option_word *words, size_t nr, const char *word)
{
	for (size_t i = 0; i < nr; i++) {
		const size_t len = strlen(words[i].word);
		const char last = words[i].word[len - 1];
		const bool prefix = last == '=' || last == '-';

		if (strncmp(word, words[i].word, len) == 0 && (prefix || word[len] == '\0'))
			return &words[i];
	}
	return NULL;
}

int option_note(struct options *options, const char *fmt, ...)
{
	const size_t used = options->notes ? strlen(options->notes) : 0;
	char line[256];
	char *text;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	text = zt_zalloc(used + strlen(line) + 2);
	if (!text)
		return -ENOMEM;
	if (used)
		memcpy(text, options->notes, used);
	(void)stpcpy(stpcpy(text + used, line), "\n");
	zt_free(options->notes);
	options->notes = text;
	return 0;
}

static bool value_is_allowed(const struct option_word *known, const char *word)
{
	const char *value = word + strlen(known->word);
	char padded[64];

	if (!known->values)
		return true;
	return snprintf(padded, sizeof(padded), " %s ", value) < (int)sizeof(padded) &&
	       *value != '\0' && !strchr(value, ' ') && strstr(known->values, padded);
}

int option_take_word(struct options *options, const char *word, struct options_error *error)
{
	const struct option_word *known = find(taken, ARRAY_SIZE(taken), word);
	const struct option_word *no;
	int res;

	if (known) {
		if (!value_is_allowed(known, word)) {
			ERR_PRINTF(error, "option %.64s: allowed are%s", word, known->values);
			error->text[strlen(error->text) - 1] = '\0';
			return -EINVAL;
		}
		res = known->why ? option_note(options, "option %.64s has no effect: %s", word,
					       known->why)
				 : 0;
		return res ? res : 1;
	}
	no = find(refused, ARRAY_SIZE(refused), word);
	if (!no || options->sloppy)
		return 0;
	ERR_PRINTF(error, "option %.64s: refused: %s", word, no->why);
	return -EINVAL;
}

bool option_is_ignored(const char *word)
{
	return find(taken, ARRAY_SIZE(taken), word) != NULL;
}

const char *option_ignored_at(size_t idx)
{
	return idx < ARRAY_SIZE(taken) ? taken[idx].word : NULL;
}

const char *option_refused_at(size_t idx)
{
	return idx < ARRAY_SIZE(refused) ? refused[idx].word : NULL;
}

const char *option_guess(const char *name)
{
	size_t least = words_near(name);
	const struct option_desc *desc;
	const char *best = NULL;

	for (size_t i = 0; (desc = option_at(i)) != NULL; i++) {
		const size_t far = words_distance(name, desc->name);

		if (far < least) {
			least = far;
			best = desc->name;
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		char word[WORDS_MAX + 1];
		size_t far;

		(void)snprintf(word, sizeof(word), "%s", taken[i].word);
		word[strcspn(word, "=")] = '\0';
		far = words_distance(name, word);
		if (far < least) {
			least = far;
			best = taken[i].word;
		}
	}
	return best;
}
