// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tune.c - the options of a mount as they hold now, and how they are changed. No locks: each is read,
 * and changed, at a moment of its own.
 */
#include "fs/tune.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fs/inode_i.h"
#include "util/log.h"

/* A text that grows as long as there is space. */
struct text {
	char *at;
	size_t space;
};

static void ZT_PRINTF(2, 3) put(struct text *text, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text->at, text->space, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= text->space)
		len = text->space > 0 ? (int)text->space - 1 : 0;
	text->at += len;
	text->space -= (size_t)len;
}

/* In the largest unit that says it exactly. */
static void put_size(struct text *text, const char *name, uint64_t bytes)
{
	static const char units[] = { '\0', 'k', 'm', 'g', 't' };
	size_t unit = 0;

	while (bytes > 0 && bytes % KIB == 0 && unit + 1 < sizeof(units)) {
		bytes /= KIB;
		unit++;
	}
	put(text, "%s=%" PRIu64 "%.1s", name, bytes, &units[unit]);
}

static void put_codec(struct text *text, const char *name, const char *algorithm, int32_t level)
{
	put(text, ",%s=%s", name, algorithm);
	if (level != ZCOMP_LEVEL_DEFAULT)
		put(text, ":%" PRId32, level);
}

void super_get_options(struct super *sb, char *out_text, size_t space)
{
	static const char *const accels[] = {
		[BLKMAP_ACCEL_OFF] = "off", [BLKMAP_ACCEL_AUTO] = "auto", [BLKMAP_ACCEL_ON] = "on"
	};
	struct text text = { out_text, space };
	struct blkmap_tuning tuning;
	struct blkmap_stat map;
	struct arena_stat arena;

	blkmap_get_stat(sb->map, &map);
	blkmap_get_tuning(sb->map, &tuning);
	arena_get_stat(sb->arena, &arena);
	put_size(&text, "size", map.max_pages << ZT_PAGE_SHIFT);
	put(&text, ",nr_inodes=%" PRIu64 ",", rec_load(&sb->max_inodes));
	put_size(&text, "mem_limit", arena.limit);
	if (strcmp(tuning.compress, "none") == 0)
		put(&text, ",compress=none");
	else
		put_codec(&text, "compress", tuning.compress, tuning.level);
	if (tuning.recompress) {
		put_codec(&text, "recompress", tuning.recompress, tuning.recompress_level);
		put(&text, "@%" PRIu32 ",dicts=%s,dedup=%s,packs=%s", tuning.recompress_idle,
		    tuning.dicts ? "on" : "off", tuning.dedup ? "on" : "off",
		    tuning.packs ? "on" : "off");
	} else {
		put(&text, ",recompress=off");
	}
	put(&text, ",cluster=%uk,accel=%s%s",
	    4u << rec_load(&inode_get(sb, FS_ROOT_INO)->cluster_order), accels[tuning.accel],
	    sb->acl ? "" : ",noacl");
	if (arena.stock)
		put_size(&text, ",swap,swap_reserve", arena.stock);
}

/* Of memory that a limit must leave for requests to be served: what one of them takes. */
#define MEM_LEAST MIB

