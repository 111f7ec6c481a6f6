// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gate.c - requests are counted, and stopped for a moment. See gate.h.
 *
 * Locks: gate.lock.
 */
#include "fs/gate.h"

#include <errno.h>

#include "util/clock.h"

/* Where this thread is inside, and how deep. */
static _Thread_local struct gate *inside;
static _Thread_local unsigned depth;

static atomic_uint *place_of(struct gate *gate)
{
	static atomic_uint nr_threads;
	static _Thread_local unsigned number;

	if (unlikely(!number))
		number = 1 + atomic_fetch_add_explicit(&nr_threads, 1, memory_order_relaxed);
	return &gate->inside[number % GATE_NR_PLACES].nr;
}

void gate_init(struct gate *gate)
{
	for (unsigned i = 0; i < GATE_NR_PLACES; i++)
		atomic_init(&gate->inside[i].nr, 0);
	atomic_init(&gate->closed, false);
	mutex_init(&gate->lock, ZT_RANK_GATE);
	cond_init(&gate->opened);
	cond_init(&gate->left);
}

void gate_exit(struct gate *gate)
{
	cond_exit(&gate->left);
	cond_exit(&gate->opened);
	mutex_exit(&gate->lock);
}

static void step_out(struct gate *gate)
{
	atomic_fetch_sub(place_of(gate), 1);
	if (likely(!atomic_load(&gate->closed)))
		return;
	mutex_lock(&gate->lock);
	cond_signal(&gate->left);
	mutex_unlock(&gate->lock);
}

static void step_in(struct gate *gate)
{
	atomic_fetch_add(place_of(gate), 1);
	while (unlikely(atomic_load(&gate->closed))) {
		step_out(gate);
		mutex_lock(&gate->lock);
		while (atomic_load(&gate->closed))
			cond_wait(&gate->opened, &gate->lock);
		mutex_unlock(&gate->lock);
		atomic_fetch_add(place_of(gate), 1);
	}
}

void gate_enter(struct gate *gate)
{
	if (inside == gate) {
		depth++;
		return;
	}
	step_in(gate);
	inside = gate;
	depth = 1;
}

void gate_leave(struct gate *gate)
{
	if (--depth > 0)
		return;
	inside = NULL;
	step_out(gate);
}

unsigned gate_step_out(struct gate *gate)
{
	const unsigned was = inside == gate ? depth : 0;

	if (was) {
		inside = NULL;
		step_out(gate);
	}
	return was;
}

void gate_step_in(struct gate *gate, unsigned was)
{
	if (!was)
		return;
	step_in(gate);
	inside = gate;
	depth = was;
}

void gate_give_way(struct gate *gate)
{
	if (unlikely(atomic_load_explicit(&gate->closed, memory_order_relaxed)))
		gate_step_in(gate, gate_step_out(gate));
}

static unsigned nr_inside(struct gate *gate)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < GATE_NR_PLACES; i++)
		nr += atomic_load(&gate->inside[i].nr);
	return nr;
}

static void open_locked(struct gate *gate) ZT_REQUIRES(&gate->lock)
{
	atomic_store(&gate->closed, false);
	cond_broadcast(&gate->opened);
}

int gate_close(struct gate *gate, uint64_t until_ns)
{
	const struct timespec until = zt_timespec(until_ns);
	int error = 0;

	mutex_lock(&gate->lock);
	atomic_store(&gate->closed, true);
	while (!error && nr_inside(gate) > 0)
		if (!cond_wait_until(&gate->left, &gate->lock, &until) && nr_inside(gate) > 0)
			error = -EAGAIN;
	if (error)
		open_locked(gate);
	mutex_unlock(&gate->lock);
	return error;
}

void gate_open(struct gate *gate)
{
	mutex_lock(&gate->lock);
	open_locked(gate);
	mutex_unlock(&gate->lock);
}
