// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * statfs.c - what is left, and what df calls the size. Counters at this moment.
 *
 * Locks: none.
 */
#include <unistd.h>

#include "blkmap/spilled.h"
#include "fs/inode_i.h"
#include "fs/namei.h"

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
	by_memory = pages_for(left(memory, arena.used) + arena.stock_ready +
			      blkmap_spill_left(sb->map));
	return min_u64(by_size, by_memory);
}

/*
 * But for a size= that is promised, the size is what files contain and what is free. It grows with
 * what compression saves; only so is what df calls used what files contain, and not memory that the
 * mount needs for itself, or that objects cost besides.
 */
static uint64_t total_pages(const struct super *sb, uint64_t used, uint64_t free)
{
	struct arena_stat arena;
	struct blkmap_stat map;

	blkmap_get_stat(sb->map, &map);
	arena_get_stat(sb->arena, &arena);
	return map.max_pages && !arena.limit ? map.max_pages : used + free;
}

void super_statfs(struct super *sb, struct statvfs *out)
{
	struct arena_stat arena;
	/* As tmpfs: attributes take of the same space as inodes. */
	const uint64_t files = div_round_up_u64(rec_load(&sb->space), INODE_SPACE);
	const uint64_t max_inodes = rec_load(&sb->max_inodes);
	uint64_t used, free = super_free_pages(sb, &used), memory;

	*out = (struct statvfs){
		.f_bsize = ZT_PAGE_SIZE,
		.f_frsize = ZT_PAGE_SIZE,
		.f_namemax = FS_NAME_MAX,
		.f_blocks = total_pages(sb, used, free),
		.f_bfree = free,
		.f_files = max_inodes,
		.f_ffree = left(max_inodes, files),
	};
	arena_get_stat(sb->arena, &arena);
	memory = arena.limit - arena.spare;
	if (max_inodes && arena.limit) {
		out->f_ffree = min_u64(out->f_ffree, left(memory, arena.used) / FILE_BYTES);
		out->f_files = files + out->f_ffree;
	}
	out->f_bavail = out->f_bfree;
	out->f_favail = out->f_ffree;
}

uint64_t super_bytes_left(const struct super *sb)
{
	const uint64_t most = UINT64_MAX / ZT_PAGE_SIZE;
	const uint64_t by_size = min_u64(blkmap_pages_left(sb->map), most);
	struct arena_stat arena;

	arena_get_stat(sb->arena, &arena);
	if (!arena.limit)
		return by_size == most ? UINT64_MAX : by_size * ZT_PAGE_SIZE;
	return min_u64(by_size, pages_for(left(arena.limit - arena.spare, arena.used) +
					  blkmap_spill_left(sb->map))) *
	       ZT_PAGE_SIZE;
}
