/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * accel.h - the inside of the pseudo-accelerator, and the hooks by which tests hold it still.
 *
 *   accel.c         the table: parameters, managed streams, synchronous calls
 *   accel_engine.c  the device: a bounded queue and its engines
 *
 * A managed stream is in one place at a time:
 *
 *   idle list -get-> caller -submit-> queue -take-> engine -done-> caller -put-> idle list
 *
 * Locks: idle_lock and queue_lock. They are never held together, and nothing is called under them.
 */
#ifndef ZT_BACKENDS_ACCEL_H
#define ZT_BACKENDS_ACCEL_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "ztmpfs/zcomp.h"

struct accel;

/* A stream that the accelerator manages: no lock, since it has one owner at a time. */
struct managed_zstrm {
	struct zcomp_strm strm;
	struct managed_zstrm *next; /* in the idle list or in the queue */
	struct zcomp_req *req; /* these three: from submit to done */
	zcomp_done_fn done;
	void *arg;
};

/* One worker thread. It has a context; streams have none, since they are many and engines few. */
struct accel_engine {
	struct accel *accel;
	uint32_t number;
	pthread_t thread;
	struct zcomp_ctx ctx; /* of the algorithm inside */
};

struct accel {
	/* Immutable after set-up. */
	struct zcomp_params inner; /* of the algorithm inside */
	const struct zcomp_ops *inner_ops;
	uint32_t depth;
	uint32_t nr_streams; /* depth in the queue, and one in the hands of each engine */
	struct managed_zstrm *streams;
	size_t streams_size;
	char *buffers; /* of all streams */
	size_t buffers_size;
	struct accel_engine *engines;
	uint32_t nr_engines; /* those that run; changed only when there are no other threads */

	alignas(64) pthread_mutex_t idle_lock;
	struct managed_zstrm *idle; /* last in, first out: warm buffers first */
	bool closed; /* stopping: no stream is handed out */

	alignas(64) pthread_mutex_t queue_lock;
	pthread_cond_t work; /* something to take, or stopping; waited for by engines */
	struct managed_zstrm *head, **tail; /* first in, first out */
	uint32_t nr_queued; /* at most depth */
	uint32_t nr_waiting; /* engines that wait for work */
	bool stopping;
	bool held; /* by a hook: engines take nothing */
	uint64_t nr_fail; /* by a hook: so many requests still to fail */
	int fail_error;
	uint64_t in_flight_max;

	/* Relaxed: they order nothing. */
	alignas(64) atomic_uint_fast64_t in_flight; /* submitted, done() not called yet */
	atomic_uint_fast64_t completed;
};

/* A lock call fails only for a broken invariant of ours. */
static inline void accel_lock(pthread_mutex_t *mutex)
{
	if (pthread_mutex_lock(mutex) != 0)
		abort();
}

static inline void accel_unlock(pthread_mutex_t *mutex)
{
	if (pthread_mutex_unlock(mutex) != 0)
		abort();
}

/* accel_engine.c */

/** accel_queue_init() - an empty queue; no engine yet. Return: 0 or -ENOMEM. */
int accel_queue_init(struct accel *accel);
void accel_queue_exit(struct accel *accel);

/** accel_engines_start() - start up to @wanted engines; @accel->nr_engines says how many run */
void accel_engines_start(struct accel *accel, uint32_t wanted);

/** accel_engines_stop() - refuse new requests, work off the queue, join; may be called again */
void accel_engines_stop(struct accel *accel);

/** accel_queue_submit() - Return: 0, -EBUSY when full or stopping. */
int accel_queue_submit(struct accel *accel, struct managed_zstrm *mstrm, struct zcomp_req *req,
		       zcomp_done_fn done, void *arg);

/*
 * Hooks for tests, of any layer: @params is what zcomp_get_params() returns for a zcomp whose
 * managed streams are on. Any thread.
 */

/** accel_hold() - engines take nothing more from the queue, until accel_release() or stop */
void accel_hold(const struct zcomp_params *params);
void accel_release(const struct zcomp_params *params);

/** accel_fail_next() - the next @count requests that engines take just end with @error */
void accel_fail_next(const struct zcomp_params *params, uint64_t count, int error);

/** accel_create_thread - pthread_create(), unless a test put something else there */
extern int (*accel_create_thread)(pthread_t *thread, const pthread_attr_t *attr,
				  void *(*start)(void *), void *arg);

#endif
