// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * watch.c - the thread that waits for the transport's end, and looks after others meanwhile
 * (watch.h).
 *
 * Locks: transport.lock; not held while the kernel is asked for latencies.
 */
#include "fuse/watch.h"

#include "fuse/buffers.h"
#include "fuse/uring.h"
#include "fuse/worker.h"
#include "util/clock.h"
#include "util/lock.h"

/* How often the others are looked at, and after how many quiet times no more. */
#define WATCH_NS    5000000L
#define WATCH_QUIET 10u
/* So often spare buffers that were not needed meanwhile are given back: every 50 ms. */
#define WATCH_TRIM 10u
/* So often what idle readers, rings and READs have; where nothing else is looked at, that alone. */
#define WATCH_IDLE_NS ZT_NS_PER_S
/* After so many of these without a request nothing is left: the first one only sees what was used. */
#define WATCH_IDLE 2u

struct watch {
	struct transport *t;
	bool trims; /* buffers are given back */
	bool slow; /* nobody could be called, and nothing asked for */
	unsigned nr_served; /* at the last look */
	unsigned nr_quiet; /* looks since a request */
	unsigned nr_looks;
	uint64_t idle_at_ns; /* when what is idle was trimmed last, */
	unsigned nr_idle; /* and how often since a request */
};

void watch_wake(struct transport *t)
{
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	cond_broadcast(&t->ended_cond);
	mutex_unlock(&t->lock);
}

static unsigned nr_served(const struct transport *t)
{
	return workers_served(t) + (t->uring ? uring_served(t->uring) : 0);
}

/* Whether anybody serves a request, and has been seen to. With transport.lock held. */
static bool is_serving(const struct transport *t)
{
	return workers_serve(t) || (t->uring && uring_serves(t->uring));
}

/* With transport.lock held: look at the others. Return: how many requests are new. */
static unsigned look(struct watch *w)
{
	const unsigned now = nr_served(w->t);
	const unsigned nr_new = now - w->nr_served;

	if (!w->slow)
		workers_look(w->t);
	w->nr_served = now;
	w->nr_quiet = nr_new || is_serving(w->t) ? 0 : w->nr_quiet + 1;
	if (nr_new)
		w->nr_idle = 0;
	return nr_new;
}

/* Nothing has been served for a while: nothing large is kept. With transport.lock held. */
static void trim_quiet(struct transport *t)
{
	spare_trim(t);
	spare_trim(t); /* those that were needed before the first */
	workers_trim_readers(t);
}

/* Without transport.lock. */
static void trim_idle(struct watch *w, uint64_t now_ns)
{
	if (now_ns - w->idle_at_ns < WATCH_IDLE_NS)
		return;
	w->idle_at_ns = now_ns;
	if (w->nr_quiet > 0)
		w->nr_idle++;
	buffers_trim(&w->t->front->buffers);
	transport_trim(w->t);
}

static unsigned most_quiet(const struct watch *w)
{
	return w->slow ? 1 : WATCH_QUIET;
}

/* Whether memory is left that will be given back. With transport.lock held. */
static bool has_memory(const struct watch *w)
{
	const struct transport *t = w->t;

	return w->trims && (w->nr_idle < WATCH_IDLE || t->warm || workers_are_large(t) ||
			    (t->uring && uring_is_large(t->uring)));
}

/*
 * Until somebody serves, or the end, or there is memory to give back; with transport.lock held. Who
 * serves says so before it looks whether this sleeps.
 */
static void sleep_until_served(struct watch *w)
{
	struct transport *t = w->t;
	bool served;

	atomic_store(&t->watch_sleeps, true);
	served = is_serving(t) || nr_served(t) != w->nr_served;
	if (!served && has_memory(w)) {
		served = transport_wait(t, w->idle_at_ns + WATCH_IDLE_NS);
	} else if (!served) {
		cond_wait(&t->ended_cond, &t->lock);
		served = true;
	}
	atomic_store(&t->watch_sleeps, false);
	if (served)
		w->nr_quiet = 0;
}

static void watch_once(struct watch *w)
{
	struct transport *t = w->t;
	const unsigned nr_new = look(w);
	const uint64_t now_ns = zt_now_ns();

	if (w->trims && !w->slow) {
		if (++w->nr_looks % WATCH_TRIM == 0)
			spare_trim(t);
		if (w->nr_quiet >= WATCH_QUIET)
			trim_quiet(t);
	}
	mutex_unlock(&t->lock);
	if (w->trims)
		trim_idle(w, now_ns);
	wakeup_look(&t->wakeup, now_ns, nr_new);
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	if (w->nr_quiet < most_quiet(w))
		(void)transport_wait(t, now_ns + (w->slow ? WATCH_IDLE_NS : WATCH_NS));
	else if (!t->ended)
		sleep_until_served(w);
}

void watch_until_end(struct transport *t)
{
	struct watch w = { .t = t, .trims = !t->front->keeps_buffers };

	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	w.slow = t->nr_workers == 1 && t->wakeup.fd < 0;
	while (!t->ended && w.slow && !w.trims)
		cond_wait(&t->ended_cond, &t->lock);
	while (!t->ended)
		watch_once(&w);
	mutex_unlock(&t->lock);
	wakeup_end(&t->wakeup);
}
