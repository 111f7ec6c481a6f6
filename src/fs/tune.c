// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * tune.c - the options of a mount as they hold now. No locks: each is read at a moment of its own.
 */
#include "fs/tune.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fs/inode_i.h"

/* A text that grows as long as there is room. */
struct text {
	char *at;
	size_t room;
};

static void ZT_PRINTF(2, 3) put(struct text *text, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text->at, text->room, format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= text->room)
		len = text->room > 0 ? (int)text->room - 1 : 0;
	text->at += len;
	text->room -= (size_t)len;
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

void super_get_options(struct super *sb, char *out_text, size_t room)
{
	static const char *const accels[] = {
		[BLKMAP_ACCEL_OFF] = "off", [BLKMAP_ACCEL_AUTO] = "auto", [BLKMAP_ACCEL_ON] = "on"
	};
	struct text text = { out_text, room };
	struct blkmap_tuning tuning;
	struct blkmap_stat map;
	struct arena_stat arena;

	blkmap_get_stat(sb->map, &map);
	blkmap_get_tuning(sb->map, &tuning);
	arena_get_stat(sb->arena, &arena);
	put_size(&text, "size", map.max_pages << ZT_PAGE_SHIFT);
	put(&text, ",nr_inodes=%" PRIu64 ",", rec_load(&sb->max_inodes));
	put_size(&text, "mem_limit", arena.limit);
	put_codec(&text, "compress", tuning.compress, tuning.level);
	if (tuning.recompress) {
		put_codec(&text, "recompress", tuning.recompress, tuning.recompress_level);
		put(&text, "@%" PRIu32 ",dicts=%s,dedup=%s", tuning.recompress_idle,
		    tuning.dicts ? "on" : "off", tuning.dedup ? "on" : "off");
	} else {
		put(&text, ",recompress=off");
	}
	put(&text, ",cluster=%uk,accel=%s%s",
	    4u << rec_load(&inode_get(sb, FS_ROOT_INO)->cluster_order), accels[tuning.accel],
	    sb->acl ? "" : ",noacl");
	if (arena.stock)
		put_size(&text, ",swap,swap_reserve", arena.stock);
}
