// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zbench_pass.c - callers that send the units of one point through its codec, for a while.
 *
 * Threads: callers, joined before their pass ends; the accelerator's engines, which call
 * unit_done(). Locks: one for each caller's list of free flights; nothing is called under it.
 * Counters are relaxed atomics: joining and the accelerator's stop order them.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "ctl/zbench_pass.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/sizes.h"

/* A request of a caller that doesn't wait for it. */
struct flight {
	struct zcomp_req req;
	struct caller *caller;
	size_t unit;
	uint64_t begun;
	struct flight *next; /* in the caller's list of free ones */
};

struct caller {
	struct zbench_pass *run;
	uint32_t number;
	size_t step; /* the next; its thread's */
	pthread_t thread;
	struct flight *flights; /* managed mode only */
	uint32_t nr_flights;
	struct mutex lock; /* for what follows */
	pthread_cond_t landed;
	struct flight *free;
	uint32_t nr_free;
};

static void add(atomic_uint_fast64_t *counter, uint64_t value)
{
	atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

/* One unit ---------------------------------------------------------------- */

static void count(struct zbench_pass *run, size_t unit, uint64_t begun)
{
	spread_add(&run->spread, zt_now_ns() - begun);
	add(&run->nr_calls, 1);
	add(&run->nr_bytes, run->units.units[unit].len);
}

/* @packed decompressed into @to, of a cluster's size, must be the unit again. */
static void verify(struct zbench_pass *run, size_t unit, const void *packed, size_t len, void *to)
{
	const struct zbench_unit *src = &run->units.units[unit];
	struct zcomp_strm *own = zcomp_stream_get(run->comp, ZSTRM_DEFAULT);
	size_t back = 0;
	int error = zcomp_decompress(run->comp, own, packed, len, to ? to : own->local_copy,
				     run->point->cluster, &back);

	if (error || back != src->len || memcmp(to ? to : own->local_copy, src->data, back) != 0)
		add(&run->nr_wrong, 1);
	zcomp_stream_put(run->comp, own);
}

/* Where a unit's result is kept: as far from the beginning as the unit itself. */
static char *kept(const struct zbench_pass *run, size_t unit)
{
	return run->packed + run->units.units[unit].at;
}

/* @begun: when it was wanted */
static void compress_unit(struct zbench_pass *run, size_t unit, uint64_t begun)
{
	const struct zbench_unit *src = &run->units.units[unit];
	struct zcomp_strm *strm = NULL;
	size_t len;
	int error;

	if (run->point->mode == ZBENCH_WAIT)
		strm = zcomp_stream_get_managed(run->comp);
	if (!strm)
		strm = zcomp_stream_get(run->comp, ZSTRM_DEFAULT);
	error = zcomp_compress(run->comp, strm, src->data, src->len, src->len, &len);
	if (run->verify && !error) {
		run->packed_len[unit] = (uint32_t)len;
		memcpy(kept(run, unit), strm->buffer, len);
		zcomp_stream_put(run->comp, strm);
		verify(run, unit, kept(run, unit), len, NULL);
		return;
	}
	zcomp_stream_put(run->comp, strm);
	if (error && error != -ENOSPC)
		add(&run->nr_wrong, 1);
	count(run, unit, begun);
}

static void expand_unit(struct zbench_pass *run, size_t unit)
{
	const struct zbench_unit *src = &run->units.units[unit];
	struct zcomp_strm *own;
	size_t back;

	add(&run->nr_bytes, src->len);
	own = zcomp_stream_get(run->comp, ZSTRM_DEFAULT);
	if (run->packed_len[unit] == 0)
		memcpy(own->local_copy, src->data, src->len);
	else if (zcomp_decompress(run->comp, own, kept(run, unit), run->packed_len[unit],
				  own->local_copy, run->point->cluster, &back) != 0)
		add(&run->nr_wrong, 1);
	zcomp_stream_put(run->comp, own);
}

/* Callers ----------------------------------------------------------------- */

/* The data stay where they are until all is over. */
static void nothing_to_unpin(void *arg)
{
	(void)arg;
}

static void flight_put(struct flight *flight)
{
	struct caller *caller = flight->caller;

	mutex_lock(&caller->lock);
	flight->next = caller->free;
	caller->free = flight;
	caller->nr_free++;
	cond_signal(&caller->landed);
	mutex_unlock(&caller->lock);
}

static void unit_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct flight *flight = arg;
	struct zbench_pass *run = flight->caller->run;

	if (!error && run->verify) {
		run->packed_len[flight->unit] = (uint32_t)req->dst_len;
		verify(run, flight->unit, req->dst, req->dst_len, strm->local_copy);
	}
	zcomp_stream_put(run->comp, strm);
	if (error && error != -ENOSPC) {
		struct zcomp_strm *own = zcomp_stream_get(run->comp, ZSTRM_DEFAULT);
		const struct zbench_unit *src = &run->units.units[flight->unit];
		size_t len;

		error = zcomp_compress(run->comp, own, src->data, src->len, src->len, &len);
		if (!error && run->verify)
			run->packed_len[flight->unit] = (uint32_t)len;
		zcomp_stream_put(run->comp, own);
		if (error && error != -ENOSPC)
			add(&run->nr_wrong, 1);
	}
	count(run, flight->unit, flight->begun);
	flight_put(flight);
}

