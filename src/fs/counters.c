// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * counters.c - what a mount counts, of all layers, as ztmpfsctl asks for it. At this moment: numbers
 * of one answer may be some requests apart.
 *
 * Below, each part fills the statistics of its own and they are handed up whole. struct ztmpfs_stat
 * is what other versions' tools know: it only grows at its end. So this is the one place where a
 * name of there meets a name of here.
 *
 * Locks: none.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "fs/inode_i.h"
#include "util/alloc.h"

static uint64_t mem_level(const struct arena_stat *arena)
{
	uint64_t used = arena->used - min_u64(arena->stock_ready, arena->used);

	if (!arena->limit)
		return ZTMPFS_MEM_OK;
	if (arena->limit < used + MIB)
		return ZTMPFS_MEM_FULL;
	if (used >= arena->limit - arena->limit / 10)
		return ZTMPFS_MEM_CRITICAL;
	return used >= arena->limit - arena->limit / 4 ? ZTMPFS_MEM_WARNING : ZTMPFS_MEM_OK;
}

static void stat_memory(struct super *sb, const struct blkmap_stat *map, struct ztmpfs_stat *out)
{
	struct zs_pool_stat meta, inodes;
	struct arena_stat arena;
	struct mallinfo2 heap = mallinfo2();
	const uint64_t private = zt_private_bytes();

	zs_pool_get_stat(sb->meta, &meta);
	zs_pool_get_stat(sb->inodes, &inodes);
	arena_get_stat(sb->arena, &arena);
	out->orig_data_size = map->nr_pages << ZT_PAGE_SHIFT;
	out->compr_data_size = map->data.object_bytes;
	out->image_bytes = sb->lender ? map->data.object_bytes : 0;
	out->arena_used = arena.resident;
	out->mem_used_total = arena.resident + private;
	out->mem_limit = arena.limit;
	out->mem_used_max = max_u64(arena.resident, arena.resident_max) + private;
	out->mem_counted = arena.used;
	out->mem_set_aside = arena.aside;
	out->same_pages = map->same_pages;
	out->pages_compacted =
		map->data.pages_compacted + meta.pages_compacted + inodes.pages_compacted;
	out->huge_pages = map->huge_pages;
	out->huge_pages_since = map->huge_pages_since;
	out->huge_pages_skipped = map->huge_pages_skipped;
	out->size_limit = map->max_pages << ZT_PAGE_SHIFT;
	out->inodes_used = rec_load(&sb->nr_inodes);
	out->inodes_limit = rec_load(&sb->max_inodes);
	out->heap_used = heap.uordblks + heap.hblkhd;
	out->swap_reserve = arena.stock;
	out->swap_ready = arena.stock_ready;
	out->swap_waits = arena.stock_waits;
	out->swap_timeouts = arena.stock_timeouts;
	out->mem_level = mem_level(&arena);
}

static void stat_streams(const struct zcomp_stat *comp, struct ztmpfs_stat *out)
{
	out->streams = comp->nr_streams;
	out->managed = comp->managed;
	out->compress_calls = comp->compress_calls;
	out->compress_in = comp->compress_in;
	out->compress_out = comp->compress_out;
	out->managed_calls = comp->mgmt_calls;
	out->managed_in = comp->mgmt_in;
	out->managed_out = comp->mgmt_out;
	out->decompress_calls = comp->decompress_calls;
	out->decompress_in = comp->decompress_in;
	out->decompress_out = comp->decompress_out;
	out->fallback_no_stream = comp->fallback_no_stream;
	out->fallback_busy = comp->fallback_busy;
	out->fallback_error = comp->fallback_error;
	out->queued_now = comp->device.queued_now;
	out->queued_max = comp->device.queued_max;
	if (comp->degraded != NULL)
		snprintf(out->degraded, sizeof(out->degraded), "%s", comp->degraded);
}

