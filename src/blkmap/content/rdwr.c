// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rdwr.c - byte ranges of a file, cluster by cluster.
 */
#include "blkmap/blkmap_i.h"

#include <errno.h>
#include <string.h>

/* Somebody reads what a word stands for. Slot lock held. */
static void slot_used(struct blkmap *map, uint64_t word)
{
	if (slot_kind(word) == SLOT_MAP)
		word = word_get(&cluster_map_at(map, word)->base);
	if (slot_kind(word) == SLOT_OBJ)
		age_touch(map, slot_ref(word));
}

/*
 * Somebody read a small piece of a cluster that is one object, or one page of those over it: who
 * comes back for more finds it spread before long. The last quarter of the memory that a limit
 * allows is not for that.
 */
static void read_heats(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		       struct zcomp_strm *strm, unsigned effort)
{
	uint64_t place = slot_place(map, slot);

	if (heat_add(map, place, effort ? effort : HEAT_READ) < HEAT_MAX || effort == 0)
		return;
	if (blkmap_limit_is_near(map, 4, UINT64_MAX) || cluster_spread(map, file, slot, strm))
		heat_clear(map, place);
}

/* Bytes [from, to) of a cluster. Stream held. */
static int read_cluster(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
			struct zcomp_strm *strm, uint32_t from, uint32_t to, char *dst)
{
	struct slot_lock *lock = slot_lock(map, slot);
	uint64_t before = strm_effort(strm), word;
	unsigned effort;
	bool has_map;
	int error;

	read_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	word = word_get(slot);
	has_map = slot_kind(word) == SLOT_MAP;
	slot_used(map, word);
	error = cluster_load(map, lock, strm, word, from, to, dst);
	rw_unlock(&lock->lock);
	effort = (unsigned)(strm_effort(strm) - before);
	if (!error && (effort > 0 || has_map) && (to - from) * 4 <= cluster_size(file->order))
		read_heats(map, file, slot, strm, effort);
	return error;
}

int read_range(struct blkmap *map, const struct blkmap_file *file, struct zcomp_strm *strm,
	       uint64_t off, void *buf, size_t len)
{
	uint32_t size = cluster_size(file->order);
	char *dst = buf;
	int error = 0;

	while (len > 0 && !error) {
		uint32_t from = off % size, to = (uint32_t)min_u64(size, from + len);
		uint64_t *slot = tree_slot(map->arena, &file->tree, off / size);

		if (slot)
			error = read_cluster(map, file, slot, strm, from, to, dst);
		else
			memset(dst, 0, to - from);
		dst += to - from;
		off += to - from;
		len -= to - from;
	}
	return error;
}

int blkmap_read(struct blkmap *map, const struct blkmap_file *file, uint64_t off, void *buf,
		size_t len)
{
	struct zcomp_strm *strm;
	int error;

	atomic_fetch_add_explicit(&map->requests, 1, memory_order_relaxed);
	if (read_is_large(len))
		return read_large(map, file, off, buf, len);
	strm = zcomp_stream_get(map->comp, ZSTRM_DEFAULT);
	error = read_range(map, file, strm, off, buf, len);
	zcomp_stream_put(map->comp, strm);
	return error;
}

bool blkmap_covers(const struct blkmap_file *file, uint64_t off, size_t len)
{
	uint64_t last = (off + max_u64(len, 1) - 1) >> (ZT_PAGE_SHIFT + file->order);

	return last < tree_capacity(*file->tree.shape);
}

int blkmap_grow(struct blkmap *map, const struct blkmap_file *file, uint64_t off, size_t len)
{
	uint64_t last = (off + max_u64(len, 1) - 1) >> (ZT_PAGE_SHIFT + file->order);

	return tree_grow(map->arena, map->meta, &file->tree, last, slot_move, map);
}

int cluster_slot(struct blkmap *map, const struct blkmap_file *file, uint64_t idx,
		 uint64_t **out_slot)
{
	int error = tree_slot_alloc(map->arena, map->meta, &file->tree, idx, out_slot);

	if (error == -ENOSPC && zs_trim(map->data, 0) > 0)
		error = tree_slot_alloc(map->arena, map->meta, &file->tree, idx, out_slot);
	return error;
}

