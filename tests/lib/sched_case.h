/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sched_case.h - a few tasks that do the same again and again, each time in another order (sched.h).
 *
 * ZT_SEED is the seed of the first case; what a case does follows from its own. A case that fails prints
 * its seed, so that ZT_SEED with that repeats it at once. ZT_SECONDS: how long each test goes on; 0: for
 * one case.
 *
 * Context: one thread that is no task.
 */
#ifndef ZT_TESTS_LIB_SCHED_CASE_H
#define ZT_TESTS_LIB_SCHED_CASE_H

#include <check.h>

#include "tests/lib/sched.h"

#define SCHED_CASE_TASKS 3u

/* What the runs of one test have come to. */
struct sched_totals {
	uint64_t cases, runs, points, switches;
};

struct sched_case {
	uint64_t seed;
	const char *text; /* what the tasks do */
	void (*prepare)(uint64_t seed); /* before each run */
	void (*check)(void); /* after it */
	bool inside; /* both are called by the first task, so that threads which they make are tasks */
	unsigned nr_more; /* such threads that are made before the tasks */
	void *(*task)(void *arg);
	void *args[SCHED_CASE_TASKS];
	unsigned nr_tasks;
	struct sched_totals *totals;
};

/** sched_case_random() - so many runs with priorities and up to @most_changes changes by chance */
void sched_case_random(const struct sched_case *c, unsigned runs, unsigned most_changes);

/**
 * sched_case_all() - with each task first, every place of one change; with @nr_changes 2 every two, where
 * there are 60 points at most
 * Ends when the time is over.
 */
void sched_case_all(const struct sched_case *c, unsigned nr_changes);

/**
 * sched_case_duel() - one and two changes at zt_hook()s; then every one at any point, and every two, however many:
 * in an order that sees some of all parts early; runs by chance follow for as long as there is time
 * Prints how far it came.
 */
void sched_case_duel(const struct sched_case *c);

/** sched_time_begins() - of a test; a failure prints the case from now on. Return: the first seed. */
uint64_t sched_time_begins(void);

/** sched_has_time() - for one case more; for the first one in any case */
bool sched_has_time(const struct sched_totals *totals);

/** sched_seconds() - ZT_SECONDS, or 2 */
unsigned sched_seconds(void);

/** sched_tell() - one line of what was done */
void sched_tell(const struct sched_totals *totals);

/** sched_case_main() - run the tests of @tc, and of @more unless that is NULL, each for sched_seconds(). Return: main()'s. */
int sched_case_main(TCase *tc, TCase *more);

/** sched_fail() - a sentence, the case, and the end of the program; in any thread */
void __attribute__((noreturn, format(printf, 1, 2))) sched_fail(const char *format, ...);

/** sched_must() - fail unless @error is 0; -errno otherwise */
void sched_must(int error, const char *what);

#endif
