/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.h - a line on the terminal about long work: how far it is, and on ^C what goes on without
 * the program.
 *
 * The line is the error output's, and only a terminal has it, unless it is asked for; it goes when the
 * work is done. One at a time in a process.
 */
#ifndef ZT_CTL_PROGRESS_H
#define ZT_CTL_PROGRESS_H

#include <stdbool.h>

#define PROGRESS_TEXT 160u

struct progress {
	const char *what; /* is done: "compacting" */
	/* What ^C is answered by, with the line's end; NULL: as without. */
	const char *interrupted;
	/* How far it is, into @out; may wait. In a thread of its own. NULL: only the time. */
	void (*text)(void *arg, char out[PROGRESS_TEXT]);
	void *arg;
	bool lines; /* where there is no terminal, a line of its own each second */
};

/** progress_begin() - from here on; @progress stays the caller's until progress_end() */
void progress_begin(const struct progress *progress);

/**
 * progress_end() - the line has gone, and ^C acts as before
 * Before an error is printed, too. Without progress_begin(), or once more, it does nothing.
 * Context: not in progress.text().
 */
void progress_end(void);

#endif
