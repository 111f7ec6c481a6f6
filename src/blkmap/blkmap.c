// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blkmap.c - the face of the block map: its parts made and ended, and its functions handed to them.
 */
#include "blkmap/blkmap.h"

#include "blkmap/attach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arena/scratch.h"
#include "arena/stock.h"
#include "blkmap/cluster/cluster.h"
#include "blkmap/cluster/settings.h"
#include "blkmap/content/redo.h"
#include "blkmap/parts.h"
#include "blkmap/slot/account.h"
#include "blkmap/slot/age.h"
#include "blkmap/slot/borrow.h"
#include "blkmap/slot/heat.h"
#include "blkmap/upkeep/dedup.h"
#include "blkmap/upkeep/recompress.h"
#include "blkmap/upkeep/spiller.h"
#include "util/alloc.h"

/* ---- life ---- */

/* With one CPU an engine could only take turns with the thread that waits for it. */
static bool wants_accel(const struct blkmap_params *params, unsigned nr_cpus)
{
	return params->accel == BLKMAP_ACCEL_ON ||
	       (params->accel == BLKMAP_ACCEL_AUTO && nr_cpus > 1);
}

/* The writing thread compresses too: one engine fewer than CPUs keeps all of them busy. */
static uint32_t nr_engines(const struct blkmap_params *params, unsigned nr_cpus)
{
	if (params->comp.accel_params.engines)
		return params->comp.accel_params.engines;
	return nr_cpus > 1 ? nr_cpus - 1 : 1;
}

/* The main compressor's. */
static struct zcomp_config main_config(const struct blkmap_params *params, unsigned nr_cpus)
{
	struct zcomp_config config = params->comp;

	config.unit = ZCOMP_MAX_UNIT;
	config.private_stream = params->recompress != NULL;
	config.outer = true;
	config.own_size = sizeof(struct workspace);
	config.accel = wants_accel(params, nr_cpus);
	config.accel_params.engines = nr_engines(params, nr_cpus);
	return config;
}

/*
 * What is held for as long as the map lives: @tables, and with the accelerator the bytes in flight.
 */
static int set_aside(struct blkmap *map, bool accel, uint64_t tables, char error_text[256])
{
	struct arena_stat arena;
	uint64_t inflight;
	int error;

	arena_get_stat(map->slots.arena, &arena);
	inflight = batches_set_limit(&map->content.batches, arena.limit);
	map->set_aside = tables + (accel ? inflight : 0) +
			 ((uint64_t)ARENA_SCRATCH_PAGES << ZT_PAGE_SHIFT);
	error = arena_set_aside(map->slots.arena, map->set_aside);
	if (error) {
		snprintf(error_text, 256,
			 "the memory limit is too small: tables and streams take %llu KiB",
			 (unsigned long long)(map->set_aside / KIB));
		return error;
	}
	/* A mount that carries swap asks for no memory later. */
	error = arena_is_stocked(map->slots.arena) ? arena_scratch_back(map->slots.arena) : 0;
	if (error) {
		snprintf(error_text, 256, "no memory for overwriting in place");
		arena_unset_aside(map->slots.arena, map->set_aside);
	}
	return error;
}

static void unset_aside(struct blkmap *map)
{
	if (arena_is_stocked(map->slots.arena))
		arena_scratch_drop(map->slots.arena);
	arena_unset_aside(map->slots.arena, map->set_aside);
}

/* What works on slots: they are there, with all that must be counted against the limit. */
static int parts_init(struct blkmap *map, const struct blkmap_params *params,
		      const struct zcomp_config *config, char error_text[256])
{
	int error = codecs_init(&map->codecs, &map->slots, params, config, error_text);

	if (error)
		return error;
	error = params->recompress || params->spill_size ?
			ages_init(&map->slots,
				  (uint32_t)max_u64(params->recompress ? params->recompress_idle : 0,
						    params->spill_idle)) :
			0;
	if (!error && params->recompress)
		error = zs_note_changes(map->slots.data);
	if (!error && params->recompress && params->packs)
		error = zs_note_changes(params->packs->pool);
	if (!error && params->spill_size)
		error = spill_create(&(struct spill_params){ .fd = params->spill_fd,
							     .size = params->spill_size,
							     .arena = params->arena,
							     .key = params->spill_key,
							     .loaded = params->spill_loaded,
							     .attach = params->attach !=
								       BLKMAP_MAKE },
				     error_text, &map->slots.spill);
	else if (!error && params->attach != BLKMAP_MAKE)
		error = spill_none(params->arena, error_text);
	if (error)
		goto err_codecs;
	error = upkeep_init(&map->upkeep, &map->content, params, error_text);
	if (error)
		goto err_codecs;
	error = params->background ? blkmap_start(map, error_text) : 0;
	if (error)
		goto err_upkeep;
	return 0;

err_upkeep:
	upkeep_exit(&map->upkeep);
err_codecs:
	spill_destroy(map->slots.spill, map->slots.stays);
	map->slots.spill = NULL;
	codecs_exit(&map->codecs);
	return error;
}

