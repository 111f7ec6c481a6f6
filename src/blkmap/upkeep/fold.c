// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fold.c - cluster maps that have been left alone become one object again.
 *
 * No inode is held: a cluster map that is alive (in its slot lock's list) proves that its slot is.
 * What was read from the list proves nothing once the lock was released: the map, its slot and the
 * memory of both may be gone, or another file's.
 */
#include "blkmap/upkeep/fold.h"

#include "blkmap/content/change.h"
#include "blkmap/slot/borrow.h"
#include "blkmap/slot/account.h"
#include "blkmap/slot/heat.h"
#include "blkmap/slot/live.h"
#include "util/hook.h"

/* Maps taken from one slot lock at a time. */
#define FOLD_BATCH 16u

/* Ends a use of the map's setting, which is not to go while it is compressed by. */
static void fold_one(struct folder *folder, const struct live_map *live)
{
	struct codecs *codecs = folder->codecs;
	struct slots *slots = codecs->slots;
	struct blkmap_file file = { .order = live->order, .setting = live->setting };
	struct zcomp_strm *strm = zcomp_stream_get(codecs->comp, ZSTRM_DEFAULT);
	const struct cluster c = cluster_of(codecs, &file, slot_at(slots, live->place), strm);

	/*
	 * No memory: the map works on as it is, and is looked at again. It frees more
	 * than it takes.
	 */
	arena_use_spare(true);
	if (cluster_fold(&c, live) == 0)
		atomic_fetch_add_explicit(&folder->folds, 1, memory_order_relaxed);
	arena_use_spare(false);
	zcomp_stream_put(codecs->comp, strm);
	spare_give_back(slots);
	setting_put(slots, live->setting);
}

/*
 * The oldest maps of a lock, FOLD_BATCH at most: remembered, and put behind all others. So one that cannot
 * be folded, or is hot, is looked at again when it would be due anew, and none is looked at twice in
 * one go. @inout_left: how many may be looked at.
 * Return: how many were remembered; 0: none of those looked at is due.
 */
static unsigned lock_take_due(struct slots *slots, struct slot_lock *lock, uint64_t idle,
			      uint64_t *inout_left, struct live_map found[FOLD_BATCH])
{
	const uint32_t now = (uint32_t)blkmap_now();
	struct live_map *live;
	unsigned nr = 0;

	write_lock(&lock->lock);
	for (unsigned looks = 0; looks < FOLD_BATCH && *inout_left > 0; looks++, --*inout_left) {
		live = live_map_next(lock, NULL);
		if (!live || now - live->touched < idle) {
			*inout_left = 0;
			break;
		}
		live_map_postpone(lock, live);
		if (idle == 0 || heat_of(slots, live->place) == 0) {
			setting_get(slots, live->setting); /* for fold_one() */
			found[nr++] = *live;
		}
	}
	rw_unlock(&lock->lock);
	return nr;
}

static uint64_t lock_nr_maps(struct slot_lock *lock)
{
	uint64_t nr;

	read_lock(&lock->lock);
	nr = lock->maps.by_place.nodes;
	rw_unlock(&lock->lock);
	return nr;
}

uint64_t fold_some(struct folder *folder, uint64_t idle, uint64_t most)
{
	struct slots *slots = folder->codecs->slots;
	uint64_t nr_maps = 0;

	/* What is outside is only read. */
	for (unsigned i = 0; i < SLOT_LOCKS && !slots_borrow(slots); i++) {
		struct slot_lock *lock = &slots->locks[i];
		struct live_map found[FOLD_BATCH];
		uint64_t left = min_u64(lock_nr_maps(lock), most);

		while (left > 0) {
			unsigned nr = lock_take_due(slots, lock, idle, &left, found);

			if (nr > 0)
				zt_hook("fold: maps are remembered", nr);
			for (unsigned j = 0; j < nr; j++)
				fold_one(folder, &found[j]);
			nr_maps += nr;
		}
	}
	return nr_maps;
}

uint64_t fold_idle(struct folder *folder, uint64_t idle)
{
	return fold_some(folder, idle, UINT64_MAX);
}
