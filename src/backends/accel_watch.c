// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * accel_watch.c - the driver's watchdog: deadlines, resets, engines that died.
 *
 * One thread, "zt-watch". It sleeps while nothing is in the device, and otherwise looks four times
 * per deadline:
 *   a request that missed its deadline is taken back from the queue, or given up if an engine has
 *   it already;
 *   an engine that has work and got nothing done for long (one deadline, if the user chose it)
 *   makes the device be reset: all that is in it ends with an error, and the engines begin anew;
 *   an engine that died is joined, what it had ends with an error, and it gets a new thread.
 * When that happens too often, managed streams are switched off for good, and the stat says why.
 *
 * Locks: queue_lock, under which it looks; callers are told without it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "backends/accel.h"
#include "backends/accel_ripe.h"

/* A look costs a walk over all streams. */
#define MIN_TICK_NS 1000000u
/* Nothing was submitted for so long: buffers give their memory back. */
#define COOL_NS 100000000u

/* Three resets, or sixteen deaths of engines, ... */
#define STRIKES_RESET 6u
#define STRIKES_DEATH 1u
#define MAX_STRIKES   16u
/* ... each with fewer than so many good results since the one before. */
#define GOOD_RUN 4096u

static const char resets_reason[] = "the accelerator had to be reset again and again";
static const char deaths_reason[] = "the accelerator's engines died again and again";
static const char none_reason[] = "no engine of the accelerator could be started again";

/* Under queue_lock: things change hands --------------------------------------- */

static void take_back(struct accel *accel, struct managed_zstrm *mstrm, struct accel_list *list)
{
	uint64_t state = atomic_load_explicit(&mstrm->state, memory_order_relaxed);

	accel_queue_remove(accel, mstrm);
	(void)accel_state_move(mstrm, state, ACCEL_CALLER); /* nobody else may, under the lock */
	TAILQ_INSERT_TAIL(list, mstrm, link);
}

static bool is_late(const struct accel *accel, const struct managed_zstrm *mstrm, uint64_t now)
{
	return atomic_load_explicit(&mstrm->submitted_ns, memory_order_relaxed) +
		       accel->deadline_ns <=
	       now;
}

/* The oldest stand first. */
static void take_back_late(struct accel *accel, uint64_t now, struct accel_list *list)
{
	struct managed_zstrm *mstrm;

	while ((mstrm = TAILQ_FIRST(&accel->queue)) != NULL && is_late(accel, mstrm, now))
		take_back(accel, mstrm, list);
}

static void take_back_all(struct accel *accel, struct accel_list *list)
{
	struct managed_zstrm *mstrm;

	while ((mstrm = TAILQ_FIRST(&accel->queue)) != NULL)
		take_back(accel, mstrm, list);
}

/*
 * Give up what engines have: all of it for a reset, else what is late. An engine may finish first.
 */
static void give_up(struct accel *accel, uint64_t now, bool reset)
{
	accel->nr_found = 0;
	for (uint32_t i = 0; i < accel->nr_streams; i++) {
		struct managed_zstrm *mstrm = &accel->streams[i];
		uint64_t state = atomic_load_explicit(&mstrm->state, memory_order_acquire);
		bool late;

		if (accel_state_of(state) != ACCEL_TAKEN)
			continue;
		late = is_late(accel, mstrm, now);
		if ((late || reset) && accel_state_move(mstrm, state, ACCEL_GIVEN_UP))
			accel->found[accel->nr_found++] =
				(struct accel_found){ .mstrm = mstrm,
						      .error = late ? -ETIMEDOUT : -ECANCELED };
	}
}

/*
 * Has work, and got nothing done for long. A reset gives it its time anew: one that has not heard
 * of it yet is no reason for the next.
 */
static bool engine_hangs(const struct accel *accel, const struct accel_engine *engine, uint64_t now)
{
	uint64_t since = atomic_load_explicit(&engine->progress_ns, memory_order_relaxed);

	if (since < accel->reset_ns)
		since = accel->reset_ns;
	return engine->state == ENGINE_RUNS &&
	       atomic_load_explicit(&engine->nr_held, memory_order_relaxed) > 0 &&
	       since + accel->hang_ns <= now;
}

