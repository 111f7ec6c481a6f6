// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * maintain.c - what is done behind the requests: fold idle cluster maps, compact, give memory back.
 *
 * One thread, "zt-maint", owned by the blkmap. It holds no inode: a cluster map that is alive (in
 * its slot lock's list) proves that its slot is. What was read from the list is no proof once the
 * lock was given up: the map, its slot and the memory of both may be gone, or another file's.
 */
#include "blkmap/blkmap_i.h"

#include <errno.h>
#include <time.h>

#include "util/alloc.h"
#include "util/clock.h"
#include "util/hook.h"

/* A cluster map left alone for so long is folded: seconds. */
#define FOLD_IDLE 2u
/* Maps taken from one slot lock at a time. */
#define FOLD_BATCH 16u
/* Compaction is worth a try when it may give back so much. */
#define COMPACT_SLACK(bytes) ((bytes) / 128 + 64 * KIB)
/* So is looking for free pages in the heap when so much of it was given back. */
#define HEAP_SLACK (64 * KIB)
/* Most bytes that compaction copies in one round, so that it never runs long. */
#define COMPACT_ROUND (32 * MIB)

uint64_t blkmap_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec;
}

void spare_give_back(struct blkmap *map)
{
	struct arena_stat arena;

	arena_get_stat(map->arena, &arena);
	if (arena.spare && arena.used > arena.limit - arena.spare)
		(void)zs_trim(map->data, 0); /* nothing cached is as good */
}

/* Ends a use of the map's setting, which is not to go while it is compressed by. */
static void fold_one(struct blkmap *map, const struct live_map *live)
{
	struct blkmap_file file = { .order = live->order, .setting = live->setting };
	struct cluster_op op = { .fold = live };
	struct zcomp_strm *strm = zcomp_stream_get(map->comp, ZSTRM_DEFAULT);

	/*
	 * No room or no memory: the map works on as it is, and is looked at again. It frees more
	 * than it takes.
	 */
	arena_use_spare(true);
	if (cluster_merge(map, &file, slot_at(map, live->place), strm, &op) == 0)
		atomic_fetch_add_explicit(&map->folds, 1, memory_order_relaxed);
	arena_use_spare(false);
	zcomp_stream_put(map->comp, strm);
	spare_give_back(map);
	blkmap_setting_put(map, live->setting);
}

uint64_t blkmap_fold_idle(struct blkmap *map, uint64_t idle)
{
	uint64_t now = blkmap_now(), nr_maps = 0;

	for (unsigned i = 0; i < SLOT_LOCKS; i++) {
		struct slot_lock *lock = &map->locks[i];
		struct live_map found[FOLD_BATCH];
		unsigned nr = 0;

		read_lock(&lock->lock);
		for (struct live_map *live = lock->maps; live && nr < FOLD_BATCH; live = live->next)
			if (idle == 0 ||
			    (live->touched + idle <= now && heat_of(map, live->place) == 0)) {
				blkmap_setting_get(map, live->setting); /* for fold_one() */
				found[nr++] = *live;
			}
		rw_unlock(&lock->lock);
		if (nr > 0)
			zt_hook("maintain: maps are remembered", nr);
		for (unsigned j = 0; j < nr; j++)
			fold_one(map, &found[j]);
		nr_maps += nr;
	}
	return nr_maps;
}

bool blkmap_limit_is_near(const struct blkmap *map, unsigned share, uint64_t max)
{
	struct arena_stat arena;

	arena_get_stat(map->arena, &arena);
	return arena.limit && arena.used + min_u64(arena.limit / share, max) > arena.limit;
}

/* What is cached in all pools. */
static uint64_t trim_pools(struct blkmap *map)
{
	uint64_t freed = zs_trim(map->data, 0) + zs_trim(map->meta, 0);

	return freed + (map->beside ? zs_trim(map->beside, 0) : 0);
}

static bool compaction_is_worth(struct blkmap *map)
{
	struct zs_pool_stat stat;

	zs_pool_get_stat(map->data, &stat);
	return stat.excess > COMPACT_SLACK(stat.object_bytes);
}

