/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * accel.h - the inside of the pseudo-accelerator; accel_hook.h has the hooks for tests.
 *
 *   accel.c         the table: parameters, managed streams, synchronous calls
 *   accel_wait.c    managed streams that are waited for
 *   accel_queue.c   the device's queue, and its clock
 *   accel_engine.c  the device's engines, which empty the queue
 *   accel_idle.c    streams that can be lent
 *   accel_ripe.c    completions that wait to be asked for, and the ends of all requests
 *   accel_watch.c   the driver's watchdog: deadlines, resets, engines that died
 *   accel_hook.c    simulated faults, and the hooks for tests
 *
 * A managed stream is in one place at a time:
 *
 *   idle list -get-> caller -submit-> queue -take-> engine -done-> caller -put-> idle list
 *
 * and a request that is given up is in two: its caller has heard -ETIMEDOUT or -ECANCELED and may
 * have put the stream, while an engine still has it. It comes to the idle list when both have let
 * go; see enum accel_state.
 *
 * Locks: idle_lock and queue_lock. They are never held together, and nothing is called under them.
 */
#ifndef ZT_BACKENDS_ACCEL_H
#define ZT_BACKENDS_ACCEL_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "backends/accel_hook.h"
#include "backends/accel_sync.h"
#include "ztmpfs/zcomp.h"

struct accel;
struct accel_engine;

/* No engine has a number like it: the request is completed, and waits to be delivered. */
#define ACCEL_NO_ENGINE 0xfffffffeu

/* Where a managed stream is. */
enum accel_state {
	ACCEL_CALLER, /* its caller, or the idle list */
	ACCEL_QUEUED, /* the queue; left under queue_lock only */
	ACCEL_TAKEN, /* an engine; the thread that changes this one calls done() */
	ACCEL_GIVEN_UP, /* an engine, and its caller, which was told that nothing comes of it */
	ACCEL_RETURNED, /* an engine alone: its caller has put it */
};

/* A stream that the accelerator manages: no lock, since it has one owner at a time. */
struct managed_zstrm {
	struct zcomp_strm strm;
	struct managed_zstrm *next; /* in the idle list */
	TAILQ_ENTRY(managed_zstrm) link; /* in the queue, then in its engine's lists */
	/*
	 * enum accel_state in the low bits, above them a number that each submit raises. So a
	 * thread that has seen a request exchanges the state of that one, and of no later one in
	 * the stream.
	 */
	atomic_uint_fast64_t state;
	atomic_uint_fast64_t submitted_ns; /* of the device's clock; relaxed */
	/* From submit to done: the caller's. */
	struct zcomp_req *req;
	zcomp_done_fn done;
	void *arg;
	/* From take to finish: the engine's. */
	atomic_uint engine; /* its number, or ACCEL_NO_ENGINE; relaxed */
	struct zcomp_req work; /* a copy of *req, which may be gone when this one is given up */
	enum accel_fault fault;
	int error;
	uint64_t due_ns; /* not to be delivered before */
};

TAILQ_HEAD(accel_list, managed_zstrm);

/* accel_managed() - of a stream that this device has lent */
static inline struct managed_zstrm *accel_managed(struct zcomp_strm *strm)
{
	return (struct managed_zstrm *)((char *)strm - offsetof(struct managed_zstrm, strm));
}

enum engine_state {
	ENGINE_NONE, /* no thread */
	ENGINE_RUNS,
	ENGINE_DEAD, /* its thread has ended, or is about to, with all that it had */
};

/* One worker thread. It has a context; streams have none, since they are many and engines few. */
struct accel_engine {
	struct accel *accel;
	uint32_t number;
	pthread_t thread;
	enum engine_state state; /* guarded by queue_lock */
	struct zcomp_strm strm; /* the context, and the buffers of the request at hand */
	/* The engine's own; the watchdog's when it is dead and joined. */
	uint64_t busy_ns; /* when the simulated engine is through with all that it was given */
	uint64_t generation; /* the last reset that it has seen */
	struct accel_list batch; /* taken, not begun */
	struct accel_list line; /* finished, and delivered when they are due: oldest first */
	/* Relaxed; the watchdog looks at them. */
	atomic_uint_fast64_t progress_ns; /* when it last took or finished something */
	atomic_uint nr_held; /* requests that it has */
};

