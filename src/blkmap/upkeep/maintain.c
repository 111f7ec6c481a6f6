// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * maintain.c - the thread that works behind the requests: folds idle cluster maps, compacts, gives
 * memory back.
 *
 * "zt-maint" is owned by the block map and joined by maintain_stop(). It holds no inode.
 */
#include "blkmap/upkeep/upkeep.h"

#include <time.h>

#include "arena/stock.h"
#include "blkmap/slot/account.h"
#include "blkmap/slot/heat.h"
#include "util/alloc.h"

/* A cluster map left alone for so long is folded: seconds. */
#define FOLD_IDLE 2u
/* Looking for free pages in the heap is worth it when so much of it was given back. */
#define HEAP_SLACK (64 * KIB)

/* What malloc() holds between pieces that are still in use goes back only when it is asked to. */
static void heap_trim_if_worth(struct upkeep *upkeep, uint64_t *inout_most)
{
	struct arena_stat arena;

	arena_get_stat(upkeep->slots->arena, &arena);
	*inout_most = max_u64(*inout_most, arena.heap);
	if (*inout_most - arena.heap < HEAP_SLACK || arena_is_stocked(upkeep->slots->arena))
		return;
	zt_heap_trim();
	*inout_most = arena.heap;
}

/* Sleeps one second or until it is told to stop; true: go on. */
static bool maintain_wait(struct upkeep *upkeep)
{
	struct timespec until;
	bool go_on;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	mutex_lock(&upkeep->thread_lock);
	while (!upkeep->stop && cond_wait_until(&upkeep->thread_cond, &upkeep->thread_lock, &until))
		;
	go_on = !upkeep->stop;
	mutex_unlock(&upkeep->thread_lock);
	return go_on;
}

static void *maintain_thread(void *arg)
{
	struct upkeep *upkeep = arg;
	uint64_t cooled = blkmap_now(), most_heap = 0;

	while (maintain_wait(upkeep)) {
		if (blkmap_now() - cooled >= HEAT_TICK) {
			heat_cool(upkeep->slots);
			cooled = blkmap_now();
		}
		fold_some(&upkeep->folder,
			  limit_is_near(upkeep->slots, 32, 64 * MIB) ? 0 : FOLD_IDLE, FOLD_A_BIT);
		compact_if_worth(upkeep);
		(void)trim_pools(upkeep);
		heap_trim_if_worth(upkeep, &most_heap);
	}
	return NULL;
}

int maintain_start(struct upkeep *upkeep)
{
	int error = pthread_create(&upkeep->thread, NULL, maintain_thread, upkeep);

	if (error)
		return -error;
	pthread_setname_np(upkeep->thread, "zt-maint");
	upkeep->has_thread = true;
	return 0;
}

void maintain_stop(struct upkeep *upkeep)
{
	if (!upkeep->has_thread)
		return;
	mutex_lock(&upkeep->thread_lock);
	upkeep->stop = true;
	cond_signal(&upkeep->thread_cond);
	mutex_unlock(&upkeep->thread_lock);
	zt_lock_check(pthread_join(upkeep->thread, NULL));
	upkeep->has_thread = false;
}
