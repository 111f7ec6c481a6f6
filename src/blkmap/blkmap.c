// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blkmap.c - life cycle and counters of a mount's block map.
 */
#include "blkmap/blkmap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "blkmap/blkmap_i.h"
#include "blkmap/upkeep/dedup.h"
#include "blkmap/upkeep/recompress.h"
#include "util/alloc.h"

static void thread_vars_init(struct blkmap *map)
{
	mutex_init(&map->thread_lock, ZT_RANK_UPKEEP);
	mutex_init(&map->batch_lock, ZT_RANK_BATCH);
	mutex_init(&map->settings_lock, ZT_RANK_SETTINGS);
	readers_init(&map->readers);
	cond_init(&map->batch_cond);
	cond_init(&map->thread_cond);
}

static void thread_vars_exit(struct blkmap *map)
{
	cond_exit(&map->thread_cond);
	cond_exit(&map->batch_cond);
	readers_exit(&map->readers);
	mutex_exit(&map->settings_lock);
	mutex_exit(&map->batch_lock);
	mutex_exit(&map->thread_lock);
}

/* With one CPU an engine could only take turns with the thread that waits for it. */
static bool wants_accel(const struct blkmap_params *params, unsigned nr_cpus)
{
	return params->accel == BLKMAP_ACCEL_ON ||
	       (params->accel == BLKMAP_ACCEL_AUTO && nr_cpus > 1);
}

/* The writing thread compresses too: one engine fewer than CPUs keeps all of them busy. */
static uint32_t nr_engines(const struct blkmap_params *params, unsigned nr_cpus)
{
	if (params->accel_params.engines)
		return params->accel_params.engines;
	return nr_cpus > 1 ? nr_cpus - 1 : 1;
}

/*
 * What is held for as long as the map lives: @tables, and with the accelerator the bytes in flight,
 * which it has once as they were and once as they become.
 */
static int set_aside(struct blkmap *map, bool accel, uint64_t tables, char error_text[256])
{
	struct arena_stat arena;
	int error;

	arena_get_stat(map->arena, &arena);
	map->inflight_limit = BLKMAP_INFLIGHT_LIMIT;
	if (arena.limit)
		map->inflight_limit =
			min_u64(max_u64(arena.limit / BLKMAP_INFLIGHT_SHARE, BLKMAP_INFLIGHT_MIN),
				BLKMAP_INFLIGHT_LIMIT);
	map->set_aside = tables + (accel ? 2 * map->inflight_limit : 0);
	error = arena_set_aside(map->arena, map->set_aside);
	if (error)
		snprintf(error_text, 256,
			 "the memory limit is too small: tables and streams take %llu KiB",
			 (unsigned long long)(map->set_aside / KIB));
	return error;
}

static int threads_start(struct blkmap *map, char error_text[256])
{
	int error = maintain_start(map);

	if (!error && map->recomp)
		error = recomp_start(map, recomp_psi_open(RECOMP_PSI_FILE));
	if (error) {
		snprintf(error_text, 256, "cannot start a maintenance thread: %s",
			 strerror(-error));
		blkmap_stop(map);
	}
	return error;
}