/* What the watchdog has given up. */
struct accel_found {
	struct managed_zstrm *mstrm;
	int error; /* for done() */
};

struct accel {
	/* Immutable after set-up. */
	struct zcomp_params inner; /* of the algorithm inside */
	const struct zcomp_ops *inner_ops;
	struct zcomp_accel_params params; /* defaults filled in */
	uint64_t deadline_ns; /* of a request */
	uint64_t hang_ns; /* so long without progress, and an engine hangs; at least deadline_ns */
	uint32_t nr_streams; /* depth in the queue, and one in the hands of each engine */
	struct managed_zstrm *streams;
	size_t streams_size;
	char *buffers; /* of all streams */
	size_t buffers_size;
	struct accel_engine *engines; /* nr_engines */
	uint32_t nr_engines; /* those that were started */
	bool has_watch;
	pthread_t watch;

	alignas(64) pthread_mutex_t idle_lock;
	struct managed_zstrm *idle; /* last in, first out: warm buffers first */
	atomic_bool closed; /* stopping, or switched off: no stream is handed out */

	alignas(64) pthread_mutex_t queue_lock;
	pthread_cond_t work; /* something to take, a reset, stopping; waited for by engines */
	pthread_cond_t revived; /* a reset, stopping; for stalled engines, which take no other signal */
	struct accel_list queue; /* first in, first out */
	struct accel_list ripe; /* with poll_us: completed, from due_ns on for who asks */
	uint32_t nr_polling; /* of these, in the hands of threads that deliver them */
	uint32_t nr_queued; /* at most depth */
	uint32_t nr_waiting; /* engines that wait for work */
	uint32_t nr_stalled; /* engines that wait for a reset */
	uint32_t nr_running; /* engines in ENGINE_RUNS */
	uint64_t generation, reset_ns; /* raised by each reset; when the last one was */
	bool stopping;
	uint64_t in_flight_max;
	uint64_t batches[ZCOMP_BATCH_BUCKETS];
	uint64_t random; /* for the faults that parameters ask for */

	/* Watchdog; guarded by queue_lock. */
	pthread_cond_t watch_wake;
	pthread_cond_t watch_looked; /* waited for by hooks */
	bool watch_asleep; /* nothing is in flight: submit wakes it */
	uint64_t completed_seen; /* the watchdog's own, as the next two */
	bool warm; /* something was completed since buffers were given back */
	uint64_t cool_ns; /* when they are, if nothing is submitted before */
	bool watch_stop;
	bool reset_wanted;
	uint32_t nr_dead; /* engines in ENGINE_DEAD */
	uint64_t looks_wanted, looks_done;
	unsigned nr_strikes; /* for resets and deaths with too little done between them */
	uint64_t good_at_strike;
	const char *off; /* why managed streams were switched off; NULL: they are on */
	uint64_t next_look_ns;
	struct accel_found *found; /* nr_streams; the watchdog's own */
	uint32_t nr_found;

	/* Hooks; guarded by queue_lock. */
	bool held; /* engines take nothing */
	bool patient; /* no number of strikes switches managed streams off */
	uint64_t nr_fault; /* so many requests still to meet next_fault */
	enum accel_fault next_fault;
	int fail_error;

	/* Relaxed: they order nothing. */
	alignas(64) atomic_uint_fast64_t in_flight; /* submitted, done() not called yet */
	atomic_uint_fast64_t submissions, completed, good, late, polled;
	atomic_uint_fast64_t resets, restarts;
	atomic_uint_fast64_t clock_offset_ns; /* by a hook */
};

/* Of the device: the monotonic clock, and what a hook has added. */
uint64_t accel_now(const struct accel *accel);

/** accel_wait_until() - wait for @cond until the device's clock says @until_ns; queue_lock held */
void accel_wait_until(struct accel *accel, pthread_cond_t *cond, uint64_t until_ns);

#define ACCEL_STATE_BITS 3u

static inline enum accel_state accel_state_of(uint64_t state)
{
	return (enum accel_state)(state & ((1u << ACCEL_STATE_BITS) - 1));
}

/*
 * From @seen to @to, for that very request. What happened before the state was set happened before
 * this returns true.
 */
