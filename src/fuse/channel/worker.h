/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker.h - one thread that reads /dev/fuse, serves what it reads, and reads again while it has the
 * duty (duty.h).
 *
 * Before a long request the duty goes to another thread, which is woken for it. A thread that comes
 * back and finds the duty taken sleeps. channel_ops.length() says which request is long, or its
 * handler says so (channel_may_wait()). When a request turns out to be long, the caretaker notices
 * and takes the duty away.
 *
 * Locks: the channel's. A thread on duty takes it only when the duty changes hands: for a short
 * request its state is two atomic operations.
 */
#ifndef ZT_FUSE_CHANNEL_WORKER_H
#define ZT_FUSE_CHANNEL_WORKER_H

#include <pthread.h>
#include <semaphore.h>

#include "fuse/channel/channel_i.h"
#include "fuse/channel/spin.h"

struct worker {
	struct channel *channel;
	/* What it reads into next; NULL while parked. Changed under the channel's lock. */
	struct request *req;
	int fd;
	uint32_t way; /* what it is for a later process (inbox.h) */
	pthread_t thread;
	bool done; /* it serves no more, guarded by the channel's lock */
	sem_t call; /* posted for one that is parked, and at the end */
	struct worker *next_parked; /* guarded by the channel's lock */
	/*
	 * READING is stored before the worker looks at ending.stop, which is stored before others look
	 * here: a worker that was not seen waiting sees the end. SERVING is stored before it looks at
	 * ending.caretaker_sleeps, which is stored before the caretaker looks here.
	 */
	_Atomic enum duty_state state;
	atomic_bool trim; /* it shall trim its buffer when it wakes; relaxed, asked for again */
	_Atomic unsigned served; /* relaxed: tells others whether this thread was idle */
	unsigned served_before; /* at the last trim; workers_trim()'s own */
	unsigned served_seen; /* at the caretaker's last look; its own */
	/* Its own: */
	struct duty_pace pace;
	struct spin spin;
};

/** worker_main() - its thread, of a struct worker */
void *worker_main(void *worker);

/**
 * worker_lose_duty() - if it serves a request; the caller then has nr_on lowered and calls another
 * Return: false: it does not have the duty.
 */
static inline bool worker_lose_duty(struct worker *w)
{
	return duty_move(&w->state, DUTY_LEAVE);
}

/** worker_call() - have one that is parked read, if one more is wanted; with the channel's lock held */
void worker_call(struct channel *ch);

/**
 * worker_hold() - the calling worker's request becomes somebody else's
 * Return: false when no other request is left for it, or the caller is no worker.
 */
bool worker_hold(struct channel *ch) ZT_MUST_CHECK;

#endif
