/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sched.h - threads of a test that run one at a time, in an order that a plan says.
 *
 * A program that links sched.c with $(SCHED_WRAP) has its calls of pthread functions wrapped by the
 * linker, and those of all convenience libraries that it links: nothing is compiled otherwise, and no
 * other program pays for it. From sched_begin() to sched_end() the calling thread and all threads that
 * are made meanwhile are tasks. One of them runs; each lock, trylock, unlock, condition, yield, sleep,
 * look at the clock, zt_hook(), zt_looks() and zt_stored() is a point at which another may go on instead.
 *
 * The order is that of priorities (PCT: Burckhardt, Kothari, Musuvathi, Nagarakatte 2010). The task
 * with the highest one runs, until it must wait or the plan lowers it at a point. With few changes of
 * that kind a fault that needs d of them is found with a probability of 1 / (tasks * points^(d-1)) at
 * least. The same plan gives the same run, as far as the program gets nothing random from elsewhere;
 * getrandom() gives the same bytes again and again once sched_random() was called.
 *
 * Most locks that a task takes are of no interest to others. sched_learn() has runs find out which ones
 * several tasks use; only their points are counted after that, and a change comes at counted points.
 *
 * Time stands still but for a microsecond a look, and jumps when all tasks wait: a timed wait ends only
 * when nothing else can go on. When all wait without a time, that is a deadlock: the program prints who
 * waits for what, and aborts.
 *
 * Context: one run at a time, begun and ended by one thread that is not a task.
 */
#ifndef ZT_TESTS_LIB_SCHED_H
#define ZT_TESTS_LIB_SCHED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define SCHED_MAX_TASKS   32u
#define SCHED_MAX_CHANGES 8u

struct sched_plan {
	uint64_t seed; /* of priorities; with @rotate != 0 it is not used */
	unsigned rotate; /* n: the n-th task that is made, from 1 on, has the highest priority */
	unsigned nr_changes;
	/* Counted points, over all tasks but the first and from 1 on, at which the running one is lowered. */
	uint64_t changes[SCHED_MAX_CHANGES];
};

struct sched_result {
	uint64_t points; /* counted ones, passed by all tasks but the first */
	uint64_t switches; /* times that another task went on */
};

/**
 * sched_random_plan() - PCT: priorities and up to @most_changes points of @points, from *@seed, which
 * moves on
 */
struct sched_plan sched_random_plan(uint64_t *seed, uint64_t points, unsigned most_changes);

/** sched_begin() - the caller is the first task; it has a higher priority than all others */
void sched_begin(const struct sched_plan *plan);

/** sched_end() - all other tasks have ended and were joined */
void sched_end(struct sched_result *out_result);

/** sched_point() - another task may go on here; nothing for threads that are none */
void sched_point(void);

/**
 * sched_learn() - forget which objects are used by several tasks, and note it in the runs that follow;
 * false: note nothing more, and count points at those objects only, at hooks and at stores
 */
void sched_learn(bool learn);

/** sched_named_only() - from here on points at zt_hook() alone are counted, or those that were learned again */
void sched_named_only(bool only);

/** sched_random() - what getrandom() gives from here on follows from @seed */
void sched_random(uint64_t seed);

/**
 * sched_on_kill() - what a signal does that one task sends to another: @on_kill is called by the sender; NULL: it
 * is sent
 */
void sched_on_kill(void (*on_kill)(pthread_t thread));

/** sched_name() - printed with a deadlock: what the calling task does; a constant */
void sched_name(const char *name);

#endif
