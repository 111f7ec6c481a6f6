// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * accel_wait.c - a managed stream of the pseudo-accelerator used synchronously: a request is
 * submitted, and waited for.
 *
 * Locks: the waiter's own, on its stack; nothing is called under it.
 */
#include <sched.h>

#include "backends/accel.h"
#include "backends/accel_ripe.h"

/* A thread that waits for one request, on its own stack. */
struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_done, is_unpinned;
	int error;
};

static void wake_waiter(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct waiter *waiter = arg;

	(void)strm;
	(void)req;
	accel_lock(&waiter->lock);
	waiter->error = error;
	waiter->is_done = true;
	pthread_cond_signal(&waiter->changed);
	accel_unlock(&waiter->lock);
}

static void unpin_waiter(void *arg)
{
	struct waiter *waiter = arg;

	accel_lock(&waiter->lock);
	waiter->is_unpinned = true;
	pthread_cond_signal(&waiter->changed);
	accel_unlock(&waiter->lock);
}

static bool is_over(struct waiter *waiter)
{
	bool over;

	accel_lock(&waiter->lock);
	over = waiter->is_done && waiter->is_unpinned;
	accel_unlock(&waiter->lock);
	return over;
}

/*
 * Ask the device, instead of sleeping until it interrupts, for as long as a request takes on an
 * idle device. What it has for others is delivered to them on the way.
 */
static void poll_device(struct accel *accel, struct waiter *waiter, size_t len)
{
	const struct zcomp_accel_params *params = &accel->params;
	const uint64_t until = accel_now(accel) + accel_work_ns(accel, len) +
			       (params->latency_us + params->poll_us) * UINT64_C(1000);

	while (params->poll_us && !is_over(waiter) && accel_now(accel) < until)
		if (accel_ripe_poll(accel, 1) == 0)
			sched_yield(); /* an engine may want this CPU */
}

/*
 * A request that is given up is waited for until the engine has let go of it (after the reset that
 * follows): its caller goes on to use the same buffers.
 */
int accel_submit_and_wait(struct accel *accel, struct zcomp_strm *strm, struct zcomp_req *req)
{
	struct waiter waiter = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	struct zcomp_req mine = *req;
	const struct zcomp_batch_entry entry = { .strm = strm, .req = &mine, .arg = &waiter };
	int taken;

	mine.unpin = unpin_waiter;
	mine.unpin_arg = &waiter;
	taken = accel_queue_submit(accel, &entry, 1, wake_waiter);
	if (taken > 0) {
		poll_device(accel, &waiter, mine.src_len);
		accel_lock(&waiter.lock);
		while (!waiter.is_done || !waiter.is_unpinned)
			pthread_cond_wait(&waiter.changed, &waiter.lock);
		accel_unlock(&waiter.lock);
		req->dst_len = mine.dst_len;
	}
	pthread_cond_destroy(&waiter.changed);
	pthread_mutex_destroy(&waiter.lock);
	return taken > 0 ? waiter.error : taken;
}
