// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * workers.c - all threads that read a channel. See workers.h.
 *
 * A thread that waits in read(2) is woken by a signal that does nothing: at the end, and to give
 * back a large buffer. A signal that comes just before read(2) is lost, so it is sent again until
 * it has had its effect. It is only ever sent to threads that were seen waiting.
 *
 * Locks: the channel's, innermost; pthread_kill(3) and sem_post(3) are called under it.
 */
#include "fuse/channel/workers.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fuse/channel/inbox.h"
#include "fuse/channel/intake.h"
#include "fuse/channel/left.h"
#include "fuse/channel/worker.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

#define WAKE_SIGNAL   SIGUSR1
#define WAKE_AGAIN_NS UINT64_C(20000000)

/* Looked after ------------------------------------------------------------ */

void workers_look(struct channel *ch)
{
	for (unsigned i = 0; i < ch->nr_workers; i++) {
		struct worker *w = &ch->workers[i];
		const unsigned served = atomic_load_explicit(&w->served, memory_order_relaxed);

		/* By now it may serve another request, which then is counted as long by mistake. */
		if (served == w->served_seen && worker_lose_duty(w)) {
			ch->duty.nr_on--;
			ch->nr_surprises++;
		}
		w->served_seen = served;
	}
	worker_call(ch);
}

unsigned workers_served(const struct channel *ch)
{
	unsigned nr_served = 0;

	for (unsigned i = 0; i < ch->nr_workers; i++)
		nr_served += atomic_load_explicit(&ch->workers[i].served, memory_order_relaxed);
	return nr_served;
}

bool workers_serve(const struct channel *ch)
{
	for (unsigned i = 0; i < ch->nr_workers; i++)
		if (atomic_load(&ch->workers[i].state) == DUTY_SERVING)
			return true;
	return false;
}

static void wake(struct worker *w)
{
	const enum duty_state state = atomic_load(&w->state);

	if (w->done)
		return;
	if (state == DUTY_READING)
		(void)pthread_kill(w->thread, WAKE_SIGNAL); /* it is not joined yet */
	else if (state == DUTY_PARKED)
		(void)sem_post(&w->call); /* too often by now: then it has been woken */
}

bool workers_are_large(const struct channel *ch)
{
	if (ch->params.survival)
		return false; /* readers keep theirs */
	for (unsigned i = 0; i < ch->nr_workers; i++)
		if (ch->workers[i].req && request_is_large(ch->workers[i].req))
			return true;
	return false;
}

/* Where the process may be killed, a reader's buffer would be populated again at once. */
static void trim_reader(struct worker *w)
{
	if (!w->channel->params.survival && w->req && request_is_large(w->req) && atomic_load(&w->state) == DUTY_READING) {
		atomic_store_explicit(&w->trim, true, memory_order_relaxed);
		wake(w);
	}
}

void workers_trim_readers(struct channel *ch)
{
	for (unsigned i = 0; i < ch->nr_workers; i++)
		trim_reader(&ch->workers[i]);
}

void workers_trim(struct channel *ch)
{
	for (unsigned i = 0; i < ch->nr_workers; i++) {
		struct worker *w = &ch->workers[i];
		const unsigned served = atomic_load_explicit(&w->served, memory_order_relaxed);

		if (served == w->served_before)
			trim_reader(w);
		w->served_before = served;
	}
}

/* Threads ----------------------------------------------------------------- */

/* @out_way: which one of those that are kept. */
static int open_clone(struct channel *ch, unsigned nr, uint32_t *out_way)
{
	const struct channel_survival *survival = ch->params.survival;
	int fd;

	*out_way = INBOX_CLONE + nr;
	if (survival && nr < survival->nr_clones)
		return survival->clones[nr];
	fd = channel_clone(ch->fd);
	*out_way = INBOX_CLONE + ch->nr_clones;
	if (survival && fd >= 0) {
		survival->opened(survival->arg, false, fd);
		ch->nr_clones++;
	}
	return fd;
}

/* A worker without a channel of its own shares the session's. */
static void open_fd(struct worker *w, unsigned nr)
{
	int fd = -1;

	w->fd = w->channel->fd;
	w->way = INBOX_CHANNEL;
	if (!w->channel->params.clone_fd)
		return;
	fd = open_clone(w->channel, nr, &w->way);
	if (fd >= 0) {
		w->fd = fd;
		return;
	}
	w->way = INBOX_CHANNEL;
	zt_log(ZT_LOG_WARN, "clone_fd: threads share a channel: %s", strerror(-fd));
}