/* Waits until @nr flights are free, and takes one; NULL if none was wanted. */
static struct flight *wait_free(struct caller *caller, uint32_t nr, bool take)
{
	struct flight *flight = NULL;

	mutex_lock(&caller->lock);
	while (caller->nr_free < nr)
		cond_wait(&caller->landed, &caller->lock);
	if (take) {
		flight = caller->free;
		caller->free = flight->next;
		caller->nr_free--;
	}
	mutex_unlock(&caller->lock);
	return flight;
}

/* Requests that all callers together have in flight at most. */
static uint32_t nr_offered(const struct zbench_point *point)
{
	return point->offered ? point->offered : point->depth;
}

/* Of a queue that is not as deep as there are callers, so many use it. */
static uint32_t nr_callers(const struct zbench_pass *run)
{
	const struct zbench_point *point = run->point;

	return point->mode == ZBENCH_MANAGED ? (uint32_t)min_u64(point->threads, nr_offered(point))
					     : point->threads;
}

/* A step is a unit, or a request of the replay. */
static size_t nr_steps(const struct zbench_pass *run)
{
	return run->replay ? run->replay->nr_steps : run->units.nr;
}

static size_t step_unit(const struct zbench_pass *run, size_t step)
{
	return run->replay ? run->replay->steps[step].unit : step;
}

/* When a step is due, by zt_now_ns(); 0: at once. */
static uint64_t step_due(const struct zbench_pass *run, size_t step)
{
	return run->replay && run->replay->speed > 0 ? run->begun + run->replay->steps[step].due_ns : 0;
}

/*
 * Wait until a step is due. Return: that moment, even if it has passed long ago, so that what waits for
 * a busy codec is seen in the times; or now.
 */
static uint64_t step_wait(const struct zbench_pass *run, size_t step)
{
	const uint64_t due = step_due(run, step);
	const struct timespec until = zt_timespec(due);

	if (due == 0)
		return zt_now_ns();
	while (due > zt_now_ns())
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL); /* looked at again */
	return due;
}

/* To the caller's next step. False: its pass is over. */
static bool advance(struct caller *caller)
{
	const struct zbench_pass *run = caller->run;

	caller->step += nr_callers(run);
	if (run->deadline == 0)
		return caller->step < nr_steps(run);
	if (caller->step >= nr_steps(run))
		caller->step = caller->number;
	return zt_now_ns() < run->deadline;
}

/* False: no stream is to be had. */
static bool flight_fill(struct flight *flight, struct zcomp_batch_entry *out_entry)
{
	struct zbench_pass *run = flight->caller->run;
	const struct zbench_unit *src = &run->units.units[flight->unit];
	struct zcomp_strm *strm = zcomp_stream_get_managed(run->comp);

	if (!strm)
		return false;
	flight->req = (struct zcomp_req){
		.src = src->data,
		.src_len = src->len,
		.dst = strm->buffer,
		.dst_cap = src->len,
		.unpin = nothing_to_unpin,
	};
	*out_entry = (struct zcomp_batch_entry){ .strm = strm, .req = &flight->req, .arg = flight };
	return true;
}

/* What was not taken is done by the caller's stream. */
static void give_back(struct flight *flight)
{
	struct zbench_pass *run = flight->caller->run;
	const uint64_t begun = flight->begun;
	const size_t unit = flight->unit;

	flight_put(flight);
	compress_unit(run, unit, begun);
}