int cluster_write_part(struct blkmap *map, const struct blkmap_file *file, uint64_t off,
		       const char *src, uint32_t len, struct zcomp_strm *strm)
{
	uint32_t size = cluster_size(file->order);
	struct cluster_op op = { .from = off % size, .to = off % size + len, .src = src };
	uint64_t *slot;
	int error = cluster_slot(map, file, off / size, &slot);

	return error ? error : cluster_write(map, file, slot, strm, &op);
}

static int write_whole(struct blkmap *map, const struct blkmap_file *file, uint64_t off,
		       const char *src, struct zcomp_strm *strm)
{
	uint32_t size = cluster_size(file->order);
	struct cluster_op op = { .to = size, .src = src };
	struct encoded enc;
	uint64_t *slot;
	int error = cluster_slot(map, file, off / size, &slot);

	if (error)
		return error;
	encode(map, file, strm, src, size, size, pages_mask(size), &enc);
	error = cluster_commit(map, file, slot, &enc, NULL, false);
	return error == -ENOSPC ? cluster_overwrite(map, file, slot, strm, &op) : error;
}

/* Cluster by cluster, in this thread. */
static int write_inline(struct blkmap *map, const struct blkmap_file *file, uint64_t off,
			const char *src, size_t len, size_t *out_done)
{
	struct zcomp_strm *strm = zcomp_stream_get(map->comp, ZSTRM_DEFAULT);
	uint32_t size = cluster_size(file->order);
	size_t left = len;
	int error = 0;

	while (left > 0) {
		uint32_t part = (uint32_t)min_u64(size - off % size, left);

		if (part == size)
			error = write_whole(map, file, off, src, strm);
		else
			error = cluster_write_part(map, file, off, src, part, strm);
		if (error)
			break;
		src += part;
		off += part;
		left -= part;
	}
	zcomp_stream_put(map->comp, strm);
	*out_done = len - left;
	return error;
}

static bool accel_in_use(const struct blkmap *map)
{
	return map->accel != BLKMAP_ACCEL_OFF && zcomp_managed(map->comp);
}

uint64_t blkmap_requests(const struct blkmap *map)
{
	return atomic_load_explicit(&map->requests, memory_order_relaxed);
}

bool blkmap_may_defer(const struct blkmap *map, size_t len)
{
	return accel_in_use(map) && !batch_room_is_short(map, len) &&
	       len >= (map->accel == BLKMAP_ACCEL_ON ? 1 : 2) * ZT_PAGE_SIZE;
}

void blkmap_write_async(struct blkmap *map, const struct blkmap_file *file, uint64_t off,
			const void *buf, size_t len, enum zstrm_pref pref,
			const struct blkmap_write_end *end)
{
	size_t done;
	int error;

	atomic_fetch_add_explicit(&map->active_writes, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&map->requests, 1, memory_order_relaxed);
	if (!accel_in_use(map) || !batch_write(map, file, off, buf, len, pref, end)) {
		error = write_inline(map, file, off, buf, len, &done);
		end->done(end->arg, error, done);
		end->release(end->release_arg);
	}
	atomic_fetch_sub_explicit(&map->active_writes, 1, memory_order_relaxed);
}

/* Somebody who waits for a write of his, on his own stack. */
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

int blkmap_write(struct blkmap *map, const struct blkmap_file *file, uint64_t off, const void *buf,
		 size_t len, enum zstrm_pref pref, size_t *out_done)
{
	struct waiter waiter = { 0 };
	struct blkmap_write_end end = {
		.done = waiter_done,
		.arg = &waiter,
		.release = waiter_release,
		.release_arg = &waiter,
		.keeps_bytes = true,
	};

	if (!blkmap_may_defer(map, len)) {
		atomic_fetch_add_explicit(&map->active_writes, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&map->requests, 1, memory_order_relaxed);
		waiter.error = write_inline(map, file, off, buf, len, out_done);
		atomic_fetch_sub_explicit(&map->active_writes, 1, memory_order_relaxed);
		return waiter.error;
	}
	mutex_init(&waiter.lock, ZT_RANK_WAITER);
	cond_init(&waiter.ended);
	blkmap_write_async(map, file, off, buf, len, pref, &end);
	mutex_lock(&waiter.lock);
	while (!waiter.is_released)
		cond_wait(&waiter.ended, &waiter.lock);
	mutex_unlock(&waiter.lock);
	cond_exit(&waiter.ended);
	mutex_exit(&waiter.lock);
	*out_done = waiter.done;
	return waiter.error;
}
