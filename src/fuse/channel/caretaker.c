// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * caretaker.c - what the thread that waits for the end does for the others. See caretaker.h.
 */
#include "fuse/channel/caretaker.h"

#include "fuse/channel/channel_i.h"
#include "fuse/channel/uring.h"
#include "fuse/channel/workers.h"
#include "util/clock.h"
#include "util/lock.h"

/* How often the others are looked at, and after how many quiet times no more. */
#define LOOK_NS     UINT64_C(5000000)
#define QUIET_LOOKS 10u
/* So often buffers in the pool that were not needed meanwhile are given back: every 50 ms. */
#define TRIM_LOOKS 10u
/* So often what idle readers, rings and handlers have; where nothing else is looked at, that alone. */
#define IDLE_NS ZT_NS_PER_S
/* After so many of these without a request nothing is left: the first one only sees what was used. */
#define IDLE_TRIMS 2u

struct caretaker {
	struct channel *ch;
	bool trims; /* buffers are given back */
	bool slow; /* nobody could be called, and nothing asked for */
	unsigned nr_served; /* at the last look */
	unsigned nr_quiet; /* looks since a request */
	unsigned nr_looks;
	uint64_t idle_at_ns; /* when what is idle was trimmed last, */
	unsigned nr_idle; /* and how often since a request */
};

static unsigned nr_served(const struct channel *ch)
{
	return workers_served(ch) + (ch->uring ? uring_served(ch->uring) : 0);
}

/* Whether anybody serves a request, and has been seen to. With the lock held. */
static bool is_serving(const struct channel *ch)
{
	return workers_serve(ch) || (ch->uring && uring_serves(ch->uring));
}

/* With the lock held: look at the others. Return: how many requests are new. */
static unsigned look(struct caretaker *c)
{
	const unsigned now = nr_served(c->ch);
	const unsigned nr_new = now - c->nr_served;

	if (!c->slow)
		workers_look(c->ch);
	c->nr_served = now;
	c->nr_quiet = nr_new || is_serving(c->ch) ? 0 : c->nr_quiet + 1;
	if (nr_new)
		c->nr_idle = 0;
	return nr_new;
}

/* Nothing has been served for a while: nothing large is kept. With the lock held. */
static void trim_quiet(struct channel *ch)
{
	pool_trim(&ch->pool);
	pool_trim(&ch->pool); /* those that were needed before the first */
	workers_trim_readers(ch);
}

void channel_trim(struct channel *ch)
{
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	workers_trim(ch);
	if (ch->uring)
		uring_trim(ch->uring);
	pool_trim(&ch->pool);
	mutex_unlock(&ch->lock);
}

/* Without the lock. */
static void trim_idle(struct caretaker *c, uint64_t now_ns)
{
	if (now_ns - c->idle_at_ns < IDLE_NS)
		return;
	c->idle_at_ns = now_ns;
	if (c->nr_quiet > 0)
		c->nr_idle++;
	c->ch->ops->trim(c->ch->arg);
	channel_trim(c->ch);
}

static unsigned most_quiet(const struct caretaker *c)
{
	return c->slow ? 1 : QUIET_LOOKS;
}

/* Whether memory is left that will be given back. With the lock held. */
static bool has_memory(const struct caretaker *c)
{
	const struct channel *ch = c->ch;

	return c->trims && (c->nr_idle < IDLE_TRIMS || ch->pool.warm || workers_are_large(ch) ||
			    (ch->uring && uring_is_large(ch->uring)));
}

/*
 * Until somebody serves, or the end, or there is memory to give back; with the lock held. A
 * thread that serves says so before it looks whether this sleeps.
 */
static void sleep_until_served(struct caretaker *c)
{
	struct channel *ch = c->ch;
	bool served;

	atomic_store(&ch->ending.caretaker_sleeps, true);
	served = is_serving(ch) || nr_served(ch) != c->nr_served;
	if (!served && has_memory(c)) {
		served = ending_wait(&ch->ending, c->idle_at_ns + IDLE_NS);
	} else if (!served) {
		(void)ending_wait(&ch->ending, 0);
		served = true;
	}
	atomic_store(&ch->ending.caretaker_sleeps, false);
	if (served)
		c->nr_quiet = 0;
}

static void look_once(struct caretaker *c)
	ZT_NO_LOCK_CHECK /* the lock is held, and given up meanwhile */
{
	struct channel *ch = c->ch;
	const unsigned nr_new = look(c);
	const uint64_t now_ns = zt_now_ns();

	if (c->trims && !c->slow) {
		if (++c->nr_looks % TRIM_LOOKS == 0)
			pool_trim(&ch->pool);
		if (c->nr_quiet >= QUIET_LOOKS)
			trim_quiet(ch);
	}
	mutex_unlock(&ch->lock);
	if (c->trims)
		trim_idle(c, now_ns);
	wakeup_look(&ch->wakeup, now_ns, nr_new);
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	if (ch->ending.ended)
		return;
	if (c->nr_quiet < most_quiet(c))
		(void)ending_wait(&ch->ending, now_ns + (c->slow ? IDLE_NS : LOOK_NS));
	else
		sleep_until_served(c);
}

void caretaker_run(struct channel *ch)
{
	struct caretaker c = { .ch = ch, .trims = !ch->params.keeps_buffers };

	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	c.slow = ch->nr_workers == 1 && ch->wakeup.fd < 0;
	while (!ch->ending.ended && c.slow && !c.trims)
		(void)ending_wait(&ch->ending, 0);
	while (!ch->ending.ended)
		look_once(&c);
	mutex_unlock(&ch->lock);
	wakeup_end(&ch->wakeup);
}