int blkmap_create(const struct blkmap_params *params, char error_text[256], struct blkmap **out_map)
{
	struct blkmap *map = zt_alloc_aligned(_Alignof(struct blkmap), sizeof(*map));
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const unsigned nr_cpus = cpus > 0 ? (unsigned)cpus : 1;
	const struct zcomp_config config = main_config(params, nr_cpus);
	const uint64_t before = zt_thread_allocated();
	int error;

	snprintf(error_text, 256, "no memory");
	if (!map)
		return -ENOMEM;
	memset(map, 0, sizeof(*map));
	error = slots_init(&map->slots, params, error_text);
	if (error)
		goto err_free;
	if (params->attach == BLKMAP_ATTACH && !params->lender)
		error = redo_finish(&map->slots, params->record, error_text);
	if (error)
		goto err_slots;
	content_init(&map->content, &map->slots, &map->codecs, params->accel, nr_cpus,
		     config.accel_params.engines);
	error = set_aside(map, config.accel,
			  zt_thread_allocated() - before - heat_unused_bytes(&map->slots),
			  error_text);
	if (error)
		goto err_content;
	error = parts_init(map, params, &config, error_text);
	if (error)
		goto err_aside;
	*out_map = map;
	return 0;

err_aside:
	unset_aside(map);
err_content:
	content_exit(&map->content);
err_slots:
	slots_exit(&map->slots);
err_free:
	zt_free(map);
	return error;
}

void blkmap_destroy(struct blkmap *map)
{
	if (!map)
		return;
	blkmap_stop(map);
	upkeep_exit(&map->upkeep);
	codecs_exit(&map->codecs);
	unset_aside(map);
	content_exit(&map->content);
	spill_destroy(map->slots.spill, map->slots.stays);
	slots_exit(&map->slots);
	zt_free(map);
}

void blkmap_stop(struct blkmap *map)
{
	/* Writes that end may still wait for what recompression finds: it goes last. */
	content_stop(&map->content);
	upkeep_stop(&map->upkeep);
	spill_quiet(map->slots.spill);
}

/* ---- what is asked of the whole ---- */

const char *blkmap_zcomp_name(const struct blkmap *map)
{
	return codecs_unread(&map->codecs) ? map->codecs.unread.compress :
					     zcomp_name(map->codecs.comp);
}

void blkmap_get_tuning(const struct blkmap *map, struct blkmap_tuning *out_tuning)
{
	*out_tuning = (struct blkmap_tuning){
		.accel = map->content.accel,
	};
	codec_default_tell(&map->codecs, out_tuning);
	if (map->upkeep.recomp)
		recomp_get_tuning(map->upkeep.recomp, out_tuning);
}

int blkmap_set_max_pages(struct blkmap *map, uint64_t pages, uint64_t *out_old)
{
	return set_max_pages(&map->slots, pages, out_old);
}

int blkmap_set_compress(struct blkmap *map, const char *name, int32_t level)
{
	return codec_default_set(&map->codecs, name, level);
}

void blkmap_set_recompress(struct blkmap *map, bool on)
{
	recomp_set(map->upkeep.recomp, on);
}

void blkmap_set_idle(struct blkmap *map, uint32_t seconds)
{
	recomp_set_idle(map->upkeep.recomp, seconds);
}

void blkmap_set_dedup(struct blkmap *map, bool on)
{
	if (map->upkeep.recomp)
		dedup_set(map->upkeep.recomp->dedup, on);
}

struct zs_pool *blkmap_data_pool(const struct blkmap *map)
{
	return map->slots.data;
}

void blkmap_get_stat(struct blkmap *map, struct blkmap_stat *out_stat)
{
	memset(out_stat, 0, sizeof(*out_stat));
	account_get_stat(&map->slots, out_stat);
	codecs_get_stat(&map->codecs, out_stat);
	content_get_stat(&map->content, out_stat);
	upkeep_get_stat(&map->upkeep, out_stat);
	zs_pool_get_stat(map->slots.data, &out_stat->data);
	if (slots_borrow(&map->slots)) {
		out_stat->data.objects = map->slots.nr_borrowed;
		out_stat->data.object_bytes = map->slots.lender.bytes;
	}
	zcomp_get_stat(map->codecs.comp, &out_stat->zcomp);
}

uint64_t blkmap_pages_left(const struct blkmap *map)
{
	return pages_left(&map->slots);
}

uint64_t blkmap_requests(const struct blkmap *map)
{
	return atomic_load_explicit(&map->content.requests, memory_order_relaxed);
}

/* ---- cluster ---- */

const char *blkmap_recompress_name(const struct blkmap *map)
{
	struct blkmap_tuning tuning;

	blkmap_get_tuning(map, &tuning);
	return tuning.recompress;
}

