// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rdwr.c - byte ranges of a file, cluster by cluster.
 */
#include "blkmap/blkmap_i.h"

#include <errno.h>
#include <string.h>

/* Whole clusters that are stored together; their slots are looked up first. */
#define BATCH_CLUSTERS 64u

/* Somebody reads what a word stands for. Slot lock held. */
static void slot_used(struct blkmap *map, uint64_t word)
{
	if (slot_kind(word) == SLOT_MAP)
		word = word_get(&cluster_map_at(map, word)->base);
	if (slot_kind(word) == SLOT_OBJ)
		age_touch(map, slot_ref(word));
}

int blkmap_read(struct blkmap *map, const struct blkmap_file *file, uint64_t off, void *buf,
		size_t len)
{
	struct zcomp_strm *strm = zcomp_stream_get(map->comp, ZSTRM_DEFAULT);
	uint32_t size = cluster_size(file->order);
	char *dst = buf;
	int error = 0;

	atomic_fetch_add_explicit(&map->requests, 1, memory_order_relaxed);
	while (len > 0 && !error) {
		uint32_t from = off % size, to = (uint32_t)min_u64(size, from + len);
		uint64_t *slot = tree_slot(map->arena, &file->tree, off / size);

		if (slot) {
			struct slot_lock *lock = slot_lock(map, slot);

			read_lock(&lock->lock);
			slot_used(map, word_get(slot));
			error = cluster_load(map, strm, word_get(slot), from, to, dst);
			rw_unlock(&lock->lock);
		} else {
			memset(dst, 0, to - from);
		}
		dst += to - from;
		off += to - from;
		len -= to - from;
	}
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

/* As many whole clusters as there are at @off, up to BATCH_CLUSTERS. */
static int write_whole(struct blkmap *map, const struct blkmap_file *file, uint64_t off,
		       const char *src, size_t len, struct zcomp_strm *strm, enum zstrm_pref pref,
		       size_t *out_done)
{
	uint32_t size = cluster_size(file->order);
	unsigned nr = (unsigned)min_u64(len / size, BATCH_CLUSTERS), done;
	uint64_t *slots[BATCH_CLUSTERS];
	int error;

	*out_done = 0;
	for (unsigned i = 0; i < nr; i++) {
		error = tree_slot_alloc(map->arena, map->meta, &file->tree, off / size + i,
					&slots[i]);
		if (!error)
			continue;
		if (i == 0)
			return error;
		nr = i; /* the next round meets the error again, or not */
	}
	error = batch_write(map, file, slots, nr, src, strm, pref, &done);
	*out_done = (size_t)done * size;
	return error;
}

static int write_part(struct blkmap *map, const struct blkmap_file *file, uint64_t off,
		      const char *src, uint32_t len, struct zcomp_strm *strm)
{
	uint32_t size = cluster_size(file->order);
	struct cluster_op op = { .from = off % size, .to = off % size + len, .src = src };
	uint64_t *slot;
	int error = tree_slot_alloc(map->arena, map->meta, &file->tree, off / size, &slot);

	return error ? error : cluster_write(map, file, slot, strm, &op);
}

int blkmap_write(struct blkmap *map, const struct blkmap_file *file, uint64_t off, const void *buf,
		 size_t len, enum zstrm_pref pref, size_t *out_done)
{
	struct zcomp_strm *strm = zcomp_stream_get(map->comp, ZSTRM_DEFAULT);
	uint32_t size = cluster_size(file->order);
	const char *src = buf;
	size_t left = len;
	int error = 0;

	atomic_fetch_add_explicit(&map->active_writes, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&map->requests, 1, memory_order_relaxed);
	while (left > 0 && !error) {
		size_t done = 0;

		if (off % size == 0 && left >= size) {
			error = write_whole(map, file, off, src, left, strm, pref, &done);
		} else {
			uint32_t part = (uint32_t)min_u64(size - off % size, left);

			error = write_part(map, file, off, src, part, strm);
			done = error ? 0 : part;
		}
		src += done;
		off += done;
		left -= done;
	}
	atomic_fetch_sub_explicit(&map->active_writes, 1, memory_order_relaxed);
	zcomp_stream_put(map->comp, strm);
	*out_done = len - left;
	return error;
}
