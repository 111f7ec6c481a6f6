// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zbench_run.c - one point of zbench: made, verified, measured.
 *
 * Threads: callers, joined before their phase ends; the accelerator's engines, which call
 * unit_done(). Locks: one for each caller's list of free flights; nothing is called under it.
 * Counters are relaxed atomics: joining and the accelerator's stop order them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "ctl/spread.h"
#include "ctl/zbench.h"
#include "util/alloc.h"
#include "util/lock.h"
#include "util/sizes.h"

#define NS_PER_S 1000000000u

struct run {
	const struct zbench_point *point;
	struct zbench_units units;
	struct zcomp *comp;
	char *packed; /* for sync: what units were compressed to, each at its own offset in the data */
	uint32_t *packed_len; /* of each unit; 0: it does not shrink */
	bool verify; /* this pass decompresses and compares */
	bool expand; /* this pass decompresses what was kept */
	uint64_t deadline; /* CLOCK_MONOTONIC, ns; 0: one pass */
	atomic_uint_fast64_t nr_calls, nr_bytes, nr_wrong;
	struct spread spread; /* of how long units took */
};

/* A request of a caller that doesn't wait for it. */
struct flight {
	struct zcomp_req req;
	struct caller *caller;
	size_t unit;
	uint64_t begun;
	struct flight *next; /* in the caller's list of free ones */
};