static void close_fd(struct worker *w, int master)
{
	if (w->fd != master)
		close(w->fd);
}

static int start(struct worker *w, unsigned nr)
{
	const int master = w->channel->fd;
	char name[16];
	int error;

	w->done = false;
	atomic_store(&w->state, DUTY_AWAY);
	open_fd(w, nr);
	error = zt_fault_hit() ? -EAGAIN : -pthread_create(&w->thread, NULL, worker_main, w);
	if (error) {
		close_fd(w, master);
		return error;
	}
	(void)snprintf(name, sizeof(name), "zt-fuse/%u", nr % 10000);
	(void)pthread_setname_np(w->thread, name); /* for people only */
	return 0;
}

static void do_nothing(int sig)
{
	(void)sig;
}

static void prepare_signal(void)
{
	struct sigaction wake_up = { .sa_handler = do_nothing };
	sigset_t set;

	/* These fail only for signals that do not exist. */
	sigemptyset(&set);
	sigaddset(&set, WAKE_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	(void)sigaction(WAKE_SIGNAL, &wake_up, NULL);
}

static void open_spin(struct channel *ch)
{
	const struct channel_survival *survival = ch->params.survival;

	if (survival && survival->spin_fd >= 0) {
		ch->spin_fd = survival->spin_fd;
		return;
	}
	ch->spin_fd = ch->wakeup.fd >= 0 || ch->params.spin_unasked_ns ? spin_open(ch->fd) : -1;
	if (survival && ch->spin_fd >= 0)
		survival->opened(survival->arg, true, ch->spin_fd);
}

int workers_start(struct channel *ch, unsigned wanted)
{
	unsigned nr = 0;
	int error = 0;

	prepare_signal();
	open_spin(ch);
	ch->nr_clones = ch->params.survival ? ch->params.survival->nr_clones : 0;
	while (nr < wanted && !error) {
		error = start(&ch->workers[nr], nr);
		if (!error)
			nr++;
	}
	if (nr == 0)
		return error;
	if (error)
		zt_log(ZT_LOG_WARN, "max_threads: only %u of %u threads: %s", nr, wanted,
		       strerror(-error));
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	ch->nr_workers = nr;
	mutex_unlock(&ch->lock);
	return 0;
}

static void join(struct worker *w)
{
	struct channel *ch = w->channel;

	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	while (!w->done) {
		wake(w);
		(void)ending_wait(&ch->ending, zt_now_ns() + WAKE_AGAIN_NS);
	}
	mutex_unlock(&ch->lock);
	zt_lock_check(pthread_join(w->thread, NULL));
	close_fd(w, ch->fd);
}

void workers_join(struct channel *ch)
{
	unsigned nr;

	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	nr = ch->nr_workers;
	ch->nr_workers = 0; /* from here on workers_trim() leaves them alone */
	mutex_unlock(&ch->lock);
	for (unsigned i = 0; i < nr; i++)
		join(&ch->workers[i]);
}

/* Life -------------------------------------------------------------------- */

int workers_create(struct channel *ch)
{
	const unsigned nr = ch->params.nr_threads;

	ch->workers = zt_zalloc(nr * sizeof(*ch->workers));
	if (!ch->workers)
		return -ENOMEM;
	for (unsigned i = 0; i < nr; i++) {
		ch->workers[i].channel = ch;
		ch->workers[i].req = pool_pop(&ch->pool); /* nobody else sees it yet */
		zt_lock_check(sem_init(&ch->workers[i].call, 0, 0));
	}
	return 0;
}

void workers_destroy(struct channel *ch)
{
	if (!ch->workers)
		return;
	for (unsigned i = 0; i < ch->params.nr_threads; i++)
		zt_lock_check(sem_destroy(&ch->workers[i].call));
	zt_free(ch->workers);
}

/* Should there be fewer threads than were asked for, the first ones are there. */
void workers_leave(struct channel *ch)
{
	for (unsigned i = ch->params.nr_threads; i-- > 0;) {
		struct worker *w = &ch->workers[i];

		if (!w->req->left || ch->pool.nr_idle == 0)
			continue;
		left_add(ch, w->req);
		w->req = pool_pop(&ch->pool);
	}
}

struct request *workers_first_request(const struct channel *ch)
{
	return ch->workers[0].req;
}
