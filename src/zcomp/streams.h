/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * streams.h - the inside of a zcomp: its per-thread streams and counters.
 */
#ifndef ZT_ZCOMP_STREAMS_H
#define ZT_ZCOMP_STREAMS_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "util/lock.h"
#include "zcomp/zcomp.h"

struct zcomp_module;

#define ZCOMP_CACHE_LINE 64

/* In the order of struct zcomp_stat. */
enum zcomp_counter {
	COUNT_COMPRESS_CALLS,
	COUNT_COMPRESS_IN,
	COUNT_COMPRESS_OUT,
	COUNT_MGMT_CALLS,
	COUNT_MGMT_IN,
	COUNT_MGMT_OUT,
	COUNT_DECOMPRESS_CALLS,
	COUNT_DECOMPRESS_IN,
	COUNT_DECOMPRESS_OUT,
	COUNT_NO_STREAM,
	COUNT_BAD_STREAM,
	COUNT_BUSY,
	COUNT_ERROR,
	COUNT_TIMEOUT,
	COUNT_RESET,
	COUNT_DEAD,
	COUNT_SHUTDOWN,
	COUNT_LATENCY, /* ZCOMP_LATENCY_BUCKETS of them */
	NR_ZCOMP_COUNTERS = COUNT_LATENCY + ZCOMP_LATENCY_BUCKETS,
};

/*
 * A per-thread stream: always there, synchronous. Nothing binds it to a thread: a thread begins its
 * search at the one that its number names, so that as many threads as there are streams don't meet.
 *
 * The counters are not the stream's but of the threads with its number, held stream or not: they
 * are relaxed atomics, since nothing is ordered by them, and apart from the lock so that counting
 * and waiting don't meet either.
 */
struct thread_strm {
	alignas(ZCOMP_CACHE_LINE) struct mutex lock; /* from get to put */
	struct zcomp_strm strm;
	void *own; /* the callers', out of the backend's sight; immutable */
	alignas(ZCOMP_CACHE_LINE) atomic_uint_fast64_t count[NR_ZCOMP_COUNTERS];
};

/* A backend set up with its parameters; all but streams and counters is immutable from then on. */
struct zcomp {
	const struct zcomp_ops *algorithm;
	const struct zcomp_ops *ops; /* to call: the algorithm's, or the accelerator's around it */
	struct zcomp_params params;
	struct zcomp_module *module; /* that the table came from, or NULL; unloaded last */
	bool managed; /* the core's decision, after what the backend reported */
	uint32_t batch_max; /* 1: no batches */
	const char *degraded;
	struct thread_strm *threads; /* nr_streams; borrowed: those of the lender */
	bool borrowed;
	uint32_t nr_streams;
	bool private_stream; /* the last of them is in nobody's search */
	char *buffers; /* of all of them, one mapping */
	size_t buffers_size;
	char *own_parts; /* the callers' parts of all of them, one mapping; NULL: none */
	size_t own_total;
	uint64_t memory; /* see zcomp_memory() */
	atomic_bool warned_bad_stream;
};

/** zcomp_host - memory and log for backends; what it allocates counts for zt_fault_set() */
extern const struct zcomp_host zcomp_host;

/**
 * streams_init() - make the per-thread streams of @comp, whose backend is set up
 * @own_size: bytes that zcomp_stream_own() has of each
 * @outer: see zcomp_config
 * Return: 0, -ENOMEM, or what create_ctx() says.
 */
int streams_init(struct zcomp *comp, uint32_t nr_streams, uint32_t own_size,
		 bool outer) ZT_MUST_CHECK;
/** streams_borrow() - instead of it: use those of @lender, and its counters */
void streams_borrow(struct zcomp *comp, const struct zcomp *lender);
void streams_exit(struct zcomp *comp);

/** zcomp_count() - add to the counters of the calling thread's number */
void zcomp_count(struct zcomp *comp, enum zcomp_counter which, uint64_t add);

/** zcomp_count_compressed() - a call that ended with 0 or an error of the data */
void zcomp_count_compressed(struct zcomp *comp, bool managed, const struct zcomp_req *req,
			    int error);

/**
 * zcomp_count_managed() - what came of a request to a backend's stream
 * A result counts as the backend's work; a failure counts as a reason to fall back.
 */
void zcomp_count_managed(struct zcomp *comp, const struct zcomp_req *req, int error);

/** zcomp_counter_sum() - over all threads */
uint64_t zcomp_counter_sum(const struct zcomp *comp, enum zcomp_counter which);

#endif
