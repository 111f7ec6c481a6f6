// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * worker.c - one thread that reads /dev/fuse. See worker.h.
 *
 * Locks: the channel's; innermost, nothing is called under it but madvise(2) and sem_post(3).
 */
#include "fuse/channel/worker.h"

#include "fuse/channel/intake.h"
#include "fuse/channel/left.h"
#include "util/clock.h"
#include "util/lock.h"

/*
 * Buffers that keep their memory when all threads wait, until the caretaker finds that nobody needed
 * them: a reader waits for what it has asked for, and then as many READs come at once
 * (daemon/bdi.c).
 */
#define PARKED_WARM 4u

static _Thread_local struct worker *current_worker;

/* Duty -------------------------------------------------------------------- */

void worker_call(struct channel *ch)
{
	struct worker *w = ch->parked;

	if (!w || !duty_is_free(&ch->duty))
		return;
	ch->parked = w->next_parked;
	w->req = pool_fulfil(&ch->pool);
	ch->duty.nr_on++;
	(void)duty_move(&w->state, DUTY_CALL); /* it is parked */
	zt_lock_check(sem_post(&w->call));
}

static void leave_duty(struct worker *w)
{
	struct channel *ch = w->channel;

	if (!worker_lose_duty(w))
		return;
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	ch->duty.nr_on--;
	worker_call(ch);
	mutex_unlock(&ch->lock);
}

/* Whether all but @w wait. With the lock held. */
static bool is_last(const struct channel *ch, const struct worker *w)
{
	for (unsigned i = 0; i < ch->nr_workers; i++) {
		const enum duty_state state = atomic_load(&ch->workers[i].state);

		if (&ch->workers[i] != w && state != DUTY_READING && state != DUTY_PARKED)
			return false;
	}
	return true;
}

/* With the lock held. */
static void park(struct worker *w)
{
	struct channel *ch = w->channel;

	pool_promise(&ch->pool, w->req);
	w->req = NULL;
	if (is_last(ch, w))
		pool_keep(&ch->pool, PARKED_WARM);
	w->next_parked = ch->parked;
	ch->parked = w;
	(void)duty_move(&w->state, DUTY_PARK); /* it is away */
}

/* Without the duty: get it, now or later. Returns at the end, too. */
static void take_duty(struct worker *w)
{
	struct channel *ch = w->channel;
	bool wait;

	duty_pace_begin(&w->pace);
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	wait = !duty_is_free(&ch->duty) && !ending_stops(&ch->ending);
	if (wait) {
		park(w);
	} else {
		ch->duty.nr_on++;
		(void)duty_move(&w->state, DUTY_TAKE); /* it is away */
	}
	mutex_unlock(&ch->lock);
	/* The caretaker may sleep since before a long request, whose memory is to be given back. */
	ending_note(&ch->ending);
	while (wait && sem_wait(&w->call) != 0)
		; /* EINTR */
}

void channel_may_wait(void)
{
	if (current_worker)
		leave_duty(current_worker);
}

static void want(struct channel *ch, int by)
{
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	duty_want(&ch->duty, by);
	worker_call(ch);
	mutex_unlock(&ch->lock);
}

/* Serving ----------------------------------------------------------------- */

static void begin_long(struct worker *w)
{
	if (duty_long(&w->channel->duty, &w->pace))
		want(w->channel, 1);
	leave_duty(w);
}

static void begin_short(struct worker *w, uint64_t asked_at_ns)
{
	const int by = duty_short(&w->channel->duty, &w->pace, asked_at_ns, zt_now_ns());

	if (by)
		want(w->channel, by);
	if (by < 0)
		leave_duty(w);
}

/* @req instead of its own, which goes to the pool. With the lock held. */
static void exchange(struct worker *w, struct request *req)
{
	pool_push(&w->channel->pool, w->req);
	w->req = req;
}

/* One that outlives the process stands in line itself. By then it may be another thread's. */
static bool enter_line(struct worker *w, size_t len)
{
	struct channel *ch = w->channel;
	struct request *req = w->req, *instead;

	if (!req->slot)
		return longline_enter(&ch->longline, req, len, LONGLINE_COPY);
	instead = pool_get(&ch->pool);
	if (!instead)
		return longline_enter(&ch->longline, req, len, LONGLINE_NOT);
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	w->req = instead;
	mutex_unlock(&ch->lock);
	if (!longline_enter(&ch->longline, req, len, LONGLINE_ITSELF))
		return false;
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	exchange(w, req);
	mutex_unlock(&ch->lock);
	return true;
}