static inline bool accel_state_move(struct managed_zstrm *mstrm, uint64_t seen, enum accel_state to)
{
	uint64_t next = (seen >> ACCEL_STATE_BITS << ACCEL_STATE_BITS) | (uint64_t)to;

	return atomic_compare_exchange_strong_explicit(&mstrm->state, &seen, next,
						       memory_order_acq_rel, memory_order_acquire);
}

/* accel_idle.c */

/** accel_idle_pop() - the stream that was used last, or NULL */
struct managed_zstrm *accel_idle_pop(struct accel *accel);

/** accel_idle_push() - the stream can be lent again */
void accel_idle_push(struct accel *accel, struct managed_zstrm *mstrm);

/** accel_idle_cool() - give the memory of all streams' buffers back, unless some are lent */
void accel_idle_cool(struct accel *accel);

/** accel_takes_time() - requests end later than when the work is done */
static inline bool accel_takes_time(const struct accel *accel)
{
	return accel->params.latency_us > 0 || accel->params.work_ns > 0;
}

/** accel_work_ns() - how long a request of @len bytes has an engine busy at least */
static inline uint64_t accel_work_ns(const struct accel *accel, size_t len)
{
	return (len + ZCOMP_MIN_UNIT - 1) / ZCOMP_MIN_UNIT * accel->params.work_ns;
}

/* accel_wait.c */

/**
 * accel_submit_and_wait() - one request, until its caller may use all buffers again
 * Return: what done() said, or an error of accel_queue_submit(). Context: not from done().
 */
int accel_submit_and_wait(struct accel *accel, struct zcomp_strm *strm, struct zcomp_req *req);

/* accel_queue.c */

/** accel_state_set() - of a stream that nobody else changes now */
void accel_state_set(struct managed_zstrm *mstrm, uint64_t state);

/** accel_queue_init() - an empty queue; no engine yet. Return: 0 or -ENOMEM. */
int accel_queue_init(struct accel *accel);
void accel_queue_exit(struct accel *accel);

/**
 * accel_queue_submit() - put requests into the queue, for the cost of one submission
 * Return: how many had space, from the first on; -EBUSY none had, -ESHUTDOWN when stopping or off,
 *         -EMSGSIZE one is larger than what the device takes.
 */
int accel_queue_submit(struct accel *accel, const struct zcomp_batch_entry *entries, uint32_t nr,
		       zcomp_done_fn done);

/** accel_queue_cancel() - what came with @arg out of the queue again; false: it is not there */
bool accel_queue_cancel(struct accel *accel, struct managed_zstrm *mstrm, const void *arg);

/** accel_queue_remove() - take a stream out of the queue; queue_lock held */
void accel_queue_remove(struct accel *accel, struct managed_zstrm *mstrm);

/** accel_watch_wake() - have the watchdog look now; queue_lock held */
void accel_watch_wake(struct accel *accel);

/* accel_engine.c */

/** accel_engines_start() - start up to @wanted engines; @accel->nr_engines says how many run */
void accel_engines_start(struct accel *accel, uint32_t wanted);

/** accel_engine_run() - give an engine that has its context a thread. Return: 0 or -errno. */
int accel_engine_run(struct accel_engine *engine);

/**
 * accel_engines_stop() - refuse new requests, end all that there are, join; may be called again
 * Engines work off the queue; what they cannot do ends with -ESHUTDOWN.
 */
void accel_engines_stop(struct accel *accel);

/**
 * accel_conclude() - a completed request is delivered, or dropped if it was given up
 * Context: the thread that has it, of whatever kind; no lock.
 */
void accel_conclude(struct accel *accel, struct managed_zstrm *mstrm, int error);

/* accel_watch.c */

/** accel_watch_start() - Return: 0 or -errno. */
int accel_watch_start(struct accel *accel);
void accel_watch_stop(struct accel *accel);

/** accel_sweep() - end what engines left behind that run no more, with @error. All are joined. */
void accel_sweep(struct accel *accel, int error);

/* accel_hook.c */

/** accel_draw_fault() - what a request is to meet; queue_lock held */
enum accel_fault accel_draw_fault(struct accel *accel, int *out_error);

#endif
