// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * batch.c - the whole clusters of one request, compressed side by side.
 *
 * The request's thread hands clusters to managed streams as long as the accelerator takes them, and
 * compresses others itself meanwhile. Completions come from the engines' threads, which only note
 * them; this thread publishes. Whatever the accelerator refuses or fails, this thread does by its
 * own stream. The request's bytes stay where they are until all is done.
 *
 * Locks: batch.lock guards the list of completions; nothing is called under it.
 */
#include "blkmap/blkmap_i.h"

#include <errno.h>

/* Clusters of one request with the engines at a time: bounds the bytes in flight. */
#define BATCH_WINDOW 16u

/* Below 16 KiB a queue costs as much as the compression. */
#define BATCH_AUTO_ORDER 2u

struct batch;

struct batch_task {
	struct batch *batch;
	struct batch_task *next; /* in batch.completed or batch.idle */
	struct zcomp_strm *strm;
	struct zcomp_req req;
	unsigned idx;
	int error;
};

struct batch {
	struct blkmap *map;
	const struct blkmap_file *file;
	uint64_t **slots;
	const char *src;
	struct zcomp_strm *own; /* this thread's stream */
	uint32_t size; /* of a cluster */

	struct batch_task tasks[BATCH_WINDOW];
	struct batch_task *idle;
	unsigned in_flight;

	unsigned failed_idx; /* the first cluster that could not be stored */
	int error; /* why */

	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct batch_task *completed; /* guarded by lock */
};

static void batch_init(struct batch *batch)
{
	batch->idle = NULL;
	for (unsigned i = 0; i < BATCH_WINDOW; i++) {
		batch->tasks[i].batch = batch;
		batch->tasks[i].next = batch->idle;
		batch->idle = &batch->tasks[i];
	}
	mutex_init(&batch->lock);
	zt_lock_check(pthread_cond_init(&batch->cond, NULL));
}

static void batch_exit(struct batch *batch)
{
	zt_lock_check(pthread_cond_destroy(&batch->cond));
	mutex_exit(&batch->lock);
}

/* In an engine's thread. */
static void task_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct batch_task *task = arg;
	struct batch *batch = task->batch;

	(void)strm;
	(void)req;
	mutex_lock(&batch->lock);
	task->error = error;
	task->next = batch->completed;
	batch->completed = task;
	/* Under the lock: the batch is gone once its thread has seen the last completion. */
	pthread_cond_signal(&batch->cond);
	mutex_unlock(&batch->lock);
}

static void batch_store(struct batch *batch, unsigned idx, const struct encoded *enc)
{
	int error = cluster_commit(batch->map, batch->file, batch->slots[idx], enc, NULL, false);

	if (error && idx < batch->failed_idx) {
		batch->failed_idx = idx;
		batch->error = error;
	}
}

static void batch_inline(struct batch *batch, unsigned idx)
{
	struct encoded enc;

	encode(batch->map, batch->own, batch->src + (size_t)idx * batch->size, batch->size,
	       batch->size, pages_mask(batch->size), &enc);
	batch_store(batch, idx, &enc);
}

/* True when an engine has taken the cluster. */
static bool batch_submit(struct batch *batch, unsigned idx)
{
	struct batch_task *task = batch->idle;
	int error;

	if (!task)
		return false;
	task->strm = zcomp_stream_get_managed(batch->map->comp);
	if (!task->strm)
		return false;
	task->idx = idx;
	task->req = (struct zcomp_req){
		.src = batch->src + (size_t)idx * batch->size,
		.src_len = batch->size,
		.dst = task->strm->buffer,
		.dst_cap = encode_cap(batch->size),
	};
	batch->idle = task->next;
	error = zcomp_submit(batch->map->comp, task->strm, &task->req, task_done, task);
	if (error) {
		task->next = batch->idle;
		batch->idle = task;
		zcomp_stream_put(batch->map->comp, task->strm);
		return false;
	}
	batch->in_flight++;
	return true;
}

static void task_finish(struct batch *batch, struct batch_task *task)
{
	struct encoded enc;

	if (task->error && task->error != -ENOSPC) {
		batch_inline(batch, task->idx);
	} else {
		encode_result(task->req.src, batch->size, pages_mask(batch->size),
			      task->error ? NULL : task->strm->buffer, task->req.dst_len, &enc);
		batch_store(batch, task->idx, &enc);
	}
	zcomp_stream_put(batch->map->comp, task->strm);
	task->next = batch->idle;
	batch->idle = task;
	batch->in_flight--;
}

/* Publish what is ready; @wait: until there is something. */
static void batch_harvest(struct batch *batch, bool wait)
{
	struct batch_task *task, *next;

	mutex_lock(&batch->lock);
	while (wait && !batch->completed)
		zt_lock_check(pthread_cond_wait(&batch->cond, &batch->lock));
	task = batch->completed;
	batch->completed = NULL;
	mutex_unlock(&batch->lock);
	for (; task; task = next) {
		next = task->next;
		task_finish(batch, task);
	}
}

/* With auto: only while there are fewer writers than CPUs, so that engines find idle ones. */
static bool batch_offloads(const struct blkmap *map, unsigned order, unsigned nr,
			   enum zstrm_pref pref)
{
	if (map->accel == BLKMAP_ACCEL_OFF || !zcomp_managed(map->comp))
		return false;
	if (map->accel == BLKMAP_ACCEL_ON)
		return nr > 1 || pref == ZSTRM_PREFER_MGMT;
	return nr > 1 && order >= BATCH_AUTO_ORDER &&
	       atomic_load_explicit(&map->active_writes, memory_order_relaxed) < map->nr_cpus;
}

int batch_write(struct blkmap *map, const struct blkmap_file *file, uint64_t **slots, unsigned nr,
		const char *src, struct zcomp_strm *strm, enum zstrm_pref pref, unsigned *out_done)
{
	bool offload = batch_offloads(map, file->order, nr, pref);
	struct batch batch = {
		.map = map,
		.file = file,
		.slots = slots,
		.src = src,
		.own = strm,
		.size = cluster_size(file->order),
		.failed_idx = nr,
	};
	unsigned idx;

	if (offload)
		batch_init(&batch);
	for (idx = 0; idx < nr && !batch.error; idx++) {
		struct encoded enc;

		if (encode_same(src + (size_t)idx * batch.size, batch.size, batch.size,
				pages_mask(batch.size), &enc))
			batch_store(&batch, idx, &enc);
		else if (!offload || !batch_submit(&batch, idx))
			batch_inline(&batch, idx);
		if (batch.in_flight)
			batch_harvest(&batch, false);
	}
	while (batch.in_flight)
		batch_harvest(&batch, true);
	if (offload)
		batch_exit(&batch);
	*out_done = batch.error ? batch.failed_idx : nr;
	return batch.error;
}