static uint64_t compact_if_worth(struct blkmap *map)
{
	return compaction_is_worth(map) ? zs_compact(map->data, COMPACT_ROUND) : 0;
}

/* Recompression of everything has found nothing a moment ago. */
static bool has_looked(const struct blkmap *map)
{
	return blkmap_now() < atomic_load_explicit(&map->no_room_until, memory_order_relaxed);
}

bool blkmap_room_may_come(struct blkmap *map)
{
	return !has_looked(map) || compaction_is_worth(map);
}

void (*blkmap_room_hook)(void);

bool blkmap_find_room(struct blkmap *map, unsigned tries, uint64_t until_ns)
{
	uint64_t freed = trim_pools(map);
	bool looked = has_looked(map);

	if (!until_ns)
		return tries == 0 && freed > 0;
	if (blkmap_room_hook)
		blkmap_room_hook();
	freed += looked ? compact_if_worth(map) : zs_compact(map->data, COMPACT_ROUND);
	/* Later on it may only be what the last try has left. */
	if (tries == 0 && freed > 0)
		return true;
	if (looked || zt_now_ns() >= until_ns)
		return false;
	if (recomp_relieve(map, until_ns) == 0) {
		atomic_store_explicit(&map->no_room_until, blkmap_now() + 1, memory_order_relaxed);
		return false;
	}
	(void)(zs_trim(map->data, 0) + zs_compact(map->data, COMPACT_ROUND)); /* has room */
	return true;
}

uint64_t blkmap_trim(struct blkmap *map)
{
	uint64_t freed;

	blkmap_fold_idle(map, 0);
	freed = zs_compact(map->data, 0);
	return freed + trim_pools(map);
}

/* What malloc() holds between pieces that are still in use goes back only when it is asked to. */
static void heap_trim_if_worth(struct blkmap *map, uint64_t *inout_most)
{
	struct arena_stat arena;

	arena_get_stat(map->arena, &arena);
	*inout_most = max_u64(*inout_most, arena.heap);
	if (*inout_most - arena.heap < HEAP_SLACK || arena_is_stocked(map->arena))
		return;
	zt_heap_trim();
	*inout_most = arena.heap;
}

/* Sleeps one second or until it is told to stop; true: go on. */
static bool maintain_wait(struct blkmap *map)
{
	struct timespec until;
	bool go_on;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	mutex_lock(&map->thread_lock);
	while (!map->stop && cond_wait_until(&map->thread_cond, &map->thread_lock, &until))
		;
	go_on = !map->stop;
	mutex_unlock(&map->thread_lock);
	return go_on;
}

static void *maintain_thread(void *arg)
{
	struct blkmap *map = arg;
	uint64_t cooled = blkmap_now(), most_heap = 0;

	while (maintain_wait(map)) {
		if (blkmap_now() - cooled >= HEAT_TICK) {
			heat_cool(map);
			cooled = blkmap_now();
		}
		blkmap_fold_idle(map, blkmap_limit_is_near(map, 32, 64 * MIB) ? 0 : FOLD_IDLE);
		compact_if_worth(map);
		(void)trim_pools(map);
		heap_trim_if_worth(map, &most_heap);
	}
	return NULL;
}

int maintain_start(struct blkmap *map)
{
	int error = pthread_create(&map->thread, NULL, maintain_thread, map);

	if (error)
		return -error;
	pthread_setname_np(map->thread, "zt-maint");
	map->has_thread = true;
	return 0;
}

static void maintain_stop(struct blkmap *map)
{
	if (!map->has_thread)
		return;
	mutex_lock(&map->thread_lock);
	map->stop = true;
	cond_signal(&map->thread_cond);
	mutex_unlock(&map->thread_lock);
	zt_lock_check(pthread_join(map->thread, NULL));
	map->has_thread = false;
}

void blkmap_stop(struct blkmap *map)
{
	/* Writes that end may still wait for what recompression finds: it goes last. */
	blkmap_drain(map);
	readers_stop(&map->readers);
	maintain_stop(map);
	recomp_stop(map);
}
