// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * accel_ripe.c - how requests end; and completions without an interrupt: what engines have done
 * waits here to be asked for, and comes by itself when nobody asked for poll_us.
 *
 * The interrupt is an engine that finds it overdue. Requests of one engine are in the order of
 * their ends; where engines differ, one that is not due may be in front of one that is, until the
 * latter's interrupt.
 *
 * Locks: queue_lock, for the list. It is given back around done().
 */
#include <errno.h>

#include "backends/accel.h"
#include "backends/accel_ripe.h"

/* Ends ------------------------------------------------------------------- */

/* After done() the stream is its caller's again, or somebody else's: nothing of it is touched. */
void accel_end(struct accel *accel, struct managed_zstrm *mstrm, int error, bool pinned)
{
	void (*unpin)(void *arg) = pinned ? NULL : mstrm->req->unpin;
	void *unpin_arg = mstrm->req->unpin_arg;

	atomic_fetch_sub_explicit(&accel->in_flight, 1, memory_order_relaxed);
	accel_count(&accel->completed, 1);
	mstrm->done(mstrm->arg, &mstrm->strm, mstrm->req, error);
	if (unpin)
		unpin(unpin_arg);
}

void accel_let_go(struct accel *accel, struct managed_zstrm *mstrm)
{
	uint64_t state = atomic_load_explicit(&mstrm->state, memory_order_acquire);
	void (*unpin)(void *arg) = mstrm->work.unpin;
	void *unpin_arg = mstrm->work.unpin_arg;
	bool returned = accel_state_of(state) == ACCEL_RETURNED;

	accel_count(&accel->late, 1);
	/* Its caller may put it just now. */
	if (!returned && !accel_state_move(mstrm, state, ACCEL_CALLER))
		returned = true;
	if (returned) {
		state = atomic_load_explicit(&mstrm->state, memory_order_relaxed);
		accel_state_set(mstrm,
				(state >> ACCEL_STATE_BITS << ACCEL_STATE_BITS) | ACCEL_CALLER);
		accel_idle_push(accel, mstrm);
	}
	if (unpin)
		unpin(unpin_arg);
}

void accel_conclude(struct accel *accel, struct managed_zstrm *mstrm, int error)
{
	uint64_t state = atomic_load_explicit(&mstrm->state, memory_order_acquire);

	if (accel_state_of(state) != ACCEL_TAKEN || !accel_state_move(mstrm, state, ACCEL_CALLER)) {
		accel_let_go(accel, mstrm);
		return;
	}
	if (!error || error == -ENOSPC)
		accel_count(&accel->good, 1);
	if (!error)
		mstrm->req->dst_len = mstrm->work.dst_len;
	accel_end(accel, mstrm, error, false);
}

/* What waits ---------------------------------------------------------------- */

bool accel_ripe_put(struct accel *accel, struct managed_zstrm *mstrm)
{
	bool taken;

	accel_lock(&accel->queue_lock);
	taken = !accel->stopping;
	if (taken) {
		/* It is no orphan when that engine dies. */
		atomic_store_explicit(&mstrm->engine, ACCEL_NO_ENGINE, memory_order_relaxed);
		TAILQ_INSERT_TAIL(&accel->ripe, mstrm, link);
	}
	accel_unlock(&accel->queue_lock);
	return taken;
}

uint32_t accel_ripe_deliver(struct accel *accel, uint32_t max, uint64_t before_ns)
{
	uint32_t nr = 0;

	accel_lock(&accel->queue_lock);
	while (nr < max) {
		struct managed_zstrm *mstrm = TAILQ_FIRST(&accel->ripe);

		if (!mstrm || mstrm->due_ns > before_ns)
			break;
		TAILQ_REMOVE(&accel->ripe, mstrm, link);
		accel->nr_polling++;
		accel_unlock(&accel->queue_lock);
		accel_conclude(accel, mstrm, mstrm->error);
		nr++;
		accel_lock(&accel->queue_lock);
		accel->nr_polling--;
	}
	if (accel->stopping && accel->nr_polling == 0)
		pthread_cond_broadcast(&accel->revived);
	accel_unlock(&accel->queue_lock);
	return nr;
}

uint32_t accel_ripe_poll(struct accel *accel, uint32_t max)
{
	const uint32_t nr = accel_ripe_deliver(accel, max, accel_now(accel));

	accel_count(&accel->polled, nr);
	return nr;
}

uint64_t accel_ripe_interrupt_ns(const struct accel *accel)
{
	const struct managed_zstrm *first = TAILQ_FIRST(&accel->ripe);

	return first ? first->due_ns + accel->params.poll_us * UINT64_C(1000) : UINT64_MAX;
}

void accel_ripe_end(struct accel *accel)
{
	(void)accel_ripe_deliver(accel, UINT32_MAX, UINT64_MAX); /* however many there are */
	accel_lock(&accel->queue_lock);
	while (accel->nr_polling > 0)
		pthread_cond_wait(&accel->revived, &accel->queue_lock);
	accel_unlock(&accel->queue_lock);
}
