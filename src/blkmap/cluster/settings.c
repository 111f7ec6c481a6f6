// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * settings.c - how single files want to be compressed: a table of the mount, and its codecs.
 *
 * An entry is made when it is first asked for. Its users are counted: inodes that name it, and
 * cluster maps that are to be folded by it. When it has none, and no object has its codec number, it
 * may become another one. A user makes all but one at most, so that nobody takes them all; root and
 * the mount's owner make as many as there are. Weakness: a mount takes three different ones at a time.
 *
 * Locks: settings_lock, over the making of an entry and its end. A thread that knows the number of
 * a setting finds it made: numbers come through an inode's flags, under its lock, or from a cluster
 * map's volatile entry under the slot lock. So the first user comes from setting_find(), under
 * settings_lock, and others from users.
 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "blkmap/cluster/cluster.h"
#include "blkmap/cluster/settings.h"
#include "blkmap/slot/account.h"
#include "blkmap/slot/live.h"
#include "util/alloc.h"
#include "util/log.h"
#include "util/store.h"
#include "zcomp/registry.h"

/* Held for one call each, so that few do for many threads. */
#define SETTING_STREAMS 2u

/* The entry behind a setting that has one. */
static struct blkmap_setting *entry_of(const struct codecs *codecs, unsigned setting)
{
	return &codecs->record->settings[setting - BLKMAP_SETTING_FIRST];
}

static bool setting_is_made(const struct codecs *codecs, unsigned setting)
{
	return __atomic_load_n(&codecs->decoders[setting_codec(setting)], __ATOMIC_ACQUIRE) != NULL;
}

bool setting_is_known(const struct codecs *codecs, unsigned setting)
{
	if (setting < BLKMAP_SETTING_FIRST)
		return true;
	return setting < BLKMAP_SETTING_FIRST + BLKMAP_NR_SETTINGS &&
	       setting_is_made(codecs, setting);
}

/* Users first: objects come from users alone. settings_lock held. */
static bool setting_is_unused(struct codecs *codecs, unsigned setting)
{
	return atomic_load_explicit(
		       &codecs->slots->account.setting_users[setting - BLKMAP_SETTING_FIRST],
		       memory_order_acquire) == 0 &&
	       atomic_load_explicit(&codecs->slots->account.codec_objects[setting_codec(setting)],
				    memory_order_acquire) == 0;
}

static uint64_t live_maps_of_setting(const struct slot_lock *lock, unsigned setting)
{
	const struct live_map *live = NULL;
	uint64_t nr = 0;

	while ((live = live_map_next(lock, live)))
		nr += live->setting == setting;
	return nr;
}

int check_settings(const struct codecs *codecs, const uint64_t users[BLKMAP_NR_SETTINGS])
{
	for (unsigned i = 0; i < BLKMAP_NR_SETTINGS; i++) {
		uint64_t nr = users[i],
			 counted = atomic_load(&codecs->slots->account.setting_users[i]);

		for (unsigned lock = 0; lock < SLOT_LOCKS; lock++)
			nr += live_maps_of_setting(&codecs->slots->locks[lock],
						   BLKMAP_SETTING_FIRST + i);
		nr += atomic_load(&codecs->default_held) >> i & 1;
		if (nr != counted) {
			zt_log(ZT_LOG_ERR,
			       "blkmap: setting %u has %" PRIu64 " users, found %" PRIu64,
			       BLKMAP_SETTING_FIRST + i, counted, nr);
			return -EUCLEAN;
		}
	}
	return 0;
}

/*
 * An entry is there when its name is: the first word of it is taken first and comes last. So another
 * process that finds this arena sees it as it was, not at all, or as it is.
 */
static void entry_store(struct blkmap_setting *entry, const char *name, int32_t level,
			uint32_t maker)
{
	struct blkmap_setting made = { .level = level, .maker = maker };
	uint64_t first;

	ZT_ASSERT(strlen(name) < sizeof(made.name)); /* built-in ones are short */
	memcpy(made.name, name, strlen(name));
	memcpy(&first, made.name, sizeof(first));
	__atomic_store_n((uint64_t *)entry->name, 0, __ATOMIC_SEQ_CST);
	zt_stored("settings: an entry is taken");
	memcpy(entry->name + sizeof(first), made.name + sizeof(first),
	       sizeof(made) - sizeof(first));
	zt_stored("settings: all but the beginning of a name");
	__atomic_store_n((uint64_t *)entry->name, first, __ATOMIC_RELEASE);
	zt_stored("settings: an entry is made");
}
static_assert(offsetof(struct blkmap_setting, name) == 0 && sizeof(struct blkmap_setting) == 32,
	      "the beginning of a name is one word, and the layout is as it was");