/* As set_max_pages() in blkmap: the new limit holds before it is looked at what is used. */
static int set_inodes(struct super *sb, uint64_t limit, uint64_t *out_old)
{
	*out_old = __atomic_exchange_n(&sb->max_inodes, limit, __ATOMIC_SEQ_CST);
	if (limit == 0 || div_round_up_u64(rec_load(&sb->space), INODE_SPACE) <= limit)
		return 0;
	(void)__atomic_compare_exchange_n(&sb->max_inodes, &limit, *out_old, false,
					  __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	return -EBUSY;
}

static int set_mem(struct super *sb, uint64_t limit, uint64_t *out_old)
{
	struct arena_stat arena;

	arena_get_stat(sb->arena, &arena);
	*out_old = arena.limit;
	/* Memory that is kept ready needs one. */
	if (limit == 0 && arena.stock)
		return -EINVAL;
	/* Growth ends before it is looked at what there is. */
	arena_set_limit(sb->arena, limit);
	arena_get_stat(sb->arena, &arena);
	if (limit == 0 || arena.used + arena.spare + MEM_LEAST <= limit)
		return 0;
	arena_set_limit(sb->arena, *out_old);
	return -EBUSY;
}

/* The limits that were there. */
struct limits {
	uint64_t pages, inodes, mem;
};

/* When more was filled meanwhile than an old size lets, the new one stays. */
static void put_limits_back(struct super *sb, uint32_t which, const struct limits *old)
{
	uint64_t pages;

	if (which & ZTMPFS_SET_MEM)
		arena_set_limit(sb->arena, old->mem);
	if (which & ZTMPFS_SET_INODES)
		rec_store(&sb->max_inodes, old->inodes);
	if (which & ZTMPFS_SET_SIZE)
		(void)!blkmap_set_max_pages(sb->map, old->pages, &pages);
}

/* All or none. */
static int set_limits(struct super *sb, const struct ztmpfs_set *set, struct limits *out_old)
{
	const uint64_t pages = div_round_up_u64(set->size, ZT_PAGE_SIZE);
	uint32_t done = 0;
	int error = 0;

	if (set->which & ZTMPFS_SET_SIZE) {
		error = blkmap_set_max_pages(sb->map, pages, &out_old->pages);
		done |= error ? 0 : ZTMPFS_SET_SIZE;
	}
	if (!error && set->which & ZTMPFS_SET_INODES) {
		error = set_inodes(sb, set->nr_inodes, &out_old->inodes);
		done |= error ? 0 : ZTMPFS_SET_INODES;
	}
	if (!error && set->which & ZTMPFS_SET_MEM)
		error = set_mem(sb, set->mem_limit, &out_old->mem);
	if (error)
		put_limits_back(sb, done, out_old);
	return error;
}

static int tune(struct super *sb, const struct ztmpfs_set *set)
{
	const uint32_t all = 2 * ZTMPFS_SET_DEDUP - 1;
	struct blkmap_tuning tuning;
	struct limits old;
	int error;

	if (set->which == 0 || set->which & ~all || set->recompress > 1 || set->dedup > 1 ||
	    memchr(set->compress, '\0', sizeof(set->compress)) == NULL)
		return -EINVAL;
	/* What can only be refused comes first. */
	blkmap_get_tuning(sb->map, &tuning);
	if (set->which & (ZTMPFS_SET_RECOMPRESS | ZTMPFS_SET_IDLE) && !tuning.can_recompress)
		return -EOPNOTSUPP;
	if (set->which & ZTMPFS_SET_DEDUP && !tuning.can_dedup)
		return -EOPNOTSUPP;
	error = set_limits(sb, set, &old);
	if (error)
		return error;
	if (set->which & ZTMPFS_SET_COMPRESS)
		error = blkmap_set_compress(sb->map, set->compress, set->level);
	if (error) {
		put_limits_back(sb, set->which, &old);
		return error;
	}
	if (set->which & ZTMPFS_SET_RECOMPRESS)
		blkmap_set_recompress(sb->map, set->recompress != 0);
	if (set->which & ZTMPFS_SET_IDLE)
		blkmap_set_idle(sb->map, set->idle);
	if (set->which & ZTMPFS_SET_DEDUP)
		blkmap_set_dedup(sb->map, set->dedup != 0);
	return 0;
}

/* ---- kept ---- */

static_assert(sizeof(struct ztmpfs_set) <= SUPER_RECORD_MAX, "it is kept in a record");

static bool kept(const struct super *sb, struct ztmpfs_set *out, unsigned which)
{
	memset(out, 0, sizeof(*out));
	return super_record_get(sb, which, out, sizeof(*out)) > 0;
}

static void merge(struct ztmpfs_set *all, const struct ztmpfs_set *set)
{
	all->which |= set->which;
	if (set->which & ZTMPFS_SET_SIZE)
		all->size = set->size;
	if (set->which & ZTMPFS_SET_INODES)
		all->nr_inodes = set->nr_inodes;
	if (set->which & ZTMPFS_SET_MEM)
		all->mem_limit = set->mem_limit;
	if (set->which & ZTMPFS_SET_RECOMPRESS)
		all->recompress = set->recompress;
	if (set->which & ZTMPFS_SET_IDLE)
		all->idle = set->idle;
	if (set->which & ZTMPFS_SET_DEDUP)
		all->dedup = set->dedup;
	if (set->which & ZTMPFS_SET_COMPRESS) {
		all->level = set->level;
		memcpy(all->compress, set->compress, sizeof(all->compress));
	}
}

/* They fit. */
static void put_record(struct super *sb, unsigned which, const void *data, size_t size)
{
	(void)!super_record_set(sb, which, data, size);
}

/* A record is none while it changes, so all of it stands in another one before. */
static void keep_all(struct super *sb, const struct ztmpfs_set *all)
{
	put_record(sb, SUPER_RECORD_SET_NEXT, all, sizeof(*all));
	put_record(sb, SUPER_RECORD_SET, all, sizeof(*all));
	put_record(sb, SUPER_RECORD_SET_NEXT, "", 0);
}

/* For the next process. */
static void keep(struct super *sb, const struct ztmpfs_set *set)
{
	struct ztmpfs_set all;

	mutex_lock(&sb->tune_lock);
	(void)kept(sb, &all, SUPER_RECORD_SET);
	merge(&all, set);
	keep_all(sb, &all);
	mutex_unlock(&sb->tune_lock);
}

int super_set(struct super *sb, const struct ztmpfs_set *set)
{
	int error = tune(sb, set);

	if (!error)
		keep(sb, set);
	return error;
}

/* One after the other: none keeps another from being as it was. */
void tune_restore(struct super *sb)
{
	struct ztmpfs_set all;

	if (sb->from_image) {
		put_record(sb, SUPER_RECORD_SET_NEXT, "", 0);
		put_record(sb, SUPER_RECORD_SET, "", 0);
		return;
	}
	/* One that was killed has said first what it was about to keep. */
	if (kept(sb, &all, SUPER_RECORD_SET_NEXT))
		keep_all(sb, &all);
	if (!kept(sb, &all, SUPER_RECORD_SET))
		return;
	for (uint32_t which = 1; which <= ZTMPFS_SET_DEDUP; which <<= 1) {
		struct ztmpfs_set one = all;
		int error;

		one.which = all.which & which;
		error = one.which ? tune(sb, &one) : 0;
		if (error)
			zt_log(ZT_LOG_WARN, "what ztmpfsctl set had changed (%u) is no longer so: %s",
			       which, strerror(-error));
	}
}
