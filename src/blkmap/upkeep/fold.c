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
#include "blkmap/slot/account.h"
#include "blkmap/slot/heat.h"
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

uint64_t fold_idle(struct folder *folder, uint64_t idle)
{
	struct slots *slots = folder->codecs->slots;
	uint64_t now = blkmap_now(), nr_maps = 0;

	for (unsigned i = 0; i < SLOT_LOCKS; i++) {
		struct slot_lock *lock = &slots->locks[i];
		struct live_map found[FOLD_BATCH];
		unsigned nr = 0;

		read_lock(&lock->lock);
		for (struct live_map *live = lock->maps; live && nr < FOLD_BATCH; live = live->next)
			if (idle == 0 ||
			    (live->touched + idle <= now && heat_of(slots, live->place) == 0)) {
				setting_get(slots, live->setting); /* for fold_one() */
				found[nr++] = *live;
			}
		rw_unlock(&lock->lock);
		if (nr > 0)
			zt_hook("fold: maps are remembered", nr);
		for (unsigned j = 0; j < nr; j++)
			fold_one(folder, &found[j]);
		nr_maps += nr;
	}
	return nr_maps;
}