static int setting_comp(struct codecs *codecs, const char *name, int32_t level, char text[256],
			struct zcomp **out_comp)
{
	const struct zcomp_config config = {
		.name = name,
		.level = level,
		.unit = ZCOMP_MAX_UNIT,
		.nr_streams = SETTING_STREAMS,
	};

	return comp_create(codecs, &config, text, out_comp);
}

static int setting_make(struct codecs *codecs, unsigned setting, uint32_t maker, const char *name,
			int32_t level, char error_text[256])
{
	struct blkmap_setting *entry = entry_of(codecs, setting);
	struct zcomp *comp;
	int error = setting_comp(codecs, name, level, error_text, &comp);

	if (error)
		return error;
	if (setting_is_made(codecs, setting))
		codec_destroy(codecs, setting_codec(setting));
	entry_store(entry, name, level, maker);
	__atomic_store_n(&codecs->decoders[setting_codec(setting)], comp, __ATOMIC_RELEASE);
	return 0;
}

/* An entry that was only being made has no users: what its bytes say is of no consequence then. */
int settings_attach(struct codecs *codecs, char text[256])
{
	for (unsigned i = 0; i < BLKMAP_NR_SETTINGS; i++) {
		struct blkmap_setting *entry = &codecs->record->settings[i];
		unsigned codec = setting_codec(BLKMAP_SETTING_FIRST + i);
		int error;

		entry->name[sizeof(entry->name) - 1] = '\0';
		if (entry->name[0] == '\0' || !zcomp_find_ops(entry->name))
			continue;
		error = setting_comp(codecs, entry->name, entry->level, text,
				     &codecs->decoders[codec]);
		if (error == -ENOMEM || error == -ENOSPC)
			return error;
	}
	return 0;
}

int settings_probe(const struct blkmap_setting *settings, char text[256])
{
	char name[sizeof(settings->name)];

	for (unsigned i = 0; i < BLKMAP_NR_SETTINGS; i++) {
		memcpy(name, settings[i].name, sizeof(name));
		name[sizeof(name) - 1] = '\0';
		if (name[0] == '\0' || zcomp_find_ops(name))
			continue;
		snprintf(text, 256, "files have the algorithm %s, which this program has not", name);
		return -ENOENT;
	}
	return 0;
}

static bool setting_may_go(struct codecs *codecs, unsigned setting)
{
	return !setting_is_made(codecs, setting) || setting_is_unused(codecs, setting);
}

/* The entry of that name and level, or 0. settings_lock held. */
static unsigned setting_named(struct codecs *codecs, const char *name, int32_t level)
{
	for (unsigned i = 0; i < BLKMAP_NR_SETTINGS; i++) {
		const struct blkmap_setting *entry = &codecs->record->settings[i];

		if (setting_is_made(codecs, BLKMAP_SETTING_FIRST + i) &&
		    strcmp(entry->name, name) == 0 && entry->level == level)
			return BLKMAP_SETTING_FIRST + i;
	}
	return 0;
}

/* An entry for @maker to make. settings_lock held. 0, -EDQUOT, -ENOSPC. */
static int setting_free(struct codecs *codecs, uint32_t maker, char error_text[256],
			unsigned *out_setting)
{
	unsigned free_entry = 0, made = 0;

	for (unsigned i = 0; i < BLKMAP_NR_SETTINGS; i++) {
		unsigned setting = BLKMAP_SETTING_FIRST + i;

		if (!setting_may_go(codecs, setting))
			made += codecs->record->settings[i].maker == maker;
		else if (!free_entry)
			free_entry = setting;
	}
	if (maker != BLKMAP_ANY_MAKER && made >= BLKMAP_USER_SETTINGS) {
		snprintf(error_text, 256, "user %u has made %u settings that are in use", maker,
			 made);
		return -EDQUOT;
	}
	snprintf(error_text, 256, "the mount has %u settings already", BLKMAP_NR_SETTINGS);
	*out_setting = free_entry;
	return free_entry ? 0 : -ENOSPC;
}