static bool any_hangs(const struct accel *accel, uint64_t now)
{
	for (uint32_t i = 0; i < accel->nr_engines; i++)
		if (engine_hangs(accel, &accel->engines[i], now))
			return true;
	return false;
}

static bool engines_hold(const struct accel *accel)
{
	for (uint32_t i = 0; i < accel->nr_engines; i++)
		if (accel->engines[i].state == ENGINE_RUNS &&
		    atomic_load_explicit(&accel->engines[i].nr_held, memory_order_relaxed) > 0)
			return true;
	return false;
}

/* From now on nothing new is taken in; what is queued is to be ended by the caller. */
static void switch_off(struct accel *accel, const char *reason, struct accel_list *list)
{
	char line[160];

	if (accel->off || accel->stopping)
		return;
	accel->off = reason;
	atomic_store_explicit(&accel->closed, true, memory_order_relaxed);
	take_back_all(accel, list);
	snprintf(line, sizeof(line), "accel: managed streams are switched off: %s", reason);
	accel->inner.host->log(line);
}

static bool strike(struct accel *accel, unsigned weight)
{
	uint64_t good = atomic_load_explicit(&accel->good, memory_order_relaxed);

	if (good - accel->good_at_strike >= GOOD_RUN)
		accel->nr_strikes = 0;
	accel->good_at_strike = good;
	accel->nr_strikes += weight;
	return accel->nr_strikes >= MAX_STRIKES && !accel->patient;
}

/* Without queue_lock: callers are told ----------------------------------------- */

static void end_list(struct accel *accel, struct accel_list *list, int error)
{
	struct managed_zstrm *mstrm;

	while ((mstrm = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, mstrm, link);
		accel_end(accel, mstrm, error, false);
	}
}

static void end_found(struct accel *accel)
{
	for (uint32_t i = 0; i < accel->nr_found; i++)
		accel_end(accel, accel->found[i].mstrm, accel->found[i].error, true);
}

/* What an engine had that runs no more; ENGINE_ANY: all of them. */
#define ENGINE_ANY UINT32_MAX

static void end_orphans(struct accel *accel, uint32_t engine, int error)
{
	for (uint32_t i = 0; i < accel->nr_streams; i++) {
		struct managed_zstrm *mstrm = &accel->streams[i];
		uint64_t state = atomic_load_explicit(&mstrm->state, memory_order_acquire);

		if (accel_state_of(state) != ACCEL_TAKEN &&
		    accel_state_of(state) != ACCEL_GIVEN_UP &&
		    accel_state_of(state) != ACCEL_RETURNED)
			continue;
		if (engine != ENGINE_ANY &&
		    atomic_load_explicit(&mstrm->engine, memory_order_relaxed) != engine)
			continue;
		if (accel_state_of(state) != ACCEL_TAKEN)
			accel_let_go(accel, mstrm);
		else if (accel_state_move(mstrm, state, ACCEL_CALLER))
			accel_end(accel, mstrm, error, false);
	}
}

void accel_sweep(struct accel *accel, int error)
{
	struct accel_list list = TAILQ_HEAD_INITIALIZER(list);

	accel_lock(&accel->queue_lock);
	take_back_all(accel, &list);
	accel_unlock(&accel->queue_lock);
	end_list(accel, &list, error);
	end_orphans(accel, ENGINE_ANY, error);
}

/* queue_lock is held, and given back meanwhile. */
static void bury(struct accel *accel, struct accel_engine *engine)
{
	struct accel_list list = TAILQ_HEAD_INITIALIZER(list);

	engine->state = ENGINE_NONE;
	accel->nr_dead--;
	if (strike(accel, STRIKES_DEATH))
		switch_off(accel, deaths_reason, &list);
	accel_unlock(&accel->queue_lock);
	pthread_join(engine->thread, NULL);
	end_orphans(accel, engine->number, -EOWNERDEAD);
	if (accel_engine_run(engine) == 0)
		accel_count(&accel->restarts, 1);
	accel_lock(&accel->queue_lock);
	if (accel->nr_running == 0)
		switch_off(accel, none_reason, &list);
	accel_unlock(&accel->queue_lock);
	end_list(accel, &list, -ESHUTDOWN);
	accel_lock(&accel->queue_lock);
}

