// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * accel_engine.c - the device that the pseudo-accelerator pretends to be: engines (threads) that
 * empty its queue.
 *
 * An engine is a pipeline: what it has compressed stays in its line until the simulated latency is
 * over, while it works on what came later. So latency makes each request longer, but does not lower
 * the throughput, as long as the queue is deep enough.
 *
 * queue_lock guards only the queue; nothing is compressed and no callback is called under it.
 * Engines are joined by accel_engines_stop(), after the queue is empty.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "backends/accel.h"
#include "backends/accel_ripe.h"

int (*accel_create_thread)(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
			   void *arg) = pthread_create;

static void count_batch(struct accel *accel, uint32_t count)
{
	accel->batches[31u - (unsigned)__builtin_clz(count)]++;
}
static_assert(ZCOMP_ACCEL_MAX_BATCH < 1u << ZCOMP_BATCH_BUCKETS, "the largest batch has a bucket");

/*
 * When a request is to end that is taken now. The engine works on one at a time, of which each
 * page has it busy for work_ns; the latency comes on top, and overlaps. Nobody sleeps for the work:
 * ends are reckoned from one another, so that a thread that wakes late catches up.
 */
static uint64_t due_ns(struct accel_engine *engine, size_t len, uint64_t now)
{
	const struct zcomp_accel_params *params = &engine->accel->params;

	if (engine->busy_ns < now)
		engine->busy_ns = now;
	engine->busy_ns += accel_work_ns(engine->accel, len);
	return engine->busy_ns + params->latency_us * UINT64_C(1000);
}

/*
 * An engine takes several requests at once, so that the lock is not taken for each, but no more
 * than its share, so that none idles while another has a pile. queue_lock is held, the queue is not
 * empty.
 */
static void take_batch(struct accel_engine *engine)
{
	struct accel *accel = engine->accel;
	uint32_t share = accel->nr_queued / accel->nr_running;
	uint32_t max = accel->params.batch, count = share < 1 ? 1 : share > max ? max : share;
	uint64_t now = accel_now(accel);

	count_batch(accel, count);
	for (uint32_t i = 0; i < count; i++) {
		struct managed_zstrm *mstrm = TAILQ_FIRST(&accel->queue);
		uint64_t state = atomic_load_explicit(&mstrm->state, memory_order_relaxed);

		accel_queue_remove(accel, mstrm);
		mstrm->error = 0;
		mstrm->fault = accel_draw_fault(accel, &mstrm->error);
		mstrm->work = *mstrm->req;
		mstrm->due_ns = due_ns(engine, mstrm->req->src_len, now);
		atomic_store_explicit(&mstrm->engine, engine->number, memory_order_relaxed);
		(void)accel_state_move(mstrm, state, ACCEL_TAKEN); /* nobody else may, here */
		TAILQ_INSERT_TAIL(&engine->batch, mstrm, link);
	}
	atomic_store_explicit(&engine->progress_ns, now, memory_order_relaxed);
	atomic_fetch_add_explicit(&engine->nr_held, count, memory_order_relaxed);
}

static void count_finished(struct accel_engine *engine)
{
	atomic_store_explicit(&engine->progress_ns, accel_now(engine->accel), memory_order_relaxed);
	atomic_fetch_sub_explicit(&engine->nr_held, 1, memory_order_relaxed);
}

/* The engine is through with it, in whatever way. */
static void finish(struct accel_engine *engine, struct managed_zstrm *mstrm, int error)
{
	count_finished(engine);
	accel_conclude(engine->accel, mstrm, error);
}

static void finish_list(struct accel_engine *engine, struct accel_list *list, int error)
{
	struct managed_zstrm *mstrm;

	while ((mstrm = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, mstrm, link);
		finish(engine, mstrm, error ? error : mstrm->error);
	}
}

/* An engine ----------------------------------------------------------------- */

/* Deliver what is due; the rest of the line is younger. */
static void deliver(struct accel_engine *engine)
{
	struct managed_zstrm *mstrm;

	while ((mstrm = TAILQ_FIRST(&engine->line)) != NULL &&
	       mstrm->due_ns <= accel_now(engine->accel)) {
		TAILQ_REMOVE(&engine->line, mstrm, link);
		finish(engine, mstrm, mstrm->error);
	}
}

enum next_step { STEP_WORK, STEP_DELIVER, STEP_INTERRUPT, STEP_RESET, STEP_FLUSH, STEP_END };