/*
 * As many units as are submitted at once. A refusal is an answer: the caller's stream does the
 * work, as in a mount. Return: as advance().
 */
static bool submit_units(struct caller *caller)
{
	struct zbench_pass *run = caller->run;
	struct zcomp_batch_entry entries[ZCOMP_MAX_BATCH];
	const uint32_t want = (uint32_t)min_u64(max_u64(run->point->batch, 1), caller->nr_flights);
	uint32_t nr = 0, nr_taken;
	bool more = true;

	(void)wait_free(caller, want, false);
	while (more && nr < want) {
		struct flight *flight;

		/* What is there does not wait for what is not due yet. */
		if (nr > 0 && step_due(run, caller->step) > zt_now_ns())
			break;
		flight = wait_free(caller, 1, true);
		flight->unit = step_unit(run, caller->step);
		flight->begun = step_wait(run, caller->step);
		more = advance(caller);
		if (!flight_fill(flight, &entries[nr])) {
			give_back(flight);
			break;
		}
		nr++;
	}
	nr_taken = zcomp_submit_batch(run->comp, entries, nr, unit_done);
	for (uint32_t i = nr_taken; i < nr; i++) {
		zcomp_stream_put(run->comp, entries[i].strm);
		give_back(entries[i].arg);
	}
	return more;
}

static void *caller_main(void *arg)
{
	struct caller *caller = arg;
	struct zbench_pass *run = caller->run;
	bool more = caller->number < nr_steps(run);
	char name[16];

	caller->step = caller->number;
	snprintf(name, sizeof(name), "zbench/%u", caller->number % 1000);
	(void)pthread_setname_np(pthread_self(), name); /* only people look at it */
	while (more) {
		if (!run->expand && run->point->mode == ZBENCH_MANAGED) {
			more = submit_units(caller);
			continue;
		}
		if (run->expand)
			expand_unit(run, caller->step);
		else
			compress_unit(run, step_unit(run, caller->step), step_wait(run, caller->step));
		more = advance(caller);
	}
	if (run->point->mode == ZBENCH_MANAGED)
		(void)wait_free(caller, caller->nr_flights, false); /* all have landed */
	return NULL;
}

/* As many in flight as the queue is deep, over all callers. */
static int caller_init(struct zbench_pass *run, struct caller *caller, uint32_t number)
{
	const struct zbench_point *point = run->point;

	caller->run = run;
	caller->number = number;
	mutex_init(&caller->lock, ZT_RANK_ZBENCH);
	cond_init(&caller->landed);
	if (point->mode != ZBENCH_MANAGED)
		return 0;
	caller->nr_flights = nr_offered(point) / nr_callers(run);
	if (number < nr_offered(point) % nr_callers(run))
		caller->nr_flights++;
	caller->flights = zt_zalloc(caller->nr_flights * sizeof(*caller->flights));
	if (!caller->flights)
		return -ENOMEM;
	for (uint32_t i = 0; i < caller->nr_flights; i++) {
		caller->flights[i].caller = caller;
		caller->flights[i].next = caller->free;
		caller->free = &caller->flights[i];
		caller->nr_free++;
	}
	return 0;
}

int zbench_pass(struct zbench_pass *run, double seconds)
{
	const uint32_t nr = nr_callers(run);
	struct caller *callers = zt_zalloc(nr * sizeof(*callers));
	uint32_t inited = 0, started = 0;
	int error = callers ? 0 : -ENOMEM;

	run->begun = zt_now_ns();
	run->deadline = seconds > 0 ? zt_now_ns() + (uint64_t)(seconds * (double)ZT_NS_PER_S) : 0;
	while (!error && inited < nr) {
		error = caller_init(run, &callers[inited], inited);
		inited++;
	}
	while (!error && started < nr) {
		error = -pthread_create(&callers[started].thread, NULL, caller_main,
					&callers[started]);
		started += !error;
	}
	for (uint32_t i = 0; i < started; i++)
		zt_lock_check(pthread_join(callers[i].thread, NULL));
	for (uint32_t i = 0; i < inited; i++) {
		cond_exit(&callers[i].landed);
		mutex_exit(&callers[i].lock);
		zt_free(callers[i].flights);
	}
	zt_free(callers);
	return error;
}
