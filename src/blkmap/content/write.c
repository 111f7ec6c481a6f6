// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * write.c - writing byte ranges of a file, cluster by cluster, in this thread or with the accelerator.
 */
#include <errno.h>
#include <string.h>

#include "blkmap/cluster/cluster.h"
#include "blkmap/content/batch.h"
#include "blkmap/content/change.h"
#include "blkmap/content/content.h"

bool content_covers(const struct blkmap_file *file, uint64_t off, size_t len)
{
	uint64_t last = (off + max_u64(len, 1) - 1) >> (ZT_PAGE_SHIFT + file->order);

	return last < tree_capacity(tree_shape(&file->tree));
}

int content_grow(struct content *content, const struct blkmap_file *file, uint64_t off, size_t len)
{
	uint64_t last = (off + max_u64(len, 1) - 1) >> (ZT_PAGE_SHIFT + file->order);

	struct slots_move move;
	struct tree_mover mover = slots_mover(&move, content->slots);

	return tree_grow(content->slots->arena, content->slots->meta, &file->tree, last, &mover);
}

int content_slot(struct content *content, const struct blkmap_file *file, uint64_t idx,
		 uint64_t **out_slot)
{
	struct slots *slots = content->slots;
	int error = tree_slot_alloc(slots->arena, slots->meta, &file->tree, idx, out_slot);

	if (error == -ENOSPC && zs_trim(slots->data, 0) > 0)
		error = tree_slot_alloc(slots->arena, slots->meta, &file->tree, idx, out_slot);
	return error;
}

/* The cluster that holds byte @off. Return: as content_slot(). */
static int cluster_at(struct content *content, const struct blkmap_file *file,
		      struct zcomp_strm *strm, uint64_t off, struct cluster *out_c)
{
	uint64_t *slot;
	int error = content_slot(content, file, off / cluster_size(file->order), &slot);

	if (!error)
		*out_c = cluster_of(content->codecs, file, slot, strm);
	return error;
}

int write_part(struct content *content, const struct blkmap_file *file, struct zcomp_strm *strm,
	       uint64_t off, const char *src, uint32_t len)
{
	uint32_t size = cluster_size(file->order);
	struct cluster_op op = { .from = off % size, .to = off % size + len, .src = src };
	struct cluster c;
	int error = cluster_at(content, file, strm, off, &c);

	return error ? error : cluster_write(&c, &op);
}

static int write_whole(struct content *content, const struct blkmap_file *file,
		       struct zcomp_strm *strm, uint64_t off, const char *src)
{
	uint32_t size = cluster_size(file->order);
	struct cluster_op op = { .to = size, .src = src };
	struct source source = {
		.data = src,
		.len = size,
		.full = size,
		.mask = pages_mask(size),
	};
	struct encoded enc;
	struct cluster c;
	int error = cluster_at(content, file, strm, off, &c);

	if (error)
		return error;
	encode(&c, &source, &enc);
	error = cluster_commit(&c, &enc, NULL);
	return error == -ENOSPC ? cluster_overwrite(&c, &op) : error;
}

/* Cluster by cluster, in this thread. */
static int write_inline(struct content *content, const struct blkmap_file *file,
			const struct blkmap_bytes *bytes, size_t *out_done)
{
	struct zcomp_strm *strm = zcomp_stream_get(content->codecs->comp, ZSTRM_DEFAULT);
	uint32_t size = cluster_size(file->order);
	const char *src = bytes->data;
	uint64_t off = bytes->off;
	size_t left = bytes->len;
	int error = 0;

	while (left > 0) {
		uint32_t part = (uint32_t)min_u64(size - off % size, left);

		if (part == size)
			error = write_whole(content, file, strm, off, src);
		else
			error = write_part(content, file, strm, off, src, part);
		if (error)
			break;
		src += part;
		off += part;
		left -= part;
	}
	zcomp_stream_put(content->codecs->comp, strm);
	*out_done = bytes->len - left;
	return error;
}

static bool accel_in_use(const struct content *content)
{
	return content->accel != BLKMAP_ACCEL_OFF && zcomp_managed(content->codecs->comp);
}

bool content_may_defer(const struct content *content, size_t len)
{
	return accel_in_use(content) && !batch_is_near_limit(content, len) &&
	       len >= (content->accel == BLKMAP_ACCEL_ON ? 1 : 2) * ZT_PAGE_SIZE;
}

void content_write_async(struct content *content, const struct blkmap_file *file,
			 const struct blkmap_bytes *bytes, const struct blkmap_write_end *end)
{
	size_t done;
	int error;

	atomic_fetch_add_explicit(&content->active_writes, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&content->requests, 1, memory_order_relaxed);
	if (!accel_in_use(content) || !batch_write(content, file, bytes, end)) {
		error = write_inline(content, file, bytes, &done);
		end->done(end->arg, error, done);
		end->release(end->release_arg);
	}
	atomic_fetch_sub_explicit(&content->active_writes, 1, memory_order_relaxed);
}

/* A thread that waits for a write of its own, on its stack. */
struct waiter {
	struct mutex lock;
	pthread_cond_t ended;
	bool is_done, is_released;
	int error;
	size_t done;
};

static void waiter_done(void *arg, int error, size_t done)
{
	struct waiter *waiter = arg;

	mutex_lock(&waiter->lock);
	waiter->error = error;
	waiter->done = done;
	waiter->is_done = true;
	mutex_unlock(&waiter->lock);
}

/* The last that comes. */
static void waiter_release(void *arg)
{
	struct waiter *waiter = arg;

	mutex_lock(&waiter->lock);
	waiter->is_released = true;
	cond_signal(&waiter->ended);
	mutex_unlock(&waiter->lock);
}

int content_write(struct content *content, const struct blkmap_file *file,
		  const struct blkmap_bytes *bytes, size_t *out_done)
{
	struct waiter waiter = { 0 };
	struct blkmap_write_end end = {
		.done = waiter_done,
		.arg = &waiter,
		.release = waiter_release,
		.release_arg = &waiter,
		.keeps_bytes = true,
	};

	if (!content_may_defer(content, bytes->len)) {
		atomic_fetch_add_explicit(&content->active_writes, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&content->requests, 1, memory_order_relaxed);
		waiter.error = write_inline(content, file, bytes, out_done);
		atomic_fetch_sub_explicit(&content->active_writes, 1, memory_order_relaxed);
		return waiter.error;
	}
	mutex_init(&waiter.lock, ZT_RANK_WAITER);
	cond_init(&waiter.ended);
	content_write_async(content, file, bytes, &end);
	mutex_lock(&waiter.lock);
	while (!waiter.is_released)
		cond_wait(&waiter.ended, &waiter.lock);
	mutex_unlock(&waiter.lock);
	cond_exit(&waiter.ended);
	mutex_exit(&waiter.lock);
	*out_done = waiter.done;
	return waiter.error;
}
