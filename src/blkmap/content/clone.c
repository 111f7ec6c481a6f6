// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clone.c - whole clusters from file to file: two names for one object, where bytes would be copied.
 *
 * Locks: one slot lock at a time.
 */
#include <errno.h>

#include "blkmap/content/change.h"
#include "blkmap/content/content.h"
#include "blkmap/slot/live.h"
#include "blkmap/slot/share.h"
#include "util/alloc.h"

/*
 * Whether the last cluster of a copy may be shared though the copy ends at @len inside it: neither
 * side has pages behind that (fallocate can have put some there).
 */
static bool tail_fits(struct content *content, uint64_t *slot, unsigned order, uint32_t len)
{
	struct slot_lock *lock;
	uint32_t present;

	if (!slot || len == cluster_size(order))
		return true;
	lock = slot_lock(content->slots, slot);
	read_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	present = slot_present(content->slots, word_get(slot), order);
	rw_unlock(&lock->lock);
	return !(present & ~pages_mask(len));
}

static int share_cluster(struct content *content, const struct blkmap_copy *copy, uint64_t from_idx,
			 uint64_t to_idx, uint32_t len)
{
	const struct blkmap_file *from = copy->from, *to = copy->to;
	struct slots *slots = content->slots;
	uint64_t *src = tree_slot(slots->arena, &from->tree, from_idx);
	uint64_t *dst = tree_slot(slots->arena, &to->tree, to_idx);
	struct loose_word old = { 0 };
	struct slot_lock *lock;
	uint64_t word = 0;
	int error = 0;

	if (!tail_fits(content, src, from->order, len) || !tail_fits(content, dst, to->order, len))
		return -EAGAIN;
	if (src)
		error = share_take(slots, src, &word);
	if (error || (!word && !dst))
		return error;
	if (!dst)
		error = content_slot(content, to, to_idx, &dst);
	if (!error) {
		lock = slot_lock(slots, dst);
		write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
		error = slot_publish(slots, to, dst, word, &old);
		rw_unlock(&lock->lock);
	}
	slot_release(slots, error ? slot_fresh(word) : old, to->order);
	return error;
}

int content_share(struct content *content, const struct blkmap_copy *copy, uint64_t *out_done)
{
	uint32_t size = cluster_size(copy->from->order);
	uint64_t done = 0;
	int error = 0;

	ZT_ASSERT(copy->from->order == copy->to->order && copy->from_off % size == 0 &&
		  copy->to_off % size == 0);
	while (done < copy->len && !error) {
		uint32_t part = (uint32_t)min_u64(copy->len - done, size);

		error = share_cluster(content, copy, (copy->from_off + done) / size,
				      (copy->to_off + done) / size, part);
		if (!error)
			done += part;
	}
	*out_done = done;
	return error;
}

int content_fold(struct content *content, const struct blkmap_file *file, uint64_t off)
{
	uint64_t *slot =
		tree_slot(content->slots->arena, &file->tree, off / cluster_size(file->order));
	struct live_map *found, live;
	struct cluster c;
	int error;

	if (!slot)
		return 0;
	c = cluster_of(content->codecs, file, slot, NULL);
	read_lock_counted(&c.lock->lock, ZT_LOCK_SLOT);
	found = live_map_find(c.slots, c.lock, slot_place(c.slots, slot));
	if (found)
		live = *found;
	rw_unlock(&c.lock->lock);
	if (!found)
		return 0;
	c.strm = zcomp_stream_get(content->codecs->comp, ZSTRM_DEFAULT);
	error = cluster_fold(&c, &live);
	zcomp_stream_put(content->codecs->comp, c.strm);
	return error;
}