/* What to do next; waits for it. */
static enum next_step next_step(struct accel_engine *engine)
{
	struct accel *accel = engine->accel;
	enum next_step step;

	accel_lock(&accel->queue_lock);
	for (;;) {
		const struct managed_zstrm *first = TAILQ_FIRST(&engine->line);
		const uint64_t interrupt_ns = accel_ripe_interrupt_ns(accel);
		const uint64_t due = first && first->due_ns < interrupt_ns ? first->due_ns
									   : interrupt_ns;

		if (engine->generation != accel->generation) {
			engine->generation = accel->generation;
			step = STEP_RESET;
			break;
		}
		if (interrupt_ns <= accel_now(accel)) {
			step = STEP_INTERRUPT;
			break;
		}
		if (!TAILQ_EMPTY(&accel->queue) && (!accel->held || accel->stopping)) {
			take_batch(engine);
			step = STEP_WORK;
			break;
		}
		if (accel->stopping) { /* no latency is waited for at the end */
			step = first ? STEP_FLUSH : STEP_END;
			break;
		}
		if (first && first->due_ns <= accel_now(accel)) {
			step = STEP_DELIVER;
			break;
		}
		accel->nr_waiting++;
		if (due != UINT64_MAX)
			accel_wait_until(accel, &accel->work, due);
		else
			pthread_cond_wait(&accel->work, &accel->queue_lock);
		accel->nr_waiting--;
	}
	accel_unlock(&accel->queue_lock);
	return step;
}

/* Nothing moves until a reset. At the end nobody resets any more. Return: what ended it. */
static int stall(struct accel_engine *engine, bool want_reset)
{
	struct accel *accel = engine->accel;
	int error;

	accel_lock(&accel->queue_lock);
	if (want_reset && !accel->stopping && engine->generation == accel->generation) {
		accel->reset_wanted = true;
		accel_watch_wake(accel);
	}
	accel->nr_stalled++;
	while (engine->generation == accel->generation && !accel->stopping)
		pthread_cond_wait(&accel->revived, &accel->queue_lock);
	accel->nr_stalled--;
	error = engine->generation != accel->generation ? -ECANCELED : -ESHUTDOWN;
	accel_unlock(&accel->queue_lock);
	return error;
}

static void die(struct accel_engine *engine)
{
	struct accel *accel = engine->accel;

	accel_lock(&accel->queue_lock);
	engine->state = ENGINE_DEAD;
	accel->nr_running--;
	accel->nr_dead++;
	accel_watch_wake(accel);
	accel_unlock(&accel->queue_lock);
}

static void compress(struct accel_engine *engine, struct managed_zstrm *mstrm)
{
	const struct accel *accel = engine->accel;

	engine->strm.buffer = mstrm->strm.buffer;
	engine->strm.buffer_size = mstrm->strm.buffer_size;
	engine->strm.local_copy = mstrm->strm.local_copy;
	engine->strm.local_copy_size = mstrm->strm.local_copy_size;
	mstrm->error = accel->inner_ops->compress(&accel->inner, &engine->strm, &mstrm->work);
}

/* One request, with what it is to meet. False: the engine has died of it. */
static bool work_off(struct accel_engine *engine, struct managed_zstrm *mstrm)
{
	uint64_t state = atomic_load_explicit(&mstrm->state, memory_order_acquire);

	if (accel_state_of(state) != ACCEL_TAKEN) { /* given up meanwhile */
		finish(engine, mstrm, 0);
		return true;
	}
	switch (mstrm->fault) {
	case ACCEL_FAULT_NONE:
		compress(engine, mstrm);
		break;
	case ACCEL_FAULT_FAIL:
		break; /* with the error that was drawn */
	case ACCEL_FAULT_STALL:
	case ACCEL_FAULT_RESET:
		mstrm->error = stall(engine, mstrm->fault == ACCEL_FAULT_RESET);
		break;
	case ACCEL_FAULT_KILL:
		TAILQ_INSERT_HEAD(&engine->batch, mstrm, link);
		die(engine);
		return false;
	}
	if (engine->accel->params.poll_us > 0 && accel_ripe_put(engine->accel, mstrm))
		count_finished(engine);
	else if (accel_takes_time(engine->accel))
		TAILQ_INSERT_TAIL(&engine->line, mstrm, link);
	else
		finish(engine, mstrm, mstrm->error);
	return true;
}

