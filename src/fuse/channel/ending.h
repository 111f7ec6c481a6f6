/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ending.h - when the channel ends and why; and how the thread that waits for that is woken earlier.
 *
 * That thread looks after the others meanwhile (caretaker.h). It sleeps while nothing is served. A
 * thread that serves says so in its own state, and then looks here whether the other one sleeps.
 *
 * Locks: the channel's, under which the rest changes; innermost.
 */
#ifndef ZT_FUSE_CHANNEL_ENDING_H
#define ZT_FUSE_CHANNEL_ENDING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/lock.h"

struct ending {
	struct mutex *lock; /* the channel's */
	pthread_cond_t cond; /* by CLOCK_MONOTONIC */
	bool ended; /* no more requests come; guarded by lock */
	int error; /* why; guarded by lock */
	/* The threads are to end. Stored before others are looked at: see worker.state. */
	atomic_bool stop;
	/* Stored before the others are looked at, which store their state before they look here. */
	atomic_bool caretaker_sleeps;
};

void ending_init(struct ending *ending, struct mutex *lock);
void ending_exit(struct ending *ending);

/** ending_comes() - no more requests come; @error is kept when it is the first. Takes the lock. */
void ending_comes(struct ending *ending, int error);

/** ending_stops() - whether the threads are to end */
static inline bool ending_stops(const struct ending *ending)
{
	return atomic_load(&ending->stop);
}

/**
 * ending_wait() - for the end, or to be woken; with the lock held
 * @until_ns: zt_now_ns()'s, at most so long; 0: without end
 * Return: false when that time has come.
 */
bool ending_wait(struct ending *ending, uint64_t until_ns);

/** ending_wake() - have the thread that waits look again. Takes the lock. */
void ending_wake(struct ending *ending);

/** ending_note() - a request is about to be served, or there is memory to give back */
static inline void ending_note(struct ending *ending)
{
	if (atomic_load(&ending->caretaker_sleeps))
		ending_wake(ending);
}

#endif