static void stat_accel(const struct blkmap_stat *map, struct ztmpfs_stat *out)
{
	const struct zcomp_stat *comp = &map->zcomp;

	static_assert(ZTMPFS_STAT_BATCHES == ZCOMP_BATCH_BUCKETS, "copied one to one");
	static_assert(ZTMPFS_STAT_LATENCIES == ZCOMP_LATENCY_BUCKETS, "copied one to one");
	out->fallback_bad_stream = comp->fallback_bad_stream;
	out->fallback_timeout = comp->fallback_timeout;
	out->fallback_reset = comp->fallback_reset;
	out->fallback_dead = comp->fallback_dead;
	out->fallback_shutdown = comp->fallback_shutdown;
	out->fallback_inflight = map->fallback_inflight;
	out->accel_engines = comp->device.engines;
	out->accel_completed = comp->device.completed;
	out->accel_late = comp->device.late;
	out->accel_resets = comp->device.resets;
	out->accel_restarts = comp->device.restarts;
	memcpy(out->accel_batches, comp->device.batches, sizeof(out->accel_batches));
	memcpy(out->managed_latency, comp->mgmt_latency, sizeof(out->managed_latency));
	out->async_writes = map->async_writes;
	out->inflight_now = map->inflight_now;
	out->inflight_max = map->inflight_max;
	out->inflight_limit = map->inflight_limit;
}

static void stat_locks(struct ztmpfs_stat *out)
{
	static_assert(ZTMPFS_STAT_LOCKS == ZT_NR_LOCK_KINDS, "copied one to one");
	for (unsigned kind = 0; kind < ZT_NR_LOCK_KINDS; kind++) {
		const struct zt_lock_waits waits = zt_lock_waits(kind);

		out->lock_waits[kind] = waits.waits;
		out->lock_wait_ns[kind] = waits.ns;
	}
}

static void stat_upkeep(const struct blkmap_stat *map, struct ztmpfs_stat *out)
{
	out->recompressed = map->recompressed;
	out->recompress_kept = map->recompress_kept;
	out->recompress_saved = map->recompress_saved;
	out->recompress_passes = map->recompress_passes;
	out->recompress_undone = map->recompress_undone;
	out->recompress_pauses = map->recompress_pauses;
	out->recompress_pressures = map->recompress_pressures;
	out->dicts = map->dicts;
	out->dict_bytes = map->dict_bytes;
	out->dict_objects = map->dict_objects;
	out->folds = map->folds;
	out->overwrites_in_place = map->overwrites_in_place;
	out->reads_split = map->reads_split;
	out->shared_pages = map->shared_pages;
	out->dedup_joined = map->dedup_joined;
	out->dedup_saved = map->dedup_saved;
	out->dedup_index = map->dedup_index;
	out->packs = map->packs;
	out->packed_pages = map->packed_pages;
	out->pack_joined = map->pack_joined;
	out->pack_saved = map->pack_saved;
	out->packs_remade = map->packs_remade;
}

static void stat_spill(const struct blkmap_stat *map, struct ztmpfs_stat *out)
{
	out->spill_size = map->spill.size;
	out->spill_used = map->spill.used;
	out->spill_bytes = map->spill.bytes;
	out->spill_objects = map->spill.objects;
	out->spill_written = map->spill.written;
	out->spill_fetched = map->spill.fetched;
	out->spill_passes = map->spill_passes;
	out->spill_write_errors = map->spill.write_errors;
	out->spill_read_errors = map->spill.read_errors;
}

void super_get_stat(struct super *sb, struct ztmpfs_stat *out_stat)
{
	struct blkmap_stat map;

	*out_stat = (struct ztmpfs_stat){
		.version = ZTMPFS_STAT_VERSION,
		.struct_size = sizeof(*out_stat),
	};
	blkmap_get_stat(sb->map, &map);
	snprintf(out_stat->compress, sizeof(out_stat->compress), "%s", blkmap_zcomp_name(sb->map));
	stat_memory(sb, &map, out_stat);
	stat_streams(&map.zcomp, out_stat);
	stat_accel(&map, out_stat);
	stat_locks(out_stat);
	out_stat->cluster_size = (uint64_t)ZT_PAGE_SIZE
				 << rec_load(&inode_get(sb, FS_ROOT_INO)->cluster_order);
	if (blkmap_recompress_name(sb->map) != NULL)
		snprintf(out_stat->recompress, sizeof(out_stat->recompress), "%s",
			 blkmap_recompress_name(sb->map));
	stat_upkeep(&map, out_stat);
	stat_spill(&map, out_stat);
}