int setting_find(struct codecs *codecs, uint32_t maker, const char *name, int32_t level,
		 char error_text[256], unsigned *out_setting)
{
	const struct zcomp_ops *ops = zcomp_find_ops(name);
	unsigned setting = BLKMAP_SETTING_FIRST;
	int error = 0;

	/* No modules: only the mounting user says what code the daemon loads. */
	if (!ops) {
		snprintf(error_text, 256, "compress=%.40s: no built-in algorithm", name);
		return -ENOENT;
	}
	if (level == ZCOMP_LEVEL_DEFAULT)
		level = ops->level_default;
	mutex_lock(&codecs->settings_lock);
	setting = setting_named(codecs, name, level);
	if (!setting) {
		error = setting_free(codecs, maker, error_text, &setting);
		if (!error)
			error = setting_make(codecs, setting, maker, name, level, error_text);
	}
	if (!error)
		setting_get(codecs->slots, setting);
	mutex_unlock(&codecs->settings_lock);
	if (!error)
		*out_setting = setting;
	return error;
}

void setting_tell(const struct codecs *codecs, unsigned setting, const char **out_name,
		  int32_t *out_level)
{
	*out_level = 0;
	if (setting == BLKMAP_SETTING_DEFAULT) {
		*out_name = "default";
	} else if (setting == BLKMAP_SETTING_NONE) {
		*out_name = "none";
	} else {
		*out_name = entry_of(codecs, setting)->name;
		*out_level = entry_of(codecs, setting)->level;
	}
}

int codec_default_set(struct codecs *codecs, const char *name, int32_t level)
{
	char error_text[256];
	unsigned setting = BLKMAP_SETTING_DEFAULT, bit;
	int error;

	if (strcmp(name, "none") == 0) {
		setting = BLKMAP_SETTING_NONE;
	} else if (strcmp(name, "default") != 0) {
		error = setting_find(codecs, BLKMAP_ANY_MAKER, name, level, error_text, &setting);
		if (error)
			return error;
		bit = 1u << (setting - BLKMAP_SETTING_FIRST);
		/* The first user of its kind stays. */
		if (atomic_fetch_or(&codecs->default_held, bit) & bit)
			setting_put(codecs->slots, setting);
	}
	atomic_store(&codecs->default_setting, setting);
	return 0;
}

void codec_default_tell(const struct codecs *codecs, struct blkmap_tuning *out_tuning)
{
	const unsigned setting = atomic_load(&codecs->default_setting);

	if (setting != BLKMAP_SETTING_DEFAULT) {
		setting_tell(codecs, setting, &out_tuning->compress, &out_tuning->level);
		return;
	}
	out_tuning->compress = zcomp_name(codecs->comp);
	out_tuning->level = zcomp_get_params(codecs->comp)->level;
}

/* An entry may become another while a name is looked at, but names of built-in algorithms stay. */
const char *setting_codec_name(struct codecs *codecs, unsigned codec)
{
	unsigned setting = BLKMAP_SETTING_FIRST + (codec - SLOT_CODEC_FILE);
	const struct zcomp_ops *ops;

	mutex_lock(&codecs->settings_lock);
	ops = setting_is_made(codecs, setting) ? zcomp_find_ops(entry_of(codecs, setting)->name)
					       : NULL;
	mutex_unlock(&codecs->settings_lock);
	return ops ? ops->name : "unknown";
}

bool setting_compress(struct codecs *codecs, unsigned setting, struct zcomp_strm *strm,
		      const void *src, uint32_t len, size_t *out_len)
{
	struct zcomp *comp;
	struct zcomp_strm *own;
	bool fits;

	if (setting == BLKMAP_SETTING_NONE)
		return false;
	comp = __atomic_load_n(&codecs->decoders[setting_codec(setting)], __ATOMIC_ACQUIRE);
	own = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	fits = zcomp_compress(comp, own, src, len, encode_cap(len), out_len) == 0;
	if (fits)
		memcpy(strm->buffer, own->buffer, *out_len);
	zcomp_stream_put(comp, own);
	return fits;
}
