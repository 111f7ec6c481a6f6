// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * settings.c - how single files want to be compressed: a table of the mount, and its codecs.
 *
 * An entry is made when it is first asked for. Its users are counted: inodes that name it, and
 * cluster maps that are to be folded by it. When it has none, and no object has its codec number, it
 * may become another one. A user makes all but one at most, so that nobody takes them all; root and
 * the mount's owner make as many as there are. Weakness: a mount takes three different ones at a time.
 *
 * Locks: settings_lock, over the making of an entry and its end. Who knows the number of a setting
 * finds it made: numbers come through an inode's flags, under its lock, or from a cluster map's
 * volatile entry under the slot lock. So the first user comes from blkmap_setting_find(), under
 * settings_lock, and others from users.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "blkmap/blkmap_i.h"
#include "util/alloc.h"
#include "util/log.h"
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

static bool setting_has_entry(unsigned setting)
{
	return setting >= BLKMAP_SETTING_FIRST &&
	       setting < BLKMAP_SETTING_FIRST + BLKMAP_NR_SETTINGS;
}

/* Whoever takes the last use away is through with it before: release, and acquire in is_unused(). */
void blkmap_setting_get(struct blkmap *map, unsigned setting)
{
	if (setting_has_entry(setting))
		atomic_fetch_add_explicit(&map->setting_users[setting - BLKMAP_SETTING_FIRST], 1,
					  memory_order_relaxed);
}

void blkmap_setting_put(struct blkmap *map, unsigned setting)
{
	if (setting_has_entry(setting))
		atomic_fetch_sub_explicit(&map->setting_users[setting - BLKMAP_SETTING_FIRST], 1,
					  memory_order_release);
}

/* Users first: objects come from users alone. settings_lock held. */
static bool setting_is_unused(struct blkmap *map, unsigned setting)
{
	return atomic_load_explicit(&map->setting_users[setting - BLKMAP_SETTING_FIRST],
				    memory_order_acquire) == 0 &&
	       atomic_load_explicit(&map->codec_objects[setting_codec(setting)],
				    memory_order_acquire) == 0;
}

int blkmap_check_settings(const struct blkmap *map, const uint64_t users[BLKMAP_NR_SETTINGS])
{
	for (unsigned i = 0; i < BLKMAP_NR_SETTINGS; i++) {
		uint64_t nr = users[i], counted = atomic_load(&map->setting_users[i]);

		for (unsigned lock = 0; lock < SLOT_LOCKS; lock++)
			for (const struct live_map *live = map->locks[lock].maps; live;
			     live = live->next)
				nr += live->setting == BLKMAP_SETTING_FIRST + i;
		if (nr != counted) {
			zt_log(ZT_LOG_ERR,
			       "blkmap: setting %u has %" PRIu64 " users, found %" PRIu64,
			       BLKMAP_SETTING_FIRST + i, counted, nr);
			return -EUCLEAN;
		}
	}
	return 0;
}

static int setting_make(struct blkmap *map, unsigned setting, uint32_t maker, const char *name,
			int32_t level, char error_text[256])
{
	struct zcomp_config config = {
		.name = name,
		.level = level,
		.unit = ZCOMP_MAX_UNIT,
		.nr_streams = SETTING_STREAMS,
	};
	struct blkmap_setting *entry = entry_of(map, setting);
	struct zcomp *comp;
	int error = comp_create(map, &config, error_text, &comp);

	if (error)
		return error;
	if (setting_is_made(map, setting))
		codec_destroy(map, setting_codec(setting));
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->name, name, strlen(name));
	entry->level = level;
	entry->maker = maker;
	__atomic_store_n(&map->codecs[setting_codec(setting)], comp, __ATOMIC_RELEASE);
	return 0;
}

static bool setting_may_go(struct blkmap *map, unsigned setting)
{
	return !setting_is_made(map, setting) || setting_is_unused(map, setting);
}

/* The entry of that name and level, or 0. settings_lock held. */
static unsigned setting_named(struct blkmap *map, const char *name, int32_t level)
{
	for (unsigned i = 0; i < BLKMAP_NR_SETTINGS; i++) {
		const struct blkmap_setting *entry = &map->record->settings[i];

		if (setting_is_made(map, BLKMAP_SETTING_FIRST + i) &&
		    strcmp(entry->name, name) == 0 && entry->level == level)
			return BLKMAP_SETTING_FIRST + i;
	}
	return 0;
}

/* An entry for @maker to make. settings_lock held. 0, -EDQUOT, -ENOSPC. */
static int setting_free(struct blkmap *map, uint32_t maker, char error_text[256],
			unsigned *out_setting)
{
	unsigned found = 0, made = 0;

	for (unsigned i = 0; i < BLKMAP_NR_SETTINGS; i++) {
		unsigned setting = BLKMAP_SETTING_FIRST + i;

		if (!setting_may_go(map, setting))
			made += map->record->settings[i].maker == maker;
		else if (!found)
			found = setting;
	}
	if (maker != BLKMAP_ANY_MAKER && made >= BLKMAP_USER_SETTINGS) {
		snprintf(error_text, 256, "user %u has made %u settings that are in use", maker,
			 made);
		return -EDQUOT;
	}
	snprintf(error_text, 256, "the mount has %u settings already", BLKMAP_NR_SETTINGS);
	*out_setting = found;
	return found ? 0 : -ENOSPC;
}

int blkmap_setting_find(struct blkmap *map, uint32_t maker, const char *name, int32_t level,
			char error_text[256], unsigned *out_setting)
{
	const struct zcomp_ops *ops = zcomp_find_ops(name);
	unsigned setting = BLKMAP_SETTING_FIRST;
	int error = 0;

	/* No modules: nobody but who mounts says what code the daemon loads. */
	if (!ops || strlen(name) >= sizeof(entry_of(map, setting)->name)) {
		snprintf(error_text, 256, "compress=%.40s: no built-in algorithm", name);
		return -ENOENT;
	}
	if (level == ZCOMP_LEVEL_DEFAULT)
		level = ops->level_default;
	mutex_lock(&map->settings_lock);
	setting = setting_named(map, name, level);
	if (!setting) {
		error = setting_free(map, maker, error_text, &setting);
		if (!error)
			error = setting_make(map, setting, maker, name, level, error_text);
	}
	if (!error)
		blkmap_setting_get(map, setting);
	mutex_unlock(&map->settings_lock);
	if (!error)
		*out_setting = setting;
	return error;
}

void blkmap_setting_tell(const struct blkmap *map, unsigned setting, const char **out_name,
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

/* An entry may become another while a name is looked at, but names of built-in algorithms stay. */
const char *setting_codec_name(struct blkmap *map, unsigned codec)
{
	unsigned setting = BLKMAP_SETTING_FIRST + (codec - SLOT_CODEC_FILE);
	const struct zcomp_ops *ops;

	mutex_lock(&map->settings_lock);
	ops = setting_is_made(map, setting) ? zcomp_find_ops(entry_of(map, setting)->name) : NULL;
	mutex_unlock(&map->settings_lock);
	return ops ? ops->name : "unknown";
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
