// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * streams.c - which caller gets which stream: a per-thread one of the core's, or one that a backend
 * manages.
 *
 * A per-thread stream's mutex is held from get to put, over one compression or decompression and
 * whatever its holder does with the result; no other lock is taken under it here. Managed streams
 * have no lock of the core's. Neither path allocates.
 */
#include "zcomp/streams.h"

#include <errno.h>
#include <string.h>

#include "util/alloc.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/sizes.h"

static void host_log(const char *line)
{
	zt_log(ZT_LOG_WARN, "%s", line);
}

const struct zcomp_host zcomp_host = {
	.struct_size = sizeof(struct zcomp_host),
	.log = host_log,
	.alloc = zt_zalloc,
	.free = zt_free,
	.map = zt_map,
	.unmap = zt_unmap,
};

/* Threads are numbered as they first come here; the number outlives nothing and may wrap. */
static uint32_t thread_number(void)
{
	static atomic_uint next_number;
	static _Thread_local uint32_t number; /* 0: none yet */

	if (unlikely(number == 0)) {
		do {
			number = atomic_fetch_add_explicit(&next_number, 1, memory_order_relaxed);
		} while (number == 0);
	}
	return number;
}

void zcomp_count(struct zcomp *comp, enum zcomp_counter which, uint64_t add)
{
	struct thread_strm *thread = &comp->threads[thread_number() % comp->nr_streams];

	atomic_fetch_add_explicit(&thread->count[which], add, memory_order_relaxed);
}

uint64_t zcomp_counter_sum(const struct zcomp *comp, enum zcomp_counter which)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < comp->nr_streams; i++)
		sum += atomic_load_explicit(&comp->threads[i].count[which], memory_order_relaxed);
	return sum;
}

/* Output may be larger than input, and staged input needs a place: callers count on both. */
static bool strm_fits(const struct zcomp *comp, const struct zcomp_strm *strm)
{
	return strm->buffer && strm->buffer_size >= 2 * (size_t)comp->params.unit &&
	       strm->local_copy && strm->local_copy_size >= comp->params.unit;
}

/* clang cannot be told that a stream comes with its lock, here and below. */
struct zcomp_strm *zcomp_stream_try(struct zcomp *comp) ZT_NO_LOCK_CHECK
{
	uint32_t nr = comp->nr_streams - comp->private_stream;
	uint32_t first = thread_number() % nr;

	for (uint32_t i = 0; i < nr; i++) {
		struct thread_strm *thread = &comp->threads[(first + i) % nr];

		if (mutex_trylock(&thread->lock)) {
			ZT_ASSERT(strm_fits(comp, &thread->strm));
			return &thread->strm;
		}
	}
	return NULL;
}

static struct zcomp_strm *thread_stream_get(struct zcomp *comp) ZT_NO_LOCK_CHECK
{
	struct zcomp_strm *strm;
	struct thread_strm *thread;

	zt_lock_waits_for(&comp->threads[0].lock); /* any of them */
	strm = zcomp_stream_try(comp);
	if (strm)
		return strm;
	thread = &comp->threads[thread_number() % (comp->nr_streams - comp->private_stream)];
	mutex_lock_counted(&thread->lock, ZT_LOCK_STREAM);
	ZT_ASSERT(strm_fits(comp, &thread->strm));
	return &thread->strm;
}

struct zcomp_strm *zcomp_stream_get_private(struct zcomp *comp) ZT_NO_LOCK_CHECK
{
	struct thread_strm *thread = &comp->threads[comp->nr_streams - 1];

	ZT_ASSERT(comp->private_stream);
	mutex_lock_counted(&thread->lock, ZT_LOCK_STREAM);
	return &thread->strm;
}

struct zcomp_strm *zcomp_stream_get_managed(struct zcomp *comp)
{
	struct zcomp_strm *strm;

	if (!comp->managed)
		return NULL;
	strm = comp->ops->get_stream(&comp->params);
	if (!strm) {
		zcomp_count(comp, COUNT_NO_STREAM, 1);
		return NULL;
	}
	if (unlikely(!strm_fits(comp, strm))) {
		comp->ops->put_stream(&comp->params, strm);
		zcomp_count(comp, COUNT_BAD_STREAM, 1);
		if (!atomic_exchange_explicit(&comp->warned_bad_stream, true, memory_order_relaxed))
			zt_log(ZT_LOG_WARN,
			       "compress=%s: a managed stream of backend %s has too small buffers "
			       "and is not used",
			       comp->algorithm->name, comp->ops->name);
		return NULL;
	}
	strm->zcomp_managed = true;
	strm->comp = comp;
	return strm;
}