/* queue_lock is held, and given back meanwhile. */
static void look(struct accel *accel)
{
	struct accel_list late = TAILQ_HEAD_INITIALIZER(late);
	struct accel_list cancelled = TAILQ_HEAD_INITIALIZER(cancelled);
	uint64_t now = accel_now(accel), looks = accel->looks_wanted;
	bool reset = accel->reset_wanted || any_hangs(accel, now);

	take_back_late(accel, now, &late);
	give_up(accel, now, reset);
	if (reset) {
		accel->reset_wanted = false;
		accel->generation++;
		accel->reset_ns = now;
		take_back_all(accel, &cancelled);
		pthread_cond_broadcast(&accel->work);
		pthread_cond_broadcast(&accel->revived);
		accel_count(&accel->resets, 1);
		if (strike(accel, STRIKES_RESET))
			switch_off(accel, resets_reason, &cancelled); /* nothing else is queued */
	}
	accel_unlock(&accel->queue_lock);
	end_list(accel, &late, -ETIMEDOUT);
	end_list(accel, &cancelled, -ECANCELED);
	end_found(accel);
	accel_lock(&accel->queue_lock);
	for (uint32_t i = 0; accel->nr_dead > 0 && i < accel->nr_engines; i++)
		if (accel->engines[i].state == ENGINE_DEAD)
			bury(accel, &accel->engines[i]);
	accel->looks_done = looks;
	pthread_cond_broadcast(&accel->watch_looked);
	accel->next_look_ns =
		accel_now(accel) +
		(accel->deadline_ns / 4 > MIN_TICK_NS ? accel->deadline_ns / 4 : MIN_TICK_NS);
}

/*
 * Nothing is in flight: sleep until something is submitted. Before that, when nothing was for a
 * while, what the streams' buffers hold goes back; queue_lock is given back meanwhile.
 */
static void rest(struct accel *accel)
{
	uint64_t completed = atomic_load_explicit(&accel->completed, memory_order_relaxed);

	if (completed != accel->completed_seen) {
		accel->completed_seen = completed;
		accel->warm = true;
		accel->cool_ns = accel_now(accel) + COOL_NS;
	}
	if (accel->warm && accel_now(accel) >= accel->cool_ns) {
		accel->warm = false;
		accel_unlock(&accel->queue_lock);
		accel_idle_cool(accel);
		accel_lock(&accel->queue_lock);
		return;
	}
	accel->watch_asleep = true;
	if (accel->warm)
		accel_wait_until(accel, &accel->watch_wake, accel->cool_ns);
	else
		pthread_cond_wait(&accel->watch_wake, &accel->queue_lock);
	accel->watch_asleep = false;
}

static void *watch_main(void *arg)
{
	struct accel *accel = arg;

	pthread_setname_np(pthread_self(), "zt-watch");
	accel_lock(&accel->queue_lock);
	while (!accel->watch_stop) {
		if (accel->looks_wanted != accel->looks_done || accel->reset_wanted ||
		    accel->nr_dead > 0 || accel_now(accel) >= accel->next_look_ns) {
			look(accel);
		} else if (atomic_load_explicit(&accel->in_flight, memory_order_relaxed) == 0 &&
			   !engines_hold(accel)) {
			rest(accel);
		} else {
			accel_wait_until(accel, &accel->watch_wake, accel->next_look_ns);
		}
	}
	accel->looks_done = accel->looks_wanted;
	pthread_cond_broadcast(&accel->watch_looked);
	accel_unlock(&accel->queue_lock);
	return NULL;
}

int accel_watch_start(struct accel *accel)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = accel_create_thread(&accel->watch, NULL, watch_main, accel);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	accel->has_watch = error == 0;
	return -error;
}

void accel_watch_stop(struct accel *accel)
{
	if (!accel->has_watch)
		return;
	accel_lock(&accel->queue_lock);
	accel->watch_stop = true;
	accel_watch_wake(accel);
	accel_unlock(&accel->queue_lock);
	pthread_join(accel->watch, NULL);
	accel->has_watch = false;
}
