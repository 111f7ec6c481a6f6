// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * watch.c - the thread that waits for the transport's end, and looks after others meanwhile
 * (watch.h).
 *
 * Locks: transport.lock; not held while the kernel is asked for latencies.
 */
#include "fuse/watch.h"

#include "fuse/uring.h"
#include "fuse/worker.h"
#include "util/clock.h"
#include "util/lock.h"

/* How often the others are looked at, and after how many quiet times no more. */
#define WATCH_NS    5000000L
#define WATCH_QUIET 10u
/* So often buffers that were not needed meanwhile are given back: every 50 ms. */
#define WATCH_TRIM 10u

void watch_wake(struct transport *t)
{
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	zt_lock_check(pthread_cond_broadcast(&t->ended_cond));
	mutex_unlock(&t->lock);
}

/* With transport.lock held: look at the others. Return: how many requests were served so far. */
static unsigned look(struct transport *t)
{
	return workers_look(t) + (t->uring ? uring_served(t->uring) : 0);
}

/* Nothing has been served for a while: nothing large is kept. With transport.lock held. */
static void trim_quiet(struct transport *t)
{
	spare_trim(t);
	spare_trim(t); /* those that were needed before the first */
	workers_trim_readers(t);
}

/* Until somebody serves, or the end; with transport.lock held. */
static void sleep_until_served(struct transport *t)
{
	atomic_store(&t->watch_sleeps, true);
	if (!workers_serve(t))
		zt_lock_check(pthread_cond_wait(&t->ended_cond, &t->lock));
	atomic_store(&t->watch_sleeps, false);
}

void watch_until_end(struct transport *t)
{
	const bool trims = !t->front->keeps_buffers;
	unsigned nr_before = 0, nr_quiet = 0, nr_looks = 0;

	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	/* Nobody could be called, and nothing asked for. */
	while (!t->ended && t->nr_workers == 1 && t->wakeup.fd < 0)
		zt_lock_check(pthread_cond_wait(&t->ended_cond, &t->lock));
	while (!t->ended) {
		const unsigned nr_served = look(t);
		const unsigned nr_new = nr_served - nr_before;

		nr_before = nr_served;
		nr_quiet = nr_new || workers_serve(t) ? 0 : nr_quiet + 1;
		if (trims && ++nr_looks % WATCH_TRIM == 0)
			spare_trim(t);
		if (trims && nr_quiet >= WATCH_QUIET)
			trim_quiet(t);
		mutex_unlock(&t->lock);
		wakeup_look(&t->wakeup, zt_now_ns(), nr_new);
		mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
		if (nr_quiet < WATCH_QUIET) {
			transport_wait(t, WATCH_NS);
		} else if (!t->ended) {
			sleep_until_served(t);
			nr_quiet = 0;
		}
	}
	mutex_unlock(&t->lock);
	wakeup_end(&t->wakeup);
}
