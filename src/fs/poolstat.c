// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * poolstat.c - the size classes of a mount's pools, and how the arena's range is cut.
 *
 * Locks: none here; each class is counted under its own. An answer has a bounded length, so that no
 * lock is held for long, and a caller goes on where it ended.
 */
#include <errno.h>
#include <stdio.h>

#include "fs/inode_i.h"

static_assert(ZTMPFS_POOL_GROUPS == ZS_NR_GROUPS, "copied one to one");
static_assert(ZTMPFS_POOL_ORDERS == ARENA_RUN_ORDERS, "copied one to one");
static_assert(sizeof(struct ztmpfs_pool_stat) < 1u << _IOC_SIZEBITS,
	      "an ioctl's number has its size");

#define NR_POOLS 3u

static struct zs_pool *pool_at(struct super *sb, uint32_t idx, const char **out_name)
{
	static const char *const names[NR_POOLS] = { "data", "metadata", "inodes" };
	struct zs_pool *const pools[NR_POOLS] = { blkmap_data_pool(sb->map), sb->meta, sb->inodes };

	*out_name = names[idx];
	return pools[idx];
}

static void fill_class(struct zs_pool *pool, uint32_t idx, struct ztmpfs_pool_class *out)
{
	struct zs_class_stat stat;

	zs_class_get_stat(pool, idx, &stat);
	*out = (struct ztmpfs_pool_class){
		.idx = idx,
		.size = stat.room,
		.pages_per_zspage = stat.pages_per_zspage,
		.objs_per_zspage = stat.objs_per_zspage,
		.obj_allocated = stat.zspages * stat.objs_per_zspage,
		.obj_used = stat.objects,
		.obj_bytes = stat.object_bytes,
		.pages_used = stat.resident_pages,
		.pages_cached = stat.cached_pages,
		.freeable = stat.freeable_pages,
	};
	for (unsigned i = 0; i < ZTMPFS_POOL_GROUPS; i++)
		out->groups[i] = (uint32_t)stat.groups[i];
}

static void fill_arena(struct super *sb, struct ztmpfs_pool_stat *out)
{
	struct arena_range range;
	struct arena_stat stat;

	arena_get_stat(sb->arena, &stat);
	arena_get_range(sb->arena, &range);
	out->resident = stat.resident;
	out->range = range.bytes;
	out->range_runs = range.run_bytes;
	for (unsigned i = 0; i < ZTMPFS_POOL_ORDERS; i++)
		out->range_free[i] = range.free[i];
}

int super_get_pool_stat(struct super *sb, struct ztmpfs_pool_stat *inout_stat)
{
	struct ztmpfs_pool_stat out = {
		.version = ZTMPFS_STAT_VERSION,
		.struct_size = sizeof(out),
		.pool = inout_stat->pool,
		.first = inout_stat->first,
		.nr_pools = NR_POOLS,
	};
	struct zs_pool_stat pool_stat;
	struct zs_pool *pool;
	const char *name;
	uint32_t idx = inout_stat->first;

	if (inout_stat->pool >= NR_POOLS)
		return -EINVAL;
	pool = pool_at(sb, inout_stat->pool, &name);
	if (idx >= zs_nr_classes(pool))
		return -EINVAL;
	snprintf(out.name, sizeof(out.name), "%s", name);
	zs_pool_get_stat(pool, &pool_stat);
	out.pages_compacted = pool_stat.pages_compacted;
	fill_arena(sb, &out);
	for (; idx < zs_nr_classes(pool) && out.nr_classes < ZTMPFS_POOL_CLASSES; idx++) {
		struct ztmpfs_pool_class class;

		fill_class(pool, idx, &class);
		if (class.obj_allocated > 0)
			out.classes[out.nr_classes++] = class;
	}
	if (idx < zs_nr_classes(pool))
		out.next = idx;
	*inout_stat = out;
	return 0;
}
