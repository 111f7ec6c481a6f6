// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * statfs.c - what is used and what is left. No locks: counters at this moment.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/namei.h"
#include "fs/work.h"
#include "util/alloc.h"

/*
 * Of the memory that is left, what data that do not compress could fill: an object costs its
 * header, its share of its zspage and a slot besides its bytes. A thirty-second is more than all
 * that for every cluster size.
 */
static uint64_t pages_for(uint64_t bytes)
{
	return (bytes - bytes / 32) / ZT_PAGE_SIZE;
}

static uint64_t left(uint64_t total, uint64_t used)
{
	return total > used ? total - used : 0;
}

/*
 * Files that @bytes of memory hold: a record of 96 bytes and a name of 255 with its entry, the
 * share of their pages that is lost, and now and then a larger index.
 */
#define FILE_BYTES 512u

static uint64_t ram_bytes(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

uint64_t super_free_pages(struct super *sb, uint64_t *out_used)
{
	struct blkmap_stat map;
	struct arena_stat arena;
	uint64_t memory, by_memory, by_size;

	blkmap_get_stat(sb->map, &map);
	arena_get_stat(sb->arena, &arena);
	*out_used = map.nr_pages;
	by_size = blkmap_pages_left(sb->map);
	/* Without a limit on memory, what was asked for is what was promised. */
	if (!arena.limit && map.max_pages)
		return by_size;
	memory = arena.limit ? arena.limit - arena.spare : ram_bytes();
	by_memory = pages_for(left(memory, arena.used) + arena.stock_ready);
	return min_u64(by_size, by_memory);
}

/*
 * With a limit on memory the size is what files contain and what is free. It grows with what
 * compression saves; only so is what df calls used what files contain, and not memory that the
 * mount needs for itself.
 */
static uint64_t total_pages(const struct super *sb, uint64_t used, uint64_t free)
{
	struct arena_stat arena;
	struct blkmap_stat map;

	blkmap_get_stat(sb->map, &map);
	arena_get_stat(sb->arena, &arena);
	if (map.max_pages && !arena.limit)
		return map.max_pages;
	if (arena.limit)
		return used + free;
	return max_u64(ram_bytes() / ZT_PAGE_SIZE, used + free);
}

void super_statfs(struct super *sb, struct statvfs *out)
{
	struct arena_stat arena;
	/* As tmpfs: attributes take of the same room as inodes. */
	const uint64_t files = div_round_up_u64(rec_load(&sb->space), INODE_SPACE);
	uint64_t used, free = super_free_pages(sb, &used), memory;

	*out = (struct statvfs){
		.f_bsize = ZT_PAGE_SIZE,
		.f_frsize = ZT_PAGE_SIZE,
		.f_namemax = FS_NAME_MAX,
		.f_blocks = total_pages(sb, used, free),
		.f_bfree = free,
		.f_files = sb->max_inodes,
		.f_ffree = left(sb->max_inodes, files),
	};
	arena_get_stat(sb->arena, &arena);
	memory = arena.limit - arena.spare;
	if (sb->max_inodes && arena.limit) {
		out->f_ffree = min_u64(out->f_ffree, left(memory, arena.used) / FILE_BYTES);
		out->f_files = files + out->f_ffree;
	}
	out->f_bavail = out->f_bfree;
	out->f_favail = out->f_ffree;
}

uint64_t super_room(const struct super *sb)
{
	const uint64_t most = UINT64_MAX / ZT_PAGE_SIZE;
	const uint64_t by_size = min_u64(blkmap_pages_left(sb->map), most);
	struct arena_stat arena;

	arena_get_stat(sb->arena, &arena);
	if (!arena.limit)
		return by_size == most ? UINT64_MAX : by_size * ZT_PAGE_SIZE;
	return min_u64(by_size, pages_for(left(arena.limit - arena.spare, arena.used))) *
	       ZT_PAGE_SIZE;
}

static uint64_t mem_level(const struct arena_stat *arena)
{
	uint64_t used = arena->used - min_u64(arena->stock_ready, arena->used);

	if (!arena->limit)
		return ZTMPFS_MEM_OK;
	if (left(arena->limit, used) < MIB)
		return ZTMPFS_MEM_FULL;
	if (used >= arena->limit - arena->limit / 10)
		return ZTMPFS_MEM_CRITICAL;
	return used >= arena->limit - arena->limit / 4 ? ZTMPFS_MEM_WARNING : ZTMPFS_MEM_OK;
}

/* Numbers with one decoder, like a codec and what it kept, are one line. */
static void file_stat_codec(struct ztmpfs_file_stat *out, const char *name, uint64_t pages,
			    uint64_t stored)
{
	size_t i = 0;

	if (pages == 0 && stored == 0)
		return;
	while (i + 1 < ZTMPFS_FILE_CODECS && out->codecs[i].name[0] != '\0' &&
	       strcmp(out->codecs[i].name, name) != 0)
		i++;
	snprintf(out->codecs[i].name, sizeof(out->codecs[i].name), "%s", name);
	out->codecs[i].pages += pages;
	out->codecs[i].stored += stored;
}

/* One round of adding up what the file holds. Return: 0, -EAGAIN. */
static int file_stat_content(struct work *work, struct inode_rec *rec, struct blkmap_usage *usage)
{
	struct blkmap_file file = inode_file(rec);

	file.round = work_round(work);
	return blkmap_usage(work->sb->map, &file, usage);
}

static void file_stat_usage(struct super *sb, const struct blkmap_usage *usage,
			    struct ztmpfs_file_stat *out)
{
	out->stored = usage->stored;
	out->memory += usage->memory;
	out->objects = usage->objects;
	for (unsigned codec = 0; codec < BLKMAP_NR_CODECS; codec++)
		file_stat_codec(out, blkmap_codec_name(sb->map, codec), usage->pages[codec],
				usage->bytes[codec]);
	file_stat_codec(out, "same", usage->pages[BLKMAP_NR_CODECS], 0);
}

static int file_stat_once(struct work *work, ino_nr ino, struct blkmap_usage *usage,
			  struct ztmpfs_file_stat *out)
{
	struct super *sb = work->sb;
	struct inode_rec *rec;
	int err = 0;

	inode_lock_shared(sb, ino);
	rec = inode_get(sb, ino);
	if (rec == NULL)
		err = -ESTALE;
	else
		out->size = inode_size(rec);
	if (!err && (inode_is_reg(rec) || inode_is_dir(rec)))
		out->cluster_size = (uint64_t)ZT_PAGE_SIZE << rec->cluster_order;
	if (!err && inode_is_reg(rec)) {
		out->allocated = rec_load(&rec->nr_pages) << ZT_PAGE_SHIFT;
		err = file_stat_content(work, rec, usage);
	}
	inode_unlock(sb, ino);
	return err;
}

int fs_file_stat(struct super *sb, ino_nr ino, struct ztmpfs_file_stat *out_stat)
{
	struct blkmap_usage usage = { 0 };
	struct work work = work_begin(sb);
	int err;

	*out_stat = (struct ztmpfs_file_stat){
		.version = ZTMPFS_STAT_VERSION,
		.struct_size = sizeof(*out_stat),
		.ino = ino,
		.memory = zs_room(sb->inodes, sizeof(struct inode_rec)) + ZS_HDR_SIZE,
	};
	do {
		err = file_stat_once(&work, ino, &usage, out_stat);
	} while (err == -EAGAIN && (err = work_pause(&work, ino)) == -EAGAIN);
	if (!err)
		file_stat_usage(sb, &usage, out_stat);
	return err;
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
	out->inodes_limit = sb->max_inodes;
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
	out_stat->recompressed = map.recompressed;
	out_stat->recompress_kept = map.recompress_kept;
	out_stat->recompress_saved = map.recompress_saved;
	out_stat->recompress_passes = map.recompress_passes;
	out_stat->recompress_pauses = map.recompress_pauses;
	out_stat->recompress_pressures = map.recompress_pressures;
	out_stat->dicts = map.dicts;
	out_stat->dict_bytes = map.dict_bytes;
	out_stat->dict_objects = map.dict_objects;
	out_stat->folds = map.folds;
	out_stat->overwrites_in_place = map.overwrites_in_place;
	out_stat->reads_split = map.reads_split;
	out_stat->shared_pages = map.shared_pages;
	out_stat->dedup_joined = map.dedup_joined;
	out_stat->dedup_saved = map.dedup_saved;
	out_stat->dedup_index = map.dedup_index;
}
