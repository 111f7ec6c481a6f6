// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * batch.c - one write whose whole clusters are compressed side by side, by the accelerator's
 * engines and by the thread that brought it.
 *
 *     clusters:  | 0 | 1 | 2 | ...                             ... | 14 | 15 |
 *                  engines, from the front --->      <--- this thread, from the back
 *
 * The thread keeps a few clusters more with the engines than they work on, and compresses from the
 * other end meanwhile. When both meet, it takes back what no engine has begun, and goes. The thread
 * that completes the last cluster tells the caller. When the accelerator refuses or fails, the
 * thread that notices compresses with a stream of its own.
 *
 * Locks: none of its own but batches.lock, for a thread that waits until no batch is left. A
 * completion runs in a thread of the accelerator and takes a per-thread stream, slot locks and what
 * is below them, never the file's. No thread waits for a completion with a stream in hand.
 */
#include <errno.h>
#include <string.h>

#include "blkmap/cluster/cluster.h"
#include "blkmap/cluster/huge.h"
#include "blkmap/cluster/settings.h"
#include "blkmap/cluster/traced.h"
#include "blkmap/content/batch.h"
#include "blkmap/content/batch_limits.h"
#include "blkmap/content/change.h"
#include "blkmap/content/content.h"
#include "blkmap/slot/account.h"
#include "util/alloc.h"
#include "util/hook.h"

/* Most bytes that are copied into streams before the first engine hears of them. */
#define BATCH_COPY_MAX (32 * KIB)

#define NO_FAILURE UINT64_MAX

struct batch_task {
	struct batch *batch;
	uint64_t *slot;
	const char *src; /* of the cluster, in the request */
	struct zcomp_strm *strm; /* where it was submitted */
	struct zcomp_req req;
	uint64_t begun; /* trace_begin() */
};

struct batch {
	struct content *content;
	struct blkmap_file file;
	struct blkmap_write_end end;
	const char *src; /* of the whole write */
	uint64_t off;
	size_t len;
	size_t first; /* bytes before the first whole cluster */
	unsigned nr; /* whole clusters whose slots exist */
	int slot_error; /* why there are no more */
	uint32_t size; /* of a cluster */

	/* Its thread, and each cluster that is with the accelerator; the last one ends the write. */
	atomic_uint left;
	/* The same, and each source that the device still reads: the last one frees it. */
	atomic_uint refs;
	/* First byte that was not stored << 16 | errno. Relaxed: left orders it. */
	atomic_uint_fast64_t failure;

	struct batch_task tasks[];
};

/* ---- ends ---- */

static void batch_put(struct batch *batch)
{
	struct content *content = batch->content;

	if (atomic_fetch_sub_explicit(&batch->refs, 1, memory_order_acq_rel) != 1)
		return;
	batch->end.release(batch->end.release_arg);
	zt_free(batch);
	mutex_lock_counted(&content->batches.lock, ZT_LOCK_BATCH);
	if (--content->batches.nr == 0)
		cond_broadcast(&content->batches.cond);
	mutex_unlock(&content->batches.lock);
}