const char *blkmap_codec_name(struct blkmap *map, unsigned codec)
{
	return codec_name(&map->codecs, codec);
}

int blkmap_setting_find(struct blkmap *map, uint32_t maker, const char *name, int32_t level,
			char error_text[256], unsigned *out_setting)
{
	return setting_find(&map->codecs, maker, name, level, error_text, out_setting);
}

void blkmap_setting_get(struct blkmap *map, unsigned setting)
{
	setting_get(&map->slots, setting);
}

void blkmap_setting_put(struct blkmap *map, unsigned setting)
{
	setting_put(&map->slots, setting);
}

void blkmap_setting_tell(const struct blkmap *map, unsigned setting, const char **out_name,
			 int32_t *out_level)
{
	setting_tell(&map->codecs, setting, out_name, out_level);
}

int blkmap_check_settings(const struct blkmap *map, const uint64_t users[BLKMAP_NR_SETTINGS])
{
	return check_settings(&map->codecs, users);
}

bool blkmap_setting_is_known(const struct blkmap *map, unsigned setting)
{
	return setting_is_known(&map->codecs, setting);
}

/* ---- content ---- */

int blkmap_read(struct blkmap *map, const struct blkmap_file *file, uint64_t off, void *buf,
		size_t len)
{
	return content_read(&map->content, file, off, buf, len);
}

bool blkmap_covers(const struct blkmap_file *file, uint64_t off, size_t len)
{
	return content_covers(file, off, len);
}

int blkmap_grow(struct blkmap *map, const struct blkmap_file *file, uint64_t off, size_t len)
{
	return content_grow(&map->content, file, off, len);
}

int blkmap_write(struct blkmap *map, const struct blkmap_file *file,
		 const struct blkmap_bytes *bytes, size_t *out_done)
{
	return content_write(&map->content, file, bytes, out_done);
}

void blkmap_write_async(struct blkmap *map, const struct blkmap_file *file,
			const struct blkmap_bytes *bytes, const struct blkmap_write_end *end)
{
	content_write_async(&map->content, file, bytes, end);
}

bool blkmap_may_defer(const struct blkmap *map, size_t len)
{
	return content_may_defer(&map->content, len);
}

bool blkmap_drain(struct blkmap *map, uint64_t until_ns)
{
	return content_drain(&map->content, until_ns);
}

int blkmap_punch(struct blkmap *map, const struct blkmap_file *file, uint64_t off, uint64_t len)
{
	return content_punch(&map->content, file, off, len);
}

int blkmap_truncate(struct blkmap *map, const struct blkmap_file *file, uint64_t size)
{
	return content_truncate(&map->content, file, size);
}

bool blkmap_can_hold(const struct blkmap *map, const struct blkmap_file *file, uint64_t off,
		     uint64_t len)
{
	return content_can_hold(&map->content, file, off, len);
}

void blkmap_uncharge(struct blkmap *map, const struct blkmap_file *file)
{
	content_uncharge(&map->content, file);
}

int blkmap_allocate(struct blkmap *map, const struct blkmap_file *file, uint64_t off, uint64_t len)
{
	return content_allocate(&map->content, file, off, len);
}

int blkmap_share(struct blkmap *map, const struct blkmap_copy *copy, uint64_t *out_done)
{
	return content_share(&map->content, copy, out_done);
}

int blkmap_fold(struct blkmap *map, const struct blkmap_file *file, uint64_t off)
{
	return content_fold(&map->content, file, off);
}

int blkmap_seek(struct blkmap *map, const struct blkmap_file *file, uint64_t size, uint64_t off,
		int whence, uint64_t *out_off)
{
	return content_seek(&map->content, file, size, off, whence, out_off);
}

int blkmap_usage(struct blkmap *map, const struct blkmap_file *file, struct blkmap_usage *out_usage)
{
	return content_usage(&map->slots, file, out_usage);
}

int blkmap_check_file(struct blkmap *map, const struct blkmap_file *file, uint64_t *inout_objects)
{
	return content_check_file(&map->content, file, inout_objects);
}

int blkmap_check(struct blkmap *map, uint64_t objects)
{
	return content_check(&map->content, objects);
}

/* ---- upkeep ---- */

uint64_t blkmap_trim(struct blkmap *map)
{
	return upkeep_trim(&map->upkeep);
}

bool blkmap_reclaim(struct blkmap *map, unsigned tries, uint64_t until_ns)
{
	return upkeep_reclaim(&map->upkeep, tries, until_ns);
}

bool blkmap_reclaim_may_help(struct blkmap *map)
{
	return upkeep_reclaim_may_help(&map->upkeep);
}

uint64_t blkmap_recompress(struct blkmap *map, unsigned idle)
{
	return recomp_now(map->upkeep.recomp, idle);
}

uint64_t blkmap_recompress_kick(struct blkmap *map)
{
	return recomp_kick(map->upkeep.recomp);
}
