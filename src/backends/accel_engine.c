// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * accel_engine.c - the device that the pseudo-accelerator pretends to be: a bounded queue, filled
 * without waiting, and engines (threads) that empty it.
 *
 * queue_lock covers the queue only; nothing is compressed and nobody is called back under it.
 * Engines are joined by accel_engines_stop(), after the queue is empty.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "backends/accel.h"

/*
 * An engine takes several requests at once, so that the lock is not taken for each, but no more
 * than its share, so that none idles while another has a pile.
 */
#define MAX_BATCH 8u

int (*accel_create_thread)(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
			   void *arg) = pthread_create;

int accel_queue_init(struct accel *accel)
{
	accel->tail = &accel->head;
	if (pthread_mutex_init(&accel->queue_lock, NULL) != 0)
		return -ENOMEM;
	if (pthread_cond_init(&accel->work, NULL) == 0)
		return 0;
	pthread_mutex_destroy(&accel->queue_lock);
	return -ENOMEM;
}

void accel_queue_exit(struct accel *accel)
{
	pthread_cond_destroy(&accel->work);
	pthread_mutex_destroy(&accel->queue_lock);
}

/*
 * The signal is sent under the lock: once it is given back, the request may be done and its owner
 * gone, and this queue with it.
 */
int accel_queue_submit(struct accel *accel, struct managed_zstrm *mstrm, struct zcomp_req *req,
		       zcomp_done_fn done, void *arg)
{
	uint64_t in_flight;
	int error = -EBUSY;

	mstrm->req = req;
	mstrm->done = done;
	mstrm->arg = arg;
	mstrm->next = NULL;
	accel_lock(&accel->queue_lock);
	if (!accel->stopping && accel->nr_queued < accel->depth) {
		*accel->tail = mstrm;
		accel->tail = &mstrm->next;
		accel->nr_queued++;
		in_flight =
			1 + atomic_fetch_add_explicit(&accel->in_flight, 1, memory_order_relaxed);
		if (in_flight > accel->in_flight_max)
			accel->in_flight_max = in_flight;
		if (accel->nr_waiting > 0)
			pthread_cond_signal(&accel->work);
		error = 0;
	}
	accel_unlock(&accel->queue_lock);
	return error;
}

/*
 * Take a batch from the front; each request that a hook wants to fail gets its error. queue_lock is
 * held.
 */
static struct managed_zstrm *take_batch_locked(struct accel *accel, int errors[MAX_BATCH])
{
	uint32_t share = accel->nr_queued / accel->nr_engines;
	uint32_t count = share < 1 ? 1 : share > MAX_BATCH ? MAX_BATCH : share;
	struct managed_zstrm *first = accel->head;
	struct managed_zstrm **end = &accel->head;

	for (uint32_t i = 0; i < count; i++) {
		errors[i] = 0;
		if (accel->nr_fail > 0) {
			accel->nr_fail--;
			errors[i] = accel->fail_error;
		}
		end = &(*end)->next;
	}
	accel->head = *end;
	*end = NULL;
	if (!accel->head)
		accel->tail = &accel->head;
	accel->nr_queued -= count;
	return first;
}

/* Wait for work. NULL: stopping, and nothing is left. */
static struct managed_zstrm *take_batch(struct accel *accel, int errors[MAX_BATCH])
{
	struct managed_zstrm *first = NULL;

	accel_lock(&accel->queue_lock);
	while ((!accel->head || accel->held) && !accel->stopping) {
		accel->nr_waiting++;
		pthread_cond_wait(&accel->work, &accel->queue_lock);
		accel->nr_waiting--;
	}
	if (accel->head)
		first = take_batch_locked(accel, errors);
	accel_unlock(&accel->queue_lock);
	return first;
}

/* After done() the stream is its caller's again, or somebody else's: nothing of it is touched. */
static void work_off(struct accel_engine *engine, struct managed_zstrm *mstrm, int error)
{
	struct accel *accel = engine->accel;

	if (!error) {
		mstrm->strm.ctx = engine->ctx;
		error = accel->inner_ops->compress(&accel->inner, &mstrm->strm, mstrm->req);
		mstrm->strm.ctx.context = NULL;
	}
	atomic_fetch_sub_explicit(&accel->in_flight, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&accel->completed, 1, memory_order_relaxed);
	mstrm->done(mstrm->arg, &mstrm->strm, mstrm->req, error);
}

static void *engine_main(void *arg)
{
	struct accel_engine *engine = arg;
	struct managed_zstrm *mstrm;
	int errors[MAX_BATCH];
	char name[16];

	snprintf(name, sizeof(name), "zt-engine/%u", engine->number % 1000);
	pthread_setname_np(pthread_self(), name);
	while ((mstrm = take_batch(engine->accel, errors)) != NULL) {
		for (size_t i = 0; mstrm; i++) {
			struct managed_zstrm *next = mstrm->next;

			work_off(engine, mstrm, errors[i]);
			mstrm = next;
		}
	}
	return NULL;
}

static int start_engine(struct accel *accel, struct accel_engine *engine, uint32_t number)
{
	int error;

	engine->accel = accel;
	engine->number = number;
	error = accel->inner_ops->create_ctx(&accel->inner, &engine->ctx);
	if (error)
		return error;
	error = accel_create_thread(&engine->thread, NULL, engine_main, engine);
	if (error)
		accel->inner_ops->destroy_ctx(&accel->inner, &engine->ctx);
	return -error;
}

/*
 * Signals are for the program's own threads: engines start with all of them blocked. They look at
 * nr_engines only when there is work, which comes after this.
 */
void accel_engines_start(struct accel *accel, uint32_t wanted)
{
	sigset_t all, old;
	uint32_t started = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (started < wanted && start_engine(accel, &accel->engines[started], started) == 0)
		started++;
	accel->nr_engines = started;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void accel_engines_stop(struct accel *accel)
{
	accel_lock(&accel->queue_lock);
	accel->stopping = true;
	pthread_cond_broadcast(&accel->work);
	accel_unlock(&accel->queue_lock);
	for (uint32_t i = 0; i < accel->nr_engines; i++) {
		struct accel_engine *engine = &accel->engines[i];

		pthread_join(engine->thread, NULL);
		accel->inner_ops->destroy_ctx(&accel->inner, &engine->ctx);
	}
	accel->nr_engines = 0;
}

void accel_hold(const struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;

	accel_lock(&accel->queue_lock);
	accel->held = true;
	accel_unlock(&accel->queue_lock);
}

void accel_release(const struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;

	accel_lock(&accel->queue_lock);
	accel->held = false;
	pthread_cond_broadcast(&accel->work);
	accel_unlock(&accel->queue_lock);
}

void accel_fail_next(const struct zcomp_params *params, uint64_t count, int error)
{
	struct accel *accel = params->drv_data;

	accel_lock(&accel->queue_lock);
	accel->nr_fail = count;
	accel->fail_error = error;
	accel_unlock(&accel->queue_lock);
}