/* Nobody asked for what was completed poll_us ago. */
static void interrupt(struct accel *accel)
{
	const uint64_t poll_ns = accel->params.poll_us * UINT64_C(1000);

	(void)accel_ripe_deliver(accel, UINT32_MAX, accel_now(accel) - poll_ns);
}

/* False: the engine has died. */
static bool work_batch(struct accel_engine *engine)
{
	struct managed_zstrm *mstrm;

	while ((mstrm = TAILQ_FIRST(&engine->batch)) != NULL) {
		TAILQ_REMOVE(&engine->batch, mstrm, link);
		if (!work_off(engine, mstrm))
			return false;
		deliver(engine);
	}
	return true;
}

static void *engine_main(void *arg)
{
	struct accel_engine *engine = arg;
	char name[16];

	snprintf(name, sizeof(name), "zt-engine/%u", engine->number % 1000);
	pthread_setname_np(pthread_self(), name);
	if (accel_takes_time(engine->accel))
		prctl(PR_SET_TIMERSLACK, 1UL); /* the usual 50 us would be half of a latency */
	for (;;) {
		switch (next_step(engine)) {
		case STEP_WORK:
			if (!work_batch(engine))
				return NULL;
			break;
		case STEP_DELIVER:
			deliver(engine);
			break;
		case STEP_INTERRUPT:
			interrupt(engine->accel);
			break;
		case STEP_RESET:
			finish_list(engine, &engine->batch, -ECANCELED);
			finish_list(engine, &engine->line, -ECANCELED);
			break;
		case STEP_FLUSH:
			finish_list(engine, &engine->line, 0);
			break;
		case STEP_END:
			return NULL;
		}
	}
}

/* Signals are for the program's own threads: engines start with all of them blocked. */
int accel_engine_run(struct accel_engine *engine)
{
	struct accel *accel = engine->accel;
	sigset_t all, old;
	int error;

	TAILQ_INIT(&engine->batch);
	TAILQ_INIT(&engine->line);
	engine->busy_ns = 0;
	accel_lock(&accel->queue_lock);
	engine->generation = accel->generation;
	engine->state = ENGINE_RUNS;
	atomic_store_explicit(&engine->nr_held, 0, memory_order_relaxed);
	accel->nr_running++;
	accel_unlock(&accel->queue_lock);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = accel_create_thread(&engine->thread, NULL, engine_main, engine);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error) {
		accel_lock(&accel->queue_lock);
		engine->state = ENGINE_NONE;
		accel->nr_running--;
		accel_unlock(&accel->queue_lock);
	}
	return -error;
}

static int start_engine(struct accel *accel, uint32_t number)
{
	struct accel_engine *engine = &accel->engines[number];
	int error;

	engine->accel = accel;
	engine->number = number;
	error = accel->inner_ops->create_ctx(&accel->inner, &engine->strm.ctx);
	if (error)
		return error;
	error = accel_engine_run(engine);
	if (error)
		accel->inner_ops->destroy_ctx(&accel->inner, &engine->strm.ctx);
	return error;
}

void accel_engines_start(struct accel *accel, uint32_t wanted)
{
	for (uint32_t i = 0; i < wanted && start_engine(accel, i) == 0; i++) {
		accel_lock(&accel->queue_lock); /* the watchdog runs already */
		accel->nr_engines++;
		accel_unlock(&accel->queue_lock);
	}
}

void accel_engines_stop(struct accel *accel)
{
	accel_lock(&accel->queue_lock);
	accel->stopping = true;
	pthread_cond_broadcast(&accel->work);
	pthread_cond_broadcast(&accel->revived);
	accel_unlock(&accel->queue_lock);
	accel_watch_stop(accel);
	for (uint32_t i = 0; i < accel->nr_engines; i++) {
		struct accel_engine *engine = &accel->engines[i];
		bool has_thread;

		accel_lock(&accel->queue_lock);
		has_thread = engine->state != ENGINE_NONE;
		accel_unlock(&accel->queue_lock);
		if (has_thread)
			pthread_join(engine->thread, NULL);
		engine->state = ENGINE_NONE;
	}
	accel_ripe_end(accel);
	accel_sweep(accel, -ESHUTDOWN);
	for (uint32_t i = 0; i < accel->nr_engines; i++)
		accel->inner_ops->destroy_ctx(&accel->inner, &accel->engines[i].strm.ctx);
	accel->nr_engines = 0;
}
