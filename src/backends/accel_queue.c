// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * accel_queue.c - the queue of the device: bounded, filled without waiting; and the device's clock.
 *
 * Locks: queue_lock. No callback is called under it.
 */
#include <errno.h>
#include <time.h>

#include "backends/accel.h"

#define NS_PER_S 1000000000u

uint64_t accel_now(const struct accel *accel)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec +
	       atomic_load_explicit(&accel->clock_offset_ns, memory_order_relaxed);
}

/* A hook that moves the clock wakes everybody afterwards. */
void accel_wait_until(struct accel *accel, pthread_cond_t *cond, uint64_t until_ns)
{
	uint64_t offset = atomic_load_explicit(&accel->clock_offset_ns, memory_order_relaxed);
	uint64_t real = until_ns > offset ? until_ns - offset : 0;
	struct timespec until = { .tv_sec = (time_t)(real / NS_PER_S),
				  .tv_nsec = (long)(real % NS_PER_S) };
	int error = pthread_cond_timedwait(cond, &accel->queue_lock, &until);

	if (error && error != ETIMEDOUT)
		abort();
}

int accel_queue_init(struct accel *accel)
{
	pthread_condattr_t attr;

	TAILQ_INIT(&accel->queue);
	TAILQ_INIT(&accel->ripe);
	if (pthread_mutex_init(&accel->queue_lock, NULL) != 0)
		return -ENOMEM;
	if (pthread_condattr_init(&attr) != 0)
		goto err_lock;
	if (pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(&accel->work, &attr) != 0)
		goto err_attr;
	if (pthread_cond_init(&accel->revived, NULL) != 0)
		goto err_work;
	if (pthread_cond_init(&accel->watch_wake, &attr) != 0)
		goto err_revived;
	if (pthread_cond_init(&accel->watch_looked, NULL) != 0)
		goto err_wake;
	pthread_condattr_destroy(&attr);
	return 0;

err_wake:
	pthread_cond_destroy(&accel->watch_wake);
err_revived:
	pthread_cond_destroy(&accel->revived);
err_work:
	pthread_cond_destroy(&accel->work);
err_attr:
	pthread_condattr_destroy(&attr);
err_lock:
	pthread_mutex_destroy(&accel->queue_lock);
	return -ENOMEM;
}

void accel_queue_exit(struct accel *accel)
{
	pthread_cond_destroy(&accel->watch_looked);
	pthread_cond_destroy(&accel->watch_wake);
	pthread_cond_destroy(&accel->revived);
	pthread_cond_destroy(&accel->work);
	pthread_mutex_destroy(&accel->queue_lock);
}

void accel_watch_wake(struct accel *accel)
{
	pthread_cond_signal(&accel->watch_wake);
}

/* Into and out of the queue --------------------------------------------- */

/* What the device's door bell costs, by the parameters. */
static void spend_submission(const struct accel *accel, uint64_t now)
{
	uint64_t until = now + accel->params.submit_ns;

	while (accel->params.submit_ns && accel_now(accel) < until)
		;
}

void accel_state_set(struct managed_zstrm *mstrm, uint64_t state)
{
	atomic_store_explicit(&mstrm->state, state, memory_order_release);
}

/* queue_lock is held, and there is space. */
static void enqueue(struct accel *accel, struct managed_zstrm *mstrm)
{
	uint64_t turn =
		atomic_load_explicit(&mstrm->state, memory_order_relaxed) >> ACCEL_STATE_BITS;
	uint64_t in_flight =
		1 + atomic_fetch_add_explicit(&accel->in_flight, 1, memory_order_relaxed);

	accel_state_set(mstrm, ((turn + 1) << ACCEL_STATE_BITS) | ACCEL_QUEUED);
	TAILQ_INSERT_TAIL(&accel->queue, mstrm, link);
	accel->nr_queued++;
	if (in_flight > accel->in_flight_max)
		accel->in_flight_max = in_flight;
	if (accel->nr_waiting > 0)
		pthread_cond_signal(&accel->work);
}

/*
 * Signals are sent under the lock: once it is given back, the requests may be done and their owner
 * gone, and this queue with it.
 */
int accel_queue_submit(struct accel *accel, const struct zcomp_batch_entry *entries, uint32_t nr,
		       zcomp_done_fn done)
{
	uint64_t now = accel_now(accel);
	uint32_t nr_taken = 0;
	int error = -EBUSY;

	for (uint32_t i = 0; accel->params.unit && i < nr; i++)
		if (entries[i].req->src_len > accel->params.unit)
			return -EMSGSIZE;
	spend_submission(accel, now);
	for (uint32_t i = 0; i < nr; i++) {
		struct managed_zstrm *mstrm = accel_managed(entries[i].strm);

		mstrm->req = entries[i].req;
		mstrm->done = done;
		mstrm->arg = entries[i].arg;
		atomic_store_explicit(&mstrm->submitted_ns, now, memory_order_relaxed);
	}
	accel_lock(&accel->queue_lock);
	if (accel->stopping || accel->off)
		error = -ESHUTDOWN;
	else
		while (nr_taken < nr && accel->nr_queued < accel->params.depth)
			enqueue(accel, accel_managed(entries[nr_taken++].strm));
	if (nr_taken > 0)
		accel_count(&accel->submissions, 1);
	if (nr_taken > 0 && accel->watch_asleep)
		accel_watch_wake(accel);
	accel_unlock(&accel->queue_lock);
	return nr_taken > 0 ? (int)nr_taken : error;
}

void accel_queue_remove(struct accel *accel, struct managed_zstrm *mstrm)
{
	TAILQ_REMOVE(&accel->queue, mstrm, link);
	accel->nr_queued--;
}

bool accel_queue_cancel(struct accel *accel, struct managed_zstrm *mstrm, const void *arg)
{
	uint64_t state;
	bool found;

	accel_lock(&accel->queue_lock);
	state = atomic_load_explicit(&mstrm->state, memory_order_relaxed);
	found = accel_state_of(state) == ACCEL_QUEUED && mstrm->arg == arg;
	if (found) {
		accel_queue_remove(accel, mstrm);
		(void)accel_state_move(mstrm, state, ACCEL_CALLER); /* nobody else may, here */
		atomic_fetch_sub_explicit(&accel->in_flight, 1, memory_order_relaxed);
	}
	accel_unlock(&accel->queue_lock);
	return found;
}
