/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * line.h - things that wait for their turn, one behind the other, and a thread that serves them.
 *
 * What waits has a struct line_item in it and stays its owner's; nothing is allocated here.
 *
 * Locks: a struct line has none, its owner guards it. line_thread.lock is innermost; nothing is
 * called under it.
 */
#ifndef ZT_UTIL_LINE_H
#define ZT_UTIL_LINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/compiler.h"
#include "util/lock.h"

/* Part of what waits. The line's from line_add() until line_take() or line_remove(). */
struct line_item {
	struct line_item *next;
};

/* First come, first served. Does not move once it is set up: the end points into it. */
struct line {
	struct line_item *first, **last;
};

static inline void line_init(struct line *line)
{
	line->first = NULL;
	line->last = &line->first;
}

/** line_add() - to the end */
static inline void line_add(struct line *line, struct line_item *item)
{
	item->next = NULL;
	*line->last = item;
	line->last = &item->next;
}

/** line_take() - the first one, which waits no longer; NULL: there is none */
static inline struct line_item *line_take(struct line *line)
{
	struct line_item *item = line->first;

	if (item) {
		line->first = item->next;
		if (!item->next)
			line->last = &line->first;
	}
	return item;
}

/** line_remove() - from wherever it stands in this line; looks at those before it */
void line_remove(struct line *line, struct line_item *item);

/*
 * A line with a thread of its own that serves what stands in it, in order. Between start and stop
 * things are taken; before and after they are refused.
 */
struct line_thread {
	const char *name; /* the thread's */
	/* In the thread, with nothing locked; the item is its own from here on. */
	void (*serve)(struct line_thread *thread, struct line_item *item);
	struct mutex lock;
	pthread_cond_t cond; /* something came, or the end */
	struct line line; /* guarded by lock */
	bool runs; /* there is a thread to join; guarded by lock */
	bool stop; /* guarded by lock */
	pthread_t thread;
};

/** line_thread_init() - without a thread. @name: of 15 characters at most, outlives it */
void line_thread_init(struct line_thread *thread, const char *name,
		      void (*serve)(struct line_thread *thread, struct line_item *item));

/**
 * line_thread_start() - make the thread, unless there is one
 * Return: 0; -EAGAIN: it cannot be made; -ECANCELED: line_thread_stop() was called before.
 */
int line_thread_start(struct line_thread *thread) ZT_MUST_CHECK;

/** line_thread_add() - have it served. Return: false when no thread serves: nothing has happened. */
bool line_thread_add(struct line_thread *thread, struct line_item *item) ZT_MUST_CHECK;

/** line_thread_ends() - whether line_thread_stop() was called */
bool line_thread_ends(struct line_thread *thread);

/** line_thread_stop() - for good: serve what is there, and join the thread. May be called again. */
void line_thread_stop(struct line_thread *thread);

/** line_thread_exit() - stopped before, or never started */
void line_thread_exit(struct line_thread *thread);

#endif