struct zcomp_strm *zcomp_stream_get(struct zcomp *comp, enum zstrm_pref pref)
{
	struct zcomp_strm *strm = NULL;

	if (pref == ZSTRM_PREFER_MGMT)
		strm = zcomp_stream_get_managed(comp);
	return strm ? strm : thread_stream_get(comp);
}

void zcomp_stream_put(struct zcomp *comp, struct zcomp_strm *strm) ZT_NO_LOCK_CHECK
{
	ZT_ASSERT(strm->comp->threads == comp->threads);
	if (strm->zcomp_managed)
		comp->ops->put_stream(&comp->params, strm);
	else
		mutex_unlock(&container_of(strm, struct thread_strm, strm)->lock);
}

void *zcomp_stream_own(struct zcomp_strm *strm)
{
	ZT_ASSERT(!strm->zcomp_managed && strm->comp->own_parts);
	return container_of(strm, struct thread_strm, strm)->own;
}

bool zcomp_stream_is_managed(const struct zcomp *comp, const struct zcomp_strm *strm)
{
	ZT_ASSERT(strm->comp == comp);
	return strm->zcomp_managed;
}

/* The buffers of all streams, which backends write in, and the callers' parts, apart from them. */
static int memory_init(struct zcomp *comp, uint32_t nr_streams, uint32_t own_size)
{
	size_t each = round_up_u64(own_size, ZCOMP_CACHE_LINE);

	comp->threads = zt_alloc_aligned(ZCOMP_CACHE_LINE, nr_streams * sizeof(*comp->threads));
	if (!comp->threads)
		return -ENOMEM;
	memset(comp->threads, 0, nr_streams * sizeof(*comp->threads));
	comp->buffers_size = nr_streams * 3 * (size_t)comp->params.unit;
	comp->buffers = zt_map(comp->buffers_size);
	if (!comp->buffers)
		return -ENOMEM;
	if (own_size == 0)
		return 0;
	comp->own_total = nr_streams * each;
	comp->own_parts = zt_map(comp->own_total);
	if (!comp->own_parts)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr_streams; i++)
		comp->threads[i].own = comp->own_parts + i * each;
	return 0;
}

static enum zt_lock_rank streams_rank(const struct zcomp *comp, bool last, bool outer)
{
	if (last && comp->private_stream)
		return ZT_RANK_PRIVATE;
	return outer ? ZT_RANK_STREAM : ZT_RANK_CODEC;
}

/* Memory first, then the streams one by one; nr_streams counts those whose context exists. */
int streams_init(struct zcomp *comp, uint32_t nr_streams, uint32_t own_size, bool outer)
{
	size_t unit = comp->params.unit;
	size_t each = 3 * unit;
	int error = memory_init(comp, nr_streams, own_size);

	if (error)
		goto err_streams;
	for (uint32_t i = 0; i < nr_streams; i++) {
		struct thread_strm *thread = &comp->threads[i];
		struct zcomp_strm *strm = &thread->strm;

		strm->buffer = comp->buffers + i * each;
		strm->buffer_size = 2 * unit;
		strm->local_copy = comp->buffers + i * each + 2 * unit;
		strm->local_copy_size = unit;
		strm->comp = comp;
		error = comp->ops->create_ctx(&comp->params, &strm->ctx);
		if (error)
			goto err_streams;
		mutex_init(&thread->lock, streams_rank(comp, i == nr_streams - 1, outer));
		comp->nr_streams++;
	}
	return 0;

err_streams:
	streams_exit(comp);
	return error;
}

void streams_borrow(struct zcomp *comp, const struct zcomp *lender)
{
	comp->borrowed = true;
	comp->threads = lender->threads;
	comp->nr_streams = lender->nr_streams;
	comp->private_stream = lender->private_stream;
}

void streams_exit(struct zcomp *comp)
{
	if (comp->borrowed)
		return;
	while (comp->nr_streams > 0) {
		struct thread_strm *thread = &comp->threads[--comp->nr_streams];

		comp->ops->destroy_ctx(&comp->params, &thread->strm.ctx);
		mutex_exit(&thread->lock);
	}
	zt_unmap(comp->buffers, comp->buffers_size);
	comp->buffers = NULL;
	zt_unmap(comp->own_parts, comp->own_total);
	comp->own_parts = NULL;
	zt_free(comp->threads);
	comp->threads = NULL;
}
