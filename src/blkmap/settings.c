// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * settings.c - how single files want to be compressed: a table of the mount, and its codecs.
 *
 * An entry is made when it is first asked for, and stays: objects with its codec number may be
 * anywhere. Weakness: so a mount takes three different ones in its life, and no more.
 *
 * Locks: settings_lock, over the making of an entry. Who knows the number of a setting finds it
 * made: numbers come through an inode's flags, under its lock.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blkmap/blkmap_i.h"
#include "util/alloc.h"
#include "zcomp/registry.h"

/* Held for one call each, so that few do for many threads. */
#define SETTING_STREAMS 2u

/* The entry behind a setting that has one. */
static struct blkmap_setting *entry_of(const struct blkmap *map, unsigned setting)
{
	return &map->record->settings[setting - BLKMAP_SETTING_FIRST];
}

static bool setting_is_made(const struct blkmap *map, unsigned setting)
{
	return __atomic_load_n(&map->codecs[setting_codec(setting)], __ATOMIC_ACQUIRE) != NULL;
}

bool blkmap_setting_is_known(const struct blkmap *map, unsigned setting)
{
	if (setting < BLKMAP_SETTING_FIRST)
		return true;
	return setting < BLKMAP_SETTING_FIRST + BLKMAP_NR_SETTINGS && setting_is_made(map, setting);
}

static int setting_make(struct blkmap *map, unsigned setting, const char *name, int32_t level,
			char error_text[256])
{
	struct zcomp_config config = {
		.name = name,
		.level = level,
		.unit = ZCOMP_MAX_UNIT,
		.nr_streams = SETTING_STREAMS,
	};
	struct blkmap_setting *entry = entry_of(map, setting);
	struct zcomp *comp;
	int error = zcomp_create(&config, error_text, &comp);

	if (error)
		return error;
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->name, name, strlen(name));
	entry->level = level;
	__atomic_store_n(&map->codecs[setting_codec(setting)], comp, __ATOMIC_RELEASE);
	return 0;
}

int blkmap_setting_find(struct blkmap *map, const char *name, int32_t level, char error_text[256],
			unsigned *out_setting)
{
	const struct zcomp_ops *ops = zcomp_find_ops(name);
	unsigned setting = BLKMAP_SETTING_FIRST;
	int error = -ENOSPC;

	/* No modules: nobody but who mounts says what code the daemon loads. */
	if (!ops || strlen(name) >= sizeof(entry_of(map, setting)->name)) {
		snprintf(error_text, 256, "compress=%.40s: no built-in algorithm", name);
		return -ENOENT;
	}
	if (level == ZCOMP_LEVEL_DEFAULT)
		level = ops->level_default;
	snprintf(error_text, 256, "the mount has %u settings already", BLKMAP_NR_SETTINGS);
	mutex_lock(&map->settings_lock);
	for (; setting < BLKMAP_SETTING_FIRST + BLKMAP_NR_SETTINGS; setting++) {
		const struct blkmap_setting *entry = entry_of(map, setting);

		if (!setting_is_made(map, setting))
			error = setting_make(map, setting, name, level, error_text);
		else if (strcmp(entry->name, name) == 0 && entry->level == level)
			error = 0;
		else
			continue;
		break;
	}
	mutex_unlock(&map->settings_lock);
	if (!error)
		*out_setting = setting;
	return error;
}

void blkmap_setting_get(const struct blkmap *map, unsigned setting, const char **out_name,
			int32_t *out_level)
{
	*out_level = 0;
	if (setting == BLKMAP_SETTING_DEFAULT) {
		*out_name = "default";
	} else if (setting == BLKMAP_SETTING_NONE) {
		*out_name = "none";
	} else {
		*out_name = entry_of(map, setting)->name;
		*out_level = entry_of(map, setting)->level;
	}
}

bool setting_compress(struct blkmap *map, unsigned setting, struct zcomp_strm *strm,
		      const void *src, uint32_t len, size_t *out_len)
{
	struct zcomp *comp;
	struct zcomp_strm *own;
	bool fits;

	if (setting == BLKMAP_SETTING_NONE)
		return false;
	comp = __atomic_load_n(&map->codecs[setting_codec(setting)], __ATOMIC_ACQUIRE);
	own = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	fits = zcomp_compress(comp, own, src, len, encode_cap(len), out_len) == 0;
	if (fits)
		memcpy(strm->buffer, own->buffer, *out_len);
	zcomp_stream_put(comp, own);
	return fits;
}