struct caller {
	struct run *run;
	uint32_t number;
	pthread_t thread;
	struct flight *flights; /* managed mode only */
	uint32_t nr_flights;
	struct mutex lock; /* for what follows */
	pthread_cond_t landed;
	struct flight *free;
	uint32_t nr_free;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static double cpu_seconds(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void add(atomic_uint_fast64_t *counter, uint64_t value)
{
	atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

/* One unit ---------------------------------------------------------------- */

static void count(struct run *run, size_t unit, uint64_t begun)
{
	spread_add(&run->spread, now_ns() - begun);
	add(&run->nr_calls, 1);
	add(&run->nr_bytes, run->units.units[unit].len);
}

/* @packed decompressed into @room, of a cluster's size, must be the unit again. */
static void verify(struct run *run, size_t unit, const void *packed, size_t len, void *room)
{
	const struct zbench_unit *src = &run->units.units[unit];
	struct zcomp_strm *own = zcomp_stream_get(run->comp, ZSTRM_DEFAULT);
	size_t back = 0;
	int error = zcomp_decompress(run->comp, own, packed, len, room ? room : own->local_copy,
				     run->point->cluster, &back);

	if (error || back != src->len ||
	    memcmp(room ? room : own->local_copy, src->data, back) != 0)
		add(&run->nr_wrong, 1);
	zcomp_stream_put(run->comp, own);
}

/* Where a unit's result is kept: as far from the beginning as the unit itself. */
static char *kept(const struct run *run, size_t unit)
{
	return run->packed + (run->units.units[unit].data - run->units.units[0].data);
}

static void compress_unit(struct run *run, size_t unit)
{
	const struct zbench_unit *src = &run->units.units[unit];
	const uint64_t begun = now_ns();
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

static void expand_unit(struct run *run, size_t unit)
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

static void unit_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct flight *flight = arg;
	struct caller *caller = flight->caller;
	struct run *run = caller->run;

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
	mutex_lock(&caller->lock);
	flight->next = caller->free;
	caller->free = flight;
	caller->nr_free++;
	cond_signal(&caller->landed);
	mutex_unlock(&caller->lock);
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

/* A refusal is an answer: the caller's stream does the work, as in a mount. */
static void submit_unit(struct caller *caller, size_t unit)
{
	struct run *run = caller->run;
	const struct zbench_unit *src = &run->units.units[unit];
	struct flight *flight = wait_free(caller, 1, true);
	struct zcomp_strm *strm = zcomp_stream_get_managed(run->comp);
	int error = -EBUSY;

	flight->unit = unit;
	flight->begun = now_ns();
	if (strm) {
		flight->req = (struct zcomp_req){
			.src = src->data,
			.src_len = src->len,
			.dst = strm->buffer,
			.dst_cap = src->len,
			.unpin = nothing_to_unpin,
		};
		error = zcomp_submit(run->comp, strm, &flight->req, unit_done, flight);
	}
	if (!error)
		return;
	if (strm)
		zcomp_stream_put(run->comp, strm);
	mutex_lock(&caller->lock);
	flight->next = caller->free;
	caller->free = flight;
	caller->nr_free++;
	mutex_unlock(&caller->lock);
	compress_unit(run, unit);
}

/* Of a queue that is not as deep as there are callers, so many use it. */
static uint32_t nr_callers(const struct run *run)
{
	const struct zbench_point *point = run->point;

	return point->mode == ZBENCH_MANAGED ? (uint32_t)min_u64(point->threads, point->depth)
					     : point->threads;
}

static void *caller_main(void *arg)
{
	struct caller *caller = arg;
	struct run *run = caller->run;
	const uint32_t stride = nr_callers(run);
	size_t unit = caller->number;
	char name[16];

	snprintf(name, sizeof(name), "zbench/%u", caller->number % 1000);
	(void)pthread_setname_np(pthread_self(), name); /* only people look at it */
	while (unit < run->units.nr) {
		if (run->expand)
			expand_unit(run, unit);
		else if (run->point->mode == ZBENCH_MANAGED)
			submit_unit(caller, unit);
		else
			compress_unit(run, unit);
		unit += stride;
		if (run->deadline == 0)
			continue;
		if (now_ns() >= run->deadline)
			break;
		if (unit >= run->units.nr)
			unit = caller->number;
	}
	if (run->point->mode == ZBENCH_MANAGED)
		(void)wait_free(caller, caller->nr_flights, false); /* all have landed */
	return NULL;
}

/* As many in flight as the queue is deep, over all callers. */
static int caller_init(struct run *run, struct caller *caller, uint32_t number)
{
	const struct zbench_point *point = run->point;

	caller->run = run;
	caller->number = number;
	mutex_init(&caller->lock, ZT_RANK_ZBENCH);
	cond_init(&caller->landed);
	if (point->mode != ZBENCH_MANAGED)
		return 0;
	caller->nr_flights = point->depth / nr_callers(run);
	if (number < point->depth % nr_callers(run))
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

/* One phase: all callers from their start to their end. */
static int run_callers(struct run *run, double seconds)
{
	const uint32_t nr = nr_callers(run);
	struct caller *callers = zt_zalloc(nr * sizeof(*callers));
	uint32_t inited = 0, started = 0;
	int error = callers ? 0 : -ENOMEM;

	run->deadline = seconds > 0 ? now_ns() + (uint64_t)(seconds * NS_PER_S) : 0;
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

/* A point --------------------------------------------------------------- */

static void reset_counters(struct run *run)
{
	atomic_store(&run->nr_calls, 0);
	atomic_store(&run->nr_bytes, 0);
	spread_reset(&run->spread);
}

/* What per-thread streams have compressed so far: with a device, all of it are fallbacks. */
static uint64_t own_calls(struct run *run)
{
	struct zcomp_stat stat;

	zcomp_get_stat(run->comp, &stat);
	return stat.compress_calls;
}

static int measure(struct run *run, double seconds, struct zbench_result *result)
{
	const uint64_t own_before = own_calls(run);
	uint64_t begun = now_ns();
	double cpu = cpu_seconds();
	int error;

	reset_counters(run);
	error = run_callers(run, seconds);
	if (error)
		return error;
	result->seconds = (double)(now_ns() - begun) / NS_PER_S;
	result->cpu_seconds = cpu_seconds() - cpu;
	result->calls = run->nr_calls;
	if (run->point->mode != ZBENCH_SYNC)
		result->fallbacks = own_calls(run) - own_before;
	result->in_mbps = (double)run->nr_bytes / 1e6 / result->seconds;
	result->p50_us = spread_percentile_us(&run->spread, 0.5);
	result->p99_us = spread_percentile_us(&run->spread, 0.99);
	if (run->point->mode != ZBENCH_SYNC)
		return 0;
	run->expand = true;
	reset_counters(run);
	begun = now_ns();
	error = run_callers(run, seconds);
	result->out_mbps = (double)run->nr_bytes / 1e6 / ((double)(now_ns() - begun) / NS_PER_S);
	return error;
}

static int create_comp(struct run *run, char error_text[ZCOMP_ERROR_TEXT])
{
	const struct zbench_point *point = run->point;
	struct zcomp_config config = {
		.name = point->name,
		.level = point->level,
		.unit = point->cluster,
		/* Engines verify and fall back by streams of their own. */
		.nr_streams = point->threads + point->engines,
		/* Not used by a module with a device of its own. */
		.accel = point->mode != ZBENCH_SYNC,
		.accel_params = { .engines = point->engines,
				  .depth = point->depth,
				  .latency_us = point->latency_us,
				  /* Nothing is given up: it is the device that is measured. */
				  .deadline_us = ZCOMP_ACCEL_MAX_DEADLINE_US },
		.dict = point->dict,
		.dict_size = point->dict_size,
	};
	struct zcomp_stat stat;
	int error = zcomp_create(&config, error_text, &run->comp);

	if (error || point->mode == ZBENCH_SYNC || zcomp_managed(run->comp))
		return error;
	zcomp_get_stat(run->comp, &stat);
	snprintf(error_text, ZCOMP_ERROR_TEXT, "no managed streams: %s",
		 stat.degraded ? stat.degraded : "the backend has none");
	return -EOPNOTSUPP;
}

static int verify_all(struct run *run, char error_text[ZCOMP_ERROR_TEXT],
		      struct zbench_result *result)
{
	int error;

	run->verify = true;
	error = run_callers(run, 0);
	run->verify = false;
	if (error)
		return error;
	if (run->nr_wrong > 0) {
		snprintf(error_text, ZCOMP_ERROR_TEXT,
			 "%s: %zu of %zu units of %u bytes did not come back as they were",
			 zcomp_name(run->comp), (size_t)run->nr_wrong, run->units.nr,
			 run->point->cluster);
		return -EBADMSG;
	}
	result->units = run->units.nr;
	result->same_units = run->units.nr_same;
	result->bytes_in = run->units.bytes;
	for (size_t i = 0; i < run->units.nr; i++)
		result->bytes_out +=
			run->packed_len[i] ? run->packed_len[i] : run->units.units[i].len;
	return 0;
}

static void name_codec(const struct run *run, struct zbench_result *result)
{
	const struct zcomp_params *params = zcomp_get_params(run->comp);
	int len = snprintf(result->codec, sizeof(result->codec), "%s", zcomp_name(run->comp));

	if (params->level != 0)
		len += snprintf(result->codec + len, sizeof(result->codec) - (size_t)len, ":%d",
				(int)params->level);
	if (params->dict)
		snprintf(result->codec + len, sizeof(result->codec) - (size_t)len, "+dict");
}

int zbench_run(const struct samples *samples, const struct zbench_point *point, double seconds,
	       char error_text[ZCOMP_ERROR_TEXT], struct zbench_result *out_result)
{
	struct zbench_result result = { .point = *point };
	struct run *run = zt_zalloc(sizeof(*run));
	int error = -ENOMEM;

	snprintf(error_text, ZCOMP_ERROR_TEXT, "no memory or no threads");
	if (!run)
		return error;
	run->point = point;
	if (zbench_units_make(samples, point->cluster, &run->units) != 0)
		goto out;
	if (run->units.nr == 0) {
		snprintf(error_text, ZCOMP_ERROR_TEXT, "nothing but repeated values");
		error = -ENODATA;
		goto out;
	}
	run->packed = zt_map(samples->size);
	run->packed_len = zt_zalloc(run->units.nr * sizeof(*run->packed_len));
	if (!run->packed || !run->packed_len)
		goto out;
	error = create_comp(run, error_text);
	if (!error)
		error = verify_all(run, error_text, &result);
	if (!error)
		error = measure(run, seconds, &result);
	if (!error)
		name_codec(run, &result);
	zcomp_destroy(run->comp);
	if (!error && run->nr_wrong > 0) {
		snprintf(error_text, ZCOMP_ERROR_TEXT, "%s: %zu calls failed", result.codec,
			 (size_t)run->nr_wrong);
		error = -EBADMSG;
	}
out:
	zt_unmap(run->packed, samples->size);
	zt_free(run->packed_len);
	zbench_units_free(&run->units);
	zt_free(run);
	if (!error)
		*out_result = result;
	return error;
}