int blkmap_create(const struct blkmap_params *params, char error_text[256], struct blkmap **out_map)
{
	struct blkmap *map = zt_alloc_aligned(_Alignof(struct blkmap), sizeof(*map));
	struct zcomp_config config = {
		.name = params->compress,
		.level = params->level,
		.unit = ZCOMP_MAX_UNIT,
		.nr_streams = params->nr_streams,
		.private_stream = params->recompress != NULL,
		.outer = true,
		.room = sizeof(struct workspace),
		.dict = params->dict,
		.dict_size = params->dict_size,
	};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const uint64_t before = zt_thread_allocated();
	int error = -ENOMEM;

	snprintf(error_text, 256, "no memory");
	if (!map)
		return error;
	memset(map, 0, sizeof(*map));
	map->arena = params->arena;
	map->meta = params->meta;
	map->beside = params->beside;
	map->record = params->record ? params->record : &map->own_record;
	map->accel = params->accel;
	map->max_pages = params->max_pages;
	map->nr_cpus = cpus > 0 ? (unsigned)cpus : 1;
	config.accel = wants_accel(params, map->nr_cpus);
	config.accel_params = params->accel_params;
	config.accel_params.engines = nr_engines(params, map->nr_cpus);
	map->batch_window_min = 2 * config.accel_params.engines;
	atomic_init(&map->batch_window, map->batch_window_min);
	thread_vars_init(map);

	error = keyhash_key_init(&map->hash_key);
	if (error)
		snprintf(error_text, 256, "cannot get random bytes: %s", strerror(-error));
	if (!error)
		error = shares_init(map);
	if (!error)
		error = slots_init(map);
	if (error)
		goto err_shares;
	error = heat_init(map);
	if (error)
		goto err_slots;
	error = set_aside(map, config.accel, zt_thread_allocated() - before, error_text);
	if (error)
		goto err_heat;
	error = comp_create(map, &config, error_text, &map->comp);
	if (error)
		goto err_aside;
	error = codecs_init(map, params);
	if (error)
		goto err_comp;
	error = recomp_init(map, params, error_text);
	if (error)
		goto err_codecs;
	if (params->background) {
		error = threads_start(map, error_text);
		if (error)
			goto err_recomp;
	}
	*out_map = map;
	return 0;

err_recomp:
	recomp_exit(map);
err_codecs:
	codecs_exit(map);
err_comp:
	comp_destroy(map, map->comp);
err_aside:
	arena_unset_aside(map->arena, map->set_aside);
err_heat:
	heat_exit(map);
err_slots:
	slots_exit(map);
err_shares:
	shares_exit(map);
	thread_vars_exit(map);
	zt_free(map);
	return error;
}

void blkmap_destroy(struct blkmap *map)
{
	if (!map)
		return;
	blkmap_stop(map);
	recomp_exit(map);
	codecs_exit(map);
	comp_destroy(map, map->comp);
	arena_unset_aside(map->arena, map->set_aside);
	heat_exit(map);
	slots_exit(map);
	shares_exit(map);
	thread_vars_exit(map);
	zt_free(map);
}

const char *blkmap_zcomp_name(const struct blkmap *map)
{
	return zcomp_name(map->comp);
}

struct zs_pool *blkmap_data_pool(const struct blkmap *map)
{
	return map->data;
}

static uint64_t counter(const atomic_uint_fast64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

uint64_t blkmap_pages_left(const struct blkmap *map)
{
	const uint64_t used = atomic_load_explicit(&map->nr_pages, memory_order_relaxed);

	if (!map->max_pages)
		return UINT64_MAX;
	return map->max_pages > used ? map->max_pages - used : 0;
}

void blkmap_get_stat(struct blkmap *map, struct blkmap_stat *out_stat)
{
	*out_stat = (struct blkmap_stat){
		.nr_pages = counter(&map->nr_pages),
		.max_pages = map->max_pages,
		.same_pages = counter(&map->same_pages),
		.huge_pages = counter(&map->huge_pages),
		.huge_pages_since = counter(&map->huge_pages_since),
		.huge_pages_skipped = counter(&map->huge_pages_skipped),
		.folds = counter(&map->folds),
		.shared_pages = counter(&map->shared_pages),
		.reads_split = counter(&map->reads_split),
		.overwrites_in_place = counter(&map->overwrites_in_place),
	};
	recomp_get_stat(map, out_stat);
	dedup_get_stat(map, out_stat);
	out_stat->async_writes = counter(&map->async_writes);
	out_stat->inflight_now = counter(&map->inflight);
	out_stat->inflight_max = counter(&map->inflight_max);
	out_stat->inflight_limit = map->inflight_limit;
	out_stat->fallback_inflight = counter(&map->fallback_inflight);
	zs_pool_get_stat(map->data, &out_stat->data);
	zcomp_get_stat(map->comp, &out_stat->zcomp);
}
