/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * gate.h - where requests are counted, and can be stopped for a moment.
 *
 * A request enters before its handler runs and leaves after it; between two rounds of a long one, and
 * where it waits for memory, it lets a closed gate have its moment. So when the gate is closed and
 * nobody is inside no request is half done, but for long ones, whose parts anybody may see.
 *
 * Locks: gate.lock, innermost; taken only while the gate is closed.
 */
#ifndef ZT_FS_GATE_H
#define ZT_FS_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/compiler.h"
#include "util/lock.h"

/* Threads count in different cache lines, so that a request pays for no other's. A power of two. */
#define GATE_NR_PLACES 16u

struct gate {
	/*
	 * Requests inside, by threads. No lock: sequentially consistent with closed, so that either the
	 * one who enters sees it closed, or the one who closes sees him.
	 */
	struct {
		_Alignas(64) atomic_uint nr;
	} inside[GATE_NR_PLACES];
	_Alignas(64) atomic_bool closed; /* changed under the lock */
	struct mutex lock;
	pthread_cond_t opened; /* those who want in wait here, */
	pthread_cond_t left; /* and here the one who has closed it */
};

void gate_init(struct gate *gate);
void gate_exit(struct gate *gate);

/**
 * gate_enter() - a request begins; waits while the gate is closed. One inside another is no matter.
 * gate_leave() - it has ended
 */
void gate_enter(struct gate *gate);
void gate_leave(struct gate *gate);

/**
 * gate_step_out() - this thread's request is at a place where it may be seen, and will wait
 * Return: for gate_step_in(), which must follow; 0 where it is not inside.
 */
unsigned gate_step_out(struct gate *gate);
void gate_step_in(struct gate *gate, unsigned was);

/** gate_give_way() - step out and in, if the gate is closed */
void gate_give_way(struct gate *gate);

/**
 * gate_close() - nobody enters, and nobody is inside; the caller is not
 * @until_ns: zt_now_ns() until which to wait for the last one to leave
 * Context: one thread at a time.
 * Return: 0, and gate_open() must follow; -EAGAIN: it is open again.
 */
int gate_close(struct gate *gate, uint64_t until_ns) ZT_MUST_CHECK;
void gate_open(struct gate *gate);

#endif
