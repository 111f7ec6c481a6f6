// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * content.c - life cycle and counters of the part that reads and writes.
 */
#include "blkmap/content/content.h"

#include "blkmap/content/batch.h"
#include "util/alloc.h"

/* With a limit on memory a 256th of that at most, but so much that some clusters can be. */
#define INFLIGHT_DIVISOR 256u
#define INFLIGHT_MIN     (256 * KIB)

static void batches_init(struct batches *batches, unsigned nr_engines)
{
	mutex_init(&batches->lock, ZT_RANK_BATCH);
	cond_init(&batches->cond);
	batches->window_min = 2 * nr_engines;
	atomic_init(&batches->window, batches->window_min);
}

static void batches_exit(struct batches *batches)
{
	cond_exit(&batches->cond);
	mutex_exit(&batches->lock);
}

uint64_t batches_set_limit(struct batches *batches, uint64_t mem_limit)
{
	batches->inflight_limit = INFLIGHT_LIMIT;
	if (mem_limit)
		batches->inflight_limit = min_u64(
			max_u64(mem_limit / INFLIGHT_DIVISOR, INFLIGHT_MIN), INFLIGHT_LIMIT);
	return 2 * batches->inflight_limit;
}

void content_init(struct content *content, struct slots *slots, struct codecs *codecs,
		  enum blkmap_accel accel, unsigned nr_cpus, unsigned nr_engines)
{
	content->codecs = codecs;
	content->slots = slots;
	content->accel = accel;
	content->nr_cpus = nr_cpus;
	readers_init(&content->readers);
	batches_init(&content->batches, nr_engines);
}

void content_stop(struct content *content)
{
	(void)content_drain(content, 0); /* without an end it says yes */
	readers_stop(&content->readers);
}

void content_exit(struct content *content)
{
	zt_free(content->check.names);
	batches_exit(&content->batches);
	rereads_exit(&content->rereads);
	readers_exit(&content->readers);
}

static uint64_t counter(const atomic_uint_fast64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

void content_get_stat(const struct content *content, struct blkmap_stat *out_stat)
{
	const struct batches *batches = &content->batches;

	out_stat->reads_split = counter(&content->reads_split);
	out_stat->async_writes = counter(&batches->async_writes);
	out_stat->inflight_now = counter(&batches->inflight);
	out_stat->inflight_max = counter(&batches->inflight_max);
	out_stat->inflight_limit = batches->inflight_limit;
	out_stat->fallback_inflight = counter(&batches->fallback_inflight);
}