/* Return: whether another one has stood in line. */
static bool next_in_line(struct worker *w, size_t *out_len)
{
	struct channel *ch = w->channel;
	struct request *req =
		longline_next(&ch->longline, w->req, ending_stops(&ch->ending), out_len);

	if (req && req != w->req) {
		mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
		exchange(w, req);
		mutex_unlock(&ch->lock);
	}
	return req != NULL;
}

static void serve_endless(struct worker *w, size_t len)
{
	const uint64_t unique = ((const struct fuse_in_header *)request_buf(w->req))->unique;
	struct channel *ch = w->channel;

	if (!enter_line(w, len)) {
		/* Or it is being served, and has seen it. */
		if (interrupt_came_first(&ch->interrupts, unique))
			(void)request_withdraw(ch, unique);
		return;
	}
	do
		(void)request_serve(ch, w->req, request_buf(w->req), len); /* or it needs none */
	while (next_in_line(w, &len));
}

static void serve(struct worker *w, size_t len, uint64_t asked_at_ns)
{
	struct channel *ch = w->channel;
	const enum channel_length length = ch->ops->length(ch->arg, request_buf(w->req), len);

	(void)duty_move(&w->state, DUTY_REQUEST); /* it reads */
	ending_note(&ch->ending);
	if (length == CHANNEL_SHORT)
		begin_short(w, asked_at_ns);
	else
		begin_long(w);
	if (length == CHANNEL_ENDLESS)
		serve_endless(w, len);
	else
		(void)request_serve(ch, w->req, request_buf(w->req), len);
	atomic_fetch_add_explicit(&w->served, 1, memory_order_relaxed);
}

/* Return: whether the worker's request is one that an earlier process has left. */
static bool take_left(struct worker *w)
{
	struct channel *ch = w->channel;
	struct request *req;

	if (likely(!left_any(ch)))
		return false;
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	req = left_take(ch);
	if (req)
		exchange(w, req);
	mutex_unlock(&ch->lock);
	return req != NULL;
}

/* As read(2). */
static ssize_t receive(struct worker *w, uint64_t asked_at_ns)
{
	struct channel *ch = w->channel;
	ssize_t len;

	if (take_left(w))
		return (ssize_t)w->req->len;
	len = spin_receive(&w->spin, ch, w->req);
	if (len == 0)
		len = request_receive(ch, w->req, w->fd, w->way);
	if (len > 0)
		spin_learn(&w->spin, ch, zt_now_ns() - asked_at_ns);
	return len;
}

/*
 * One request from the kernel to its reply, by a worker that reads or was called to. Return: false
 * when there are no more.
 */
static bool step(struct worker *w, int *out_error)
{
	struct channel *ch = w->channel;
	ssize_t len = 0;

	if (!ending_stops(&ch->ending)) {
		const uint64_t asked_at_ns = zt_now_ns();

		len = receive(w, asked_at_ns);
		if (len > 0) {
			serve(w, (size_t)len, asked_at_ns);
			if (!duty_move(&w->state, DUTY_DONE))
				take_duty(w);
			return true;
		}
	}
	if (request_passes(len)) {
		if (atomic_exchange_explicit(&w->trim, false, memory_order_relaxed))
			request_trim(w->req);
		return true;
	}
	*out_error = (int)len;
	return false;
}

void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct channel *ch = w->channel;
	int error = 0;

	current_worker = w;
	channel_bind(ch);
	if (w->req->left)
		serve(w, w->req->len, zt_now_ns());
	take_duty(w);
	while (step(w, &error))
		;
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	w->done = true;
	mutex_unlock(&ch->lock);
	ending_comes(&ch->ending, error);
	return NULL;
}

bool worker_hold(struct channel *ch)
{
	struct worker *w = current_worker;
	struct request *instead = w ? pool_get(&ch->pool) : NULL;

	if (!instead)
		return false;
	mutex_lock_counted(&ch->lock, ZT_LOCK_TRANSPORT);
	request_set(w->req, REQUEST_HELD);
	w->req = instead;
	mutex_unlock(&ch->lock);
	return true;
}