static void batch_fail(struct batch *batch, size_t at, int error)
{
	uint64_t failure = (uint64_t)at << 16 | (uint64_t)-error;
	uint64_t old = atomic_load_explicit(&batch->failure, memory_order_relaxed);

	while (failure < old &&
	       !atomic_compare_exchange_weak_explicit(&batch->failure, &old, failure,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

static bool batch_failed(const struct batch *batch)
{
	return atomic_load_explicit(&batch->failure, memory_order_relaxed) != NO_FAILURE;
}

static int batch_error(const struct batch *batch)
{
	return -(int)(atomic_load_explicit(&batch->failure, memory_order_relaxed) & 0xffff);
}

/* One less that the end waits for. */
static void batch_leave(struct batch *batch, bool is_async)
{
	uint64_t failure;

	if (atomic_fetch_sub_explicit(&batch->left, 1, memory_order_acq_rel) != 1)
		return;
	if (is_async)
		atomic_fetch_add_explicit(&batch->content->batches.async_writes, 1,
					  memory_order_relaxed);
	failure = atomic_load_explicit(&batch->failure, memory_order_relaxed);
	if (failure == NO_FAILURE)
		batch->end.done(batch->end.arg, 0, batch->len);
	else
		batch->end.done(batch->end.arg, batch_error(batch), (size_t)(failure >> 16));
}

/* ---- clusters ---- */

static size_t task_at(const struct batch_task *task)
{
	return (size_t)(task->src - task->batch->src);
}

static struct cluster task_cluster(const struct batch_task *task, struct zcomp_strm *strm)
{
	const struct batch *batch = task->batch;

	return cluster_of(batch->content->codecs, &batch->file, task->slot, strm);
}

/* The bytes of a task's cluster, wherever they stand. */
static struct source task_source(const struct batch_task *task, const void *data)
{
	uint32_t size = task->batch->size;

	return (struct source){
		.data = data,
		.len = size,
		.full = size,
		.mask = pages_mask(size),
	};
}

static void task_store(struct batch_task *task, const struct encoded *enc)
{
	struct batch *batch = task->batch;
	const struct cluster c = task_cluster(task, NULL);
	int error = cluster_commit(&c, enc, NULL);

	if (error)
		batch_fail(batch, task_at(task), error);
}

static void task_traced(const struct batch_task *task, enum trace_kind kind,
			const struct source *src, const struct encoded *enc)
{
	const struct traced what = {
		.begun = task->begun,
		.kind = kind,
		.managed = kind == TRACE_RAW || kind == TRACE_SMALLER,
	};

	if (unlikely(task->begun != 0))
		codecs_traced(task->batch->content->codecs, &what, src, enc);
}

static void task_inline(struct batch_task *task, struct zcomp_strm *own, const char *src)
{
	const struct cluster c = task_cluster(task, own);
	const struct source source = task_source(task, src);
	struct encoded enc;

	encode(&c, &source, &enc);
	task_store(task, &enc);
}

/* The device no longer reads the request's bytes. */
static void task_unpin(void *arg)
{
	struct batch_task *task = arg;

	batch_put(task->batch);
}

/*
 * In a thread of the accelerator. What it gave up is done here; so long as the stream is not put,
 * its local_copy stays as it is, and so does a source that is pinned.
 */
static void task_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct batch_task *task = arg;
	struct batch *batch = task->batch;
	struct content *content = batch->content;

	zt_hook("batch: a cluster comes back", 0);
	if (error && error != -ENOSPC) {
		struct zcomp_strm *own = zcomp_stream_get(content->codecs->comp, ZSTRM_DEFAULT);

		task_inline(task, own, req->src);
		zcomp_stream_put(content->codecs->comp, own);
	} else {
		const struct source source = task_source(task, req->src);
		struct encoded enc;

		encode_result(&source, error ? NULL : strm->buffer, req->dst_len, &enc);
		task_traced(task, error ? TRACE_RAW : TRACE_SMALLER, &source, &enc);
		huge_note(content->codecs, &batch->file, !error);
		task_store(task, &enc);
	}
	zcomp_stream_put(content->codecs->comp, strm);
	batch_inflight_sub(content, batch->size);
	batch_leave(batch, true);
	batch_put(batch);
}

/* Bytes that the caller wants back when it returns are copied into the stream. */
static void task_fill(struct batch_task *task)
{
	struct batch *batch = task->batch;

	task->req = (struct zcomp_req){
		.src = task->src,
		.src_len = batch->size,
		.dst = task->strm->buffer,
		.dst_cap = encode_cap(batch->size),
	};
	if (batch->end.keeps_bytes) {
		task->req.unpin = task_unpin;
		task->req.unpin_arg = task;
	} else {
		memcpy(task->strm->local_copy, task->src, batch->size);
		task->req.src = task->strm->local_copy;
	}
}

/* Until done, and until unpinned. */
static unsigned task_refs(const struct batch_task *task)
{
	return task->req.unpin ? 2 : 1;
}

/* What became of a cluster that engines were to have. */
enum task_fate {
	TASK_STORED, /* it needs none */
	TASK_READY, /* counted, its request filled in: to be submitted */
	TASK_REFUSED, /* nothing came of it */
};

static enum task_fate task_prepare(struct batch_task *task)
{
	struct batch *batch = task->batch;
	struct content *content = batch->content;
	const struct source source = task_source(task, task->src);
	struct encoded enc;

	task->begun = trace_begin(&content->codecs->trace);
	if (encode_same(&source, &enc)) {
		task_traced(task, TRACE_SAME, &source, &enc);
		task_store(task, &enc);
		return TASK_STORED;
	}
	if (huge_skip(content->codecs, &batch->file, task->src, batch->size)) {
		encode_raw(&batch->file, &source, &enc);
		task_traced(task, TRACE_SKIPPED, &source, &enc);
		task_store(task, &enc);
		return TASK_STORED;
	}
	if (!batch_inflight_add(content, batch->size))
		return TASK_REFUSED;
	task->strm = zcomp_stream_get_managed(content->codecs->comp);
	if (!task->strm) {
		batch_inflight_sub(content, batch->size);
		return TASK_REFUSED;
	}
	task_fill(task);
	atomic_fetch_add_explicit(&batch->left, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&batch->refs, task_refs(task), memory_order_relaxed);
	return TASK_READY;
}

/* No done() will come. The thread itself holds one of each count: neither can reach zero here. */
static void task_take_back(struct batch_task *task)
{
	struct batch *batch = task->batch;

	zcomp_stream_put(batch->content->codecs->comp, task->strm);
	task->strm = NULL;
	batch_inflight_sub(batch->content, batch->size);
	atomic_fetch_sub_explicit(&batch->refs, task_refs(task), memory_order_relaxed);
	atomic_fetch_sub_explicit(&batch->left, 1, memory_order_relaxed);
}

/*
 * Clusters of one write that are submitted at once, at most @most. Where bytes are copied first, an
 * engine would wait for all copies: then so few that it does not wait for long.
 */
static unsigned submission_max(const struct batch *batch, unsigned most)
{
	uint32_t max = zcomp_batch_max(batch->content->codecs->comp);

	if (!batch->end.keeps_bytes)
		max = (uint32_t)min_u64(max, max_u64(BATCH_COPY_MAX / batch->size, 1));
	return (unsigned)min_u64(max, most);
}

/*
 * Give the engines clusters from @front on, at most @most. What the device refuses is as if it had
 * never been tried.
 * Return: how many are with them, or needed none.
 */
static unsigned tasks_submit(struct batch *batch, unsigned front, unsigned most)
{
	struct zcomp_batch_entry entries[ZCOMP_MAX_BATCH];
	struct batch_task *ready[ZCOMP_MAX_BATCH];
	unsigned max = submission_max(batch, most), at;
	uint32_t nr = 0, nr_taken;

	for (at = front; at < front + max; at++) {
		struct batch_task *task = &batch->tasks[at];
		enum task_fate fate = task_prepare(task);

		if (fate == TASK_REFUSED)
			break;
		if (fate == TASK_STORED)
			continue;
		ready[nr] = task;
		entries[nr++] = (struct zcomp_batch_entry){
			.strm = task->strm, .req = &task->req, .arg = task
		};
	}
	nr_taken = zcomp_submit_batch(batch->content->codecs->comp, entries, nr, task_done);
	if (nr_taken < nr)
		at = (unsigned)(ready[nr_taken] - batch->tasks);
	while (nr > nr_taken)
		task_take_back(ready[--nr]);
	return at - front;
}

static bool task_cancel(struct batch_task *task)
{
	struct batch *batch = task->batch;

	if (!task->strm || !zcomp_cancel(batch->content->codecs->comp, task->strm, &task->req))
		return false;
	task_take_back(task);
	return true;
}

/* ---- the write ---- */

/* The first and the last cluster, if the write has only a part of them. */
static void write_edges(struct batch *batch, struct zcomp_strm *own)
{
	size_t last = batch->first + (size_t)batch->nr * batch->size;
	int error;

	if (batch->first > 0) {
		error = write_part(batch->content, &batch->file, own, batch->off, batch->src,
				   (uint32_t)batch->first);
		if (error)
			batch_fail(batch, 0, error);
	}
	if (last < batch->len && !batch->slot_error && !batch_failed(batch)) {
		error = write_part(batch->content, &batch->file, own, batch->off + last,
				   batch->src + last, (uint32_t)(batch->len - last));
		if (error)
			batch_fail(batch, last, error);
	}
}

static void batch_run(struct batch *batch, struct zcomp_strm *own)
{
	unsigned window =
		atomic_load_explicit(&batch->content->batches.window, memory_order_relaxed);
	unsigned front = 0, back = batch->nr, nr_cancelled = 0;
	bool ran_dry = false, edges = false;

	do {
		bool taken = true;

		while (taken && front < back) {
			unsigned left = atomic_load_explicit(&batch->left, memory_order_relaxed);
			unsigned nr;

			if (left > window)
				break;
			nr = tasks_submit(batch, front, (unsigned)min_u64(window + 1 - left, back - front));
			taken = nr > 0;
			front += nr;
		}
		if (!edges) {
			write_edges(batch, own);
			edges = true;
		} else if (front < back) {
			back--;
			task_inline(&batch->tasks[back], own, batch->tasks[back].src);
		}
		ran_dry |= taken && front < back &&
			   atomic_load_explicit(&batch->left, memory_order_relaxed) == 1;
	} while (front < back && !batch_failed(batch));
	if (front < back) /* the rest is left undone: nothing from there on counts */
		batch_fail(batch, task_at(&batch->tasks[front]), batch_error(batch));
	if (batch->slot_error)
		batch_fail(batch, batch->first + (size_t)batch->nr * batch->size,
			   batch->slot_error);
	/* A single cluster is only here because the engines shall have it. */
	while (batch->nr > 1 && front-- > 0) {
		if (!task_cancel(&batch->tasks[front]))
			continue;
		nr_cancelled++;
		task_inline(&batch->tasks[front], own, batch->tasks[front].src);
	}
	batch_window_adapt(batch->content, ran_dry, nr_cancelled);
}

/* Slots of the whole clusters, as many as can be had. */
static void find_slots(struct batch *batch, unsigned nr)
{
	uint64_t idx = (batch->off + batch->first) / batch->size;

	for (; batch->nr < nr; batch->nr++) {
		struct batch_task *task = &batch->tasks[batch->nr];
		size_t at = batch->first + (size_t)batch->nr * batch->size;
		int error =
			tree_slot_alloc(batch->content->slots->arena, batch->content->slots->meta,
					&batch->file.tree, idx + batch->nr, &task->slot);

		if (error) {
			batch->slot_error = error;
			return;
		}
		task->batch = batch;
		task->src = batch->src + at;
	}
}

bool batch_write(struct content *content, const struct blkmap_file *file,
		 const struct blkmap_bytes *bytes, const struct blkmap_write_end *end)
{
	uint32_t size = cluster_size(file->order);
	size_t first = (size_t)min_u64((size - bytes->off % size) % size, bytes->len);
	uint64_t nr = (bytes->len - first) / size;
	struct zcomp_strm *own;
	struct batch *batch;

	/* Engines know the mount's algorithm only. */
	if (setting_now(content->codecs, file) != BLKMAP_SETTING_DEFAULT ||
	    !batch_pays(content, file->order, nr, bytes->pref) ||
	    batch_is_near_limit(content, bytes->len))
		return false;
	batch = zt_zalloc(sizeof(*batch) + nr * sizeof(batch->tasks[0]));
	if (!batch)
		return false;
	batch->content = content;
	batch->file = *file;
	batch->end = *end;
	batch->src = bytes->data;
	batch->off = bytes->off;
	batch->len = bytes->len;
	batch->first = first;
	batch->size = size;
	atomic_init(&batch->left, 1);
	atomic_init(&batch->refs, 1);
	atomic_init(&batch->failure, NO_FAILURE);
	mutex_lock_counted(&content->batches.lock, ZT_LOCK_BATCH);
	content->batches.nr++;
	mutex_unlock(&content->batches.lock);
	find_slots(batch, (unsigned)nr);
	own = zcomp_stream_get(content->codecs->comp, ZSTRM_DEFAULT);
	batch_run(batch, own);
	zcomp_stream_put(content->codecs->comp, own);
	batch_leave(batch, false);
	batch_put(batch);
	return true;
}

bool content_drain(struct content *content, uint64_t until_ns)
{
	const struct timespec until = zt_timespec(until_ns);
	bool ended;

	/* What is completed need not interrupt an engine to end. */
	while (zcomp_poll(content->codecs->comp, UINT32_MAX) > 0)
		;
	mutex_lock_counted(&content->batches.lock, ZT_LOCK_BATCH);
	while (!(ended = content->batches.nr == 0)) {
		if (!until_ns)
			cond_wait(&content->batches.cond, &content->batches.lock);
		else if (!cond_wait_until(&content->batches.cond, &content->batches.lock, &until))
			break;
	}
	mutex_unlock(&content->batches.lock);
	return ended;
}
