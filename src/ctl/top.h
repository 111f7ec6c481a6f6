/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * top.h - ztmpfsctl top: mounts that are watched, and the lines that show them.
 *
 * What is shown is made as plain lines of a width (top_text.c), so that a terminal, a pipe and tests
 * see the same; top_screen.c puts them on a terminal.
 */
#ifndef ZT_CTL_TOP_H
#define ZT_CTL_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "util/compiler.h"
#include "ztmpfs/control.h"

/* One mount as it was at two moments. */
struct top_mount {
	char *path; /* its own */
	bool seen; /* in this round; else it has gone */
	int error; /* why it could not be asked, or 0 */
	uint64_t now_ns, before_ns; /* when it was asked; before_ns 0: once only */
	struct ztmpfs_stat now, before;
};

struct top {
	const char *path; /* one mount; NULL: all of this mount namespace */
	struct top_mount *mounts; /* in the order in which they were found */
	size_t nr;
	uint64_t interval_ns;
	uint64_t nr_rounds; /* to be printed; 0: until the end */
	bool paused;
};

/** top_look() - ask all mounts once. Return: 0; -ENOMEM, -EIO; of one mount why it cannot be asked. */
int top_look(struct top *top) ZT_MUST_CHECK;

/** top_free() - give back what top_look() has made */
void top_free(struct top *top);

/* What a line is, for those who can show it. */
enum top_kind { TOP_PLAIN, TOP_HEADING, TOP_NEAR, TOP_FULL };

/* Where lines go: @text has @width columns at most, and no end of line. */
struct top_sink {
	void (*line)(struct top_sink *sink, enum top_kind kind, const char *text);
	size_t width; /* columns, 20 at least */
	size_t height; /* lines; 0: as many as it takes */
};

/**
 * top_draw() - a table of all mounts, and below it what the first one does, as far as there is space
 * @keys: say which keys there are
 */
void top_draw(struct top_sink *sink, const struct top *top, bool keys);

/** top_screen() - show it on the terminal until q. Return: as top_look(); -ENOTSUP this build cannot. */
int top_screen(struct top *top) ZT_MUST_CHECK;

#endif
