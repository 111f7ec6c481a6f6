/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * settings.h - how single files want to be compressed: entries of a table of the mount.
 *
 * The functions of blkmap.h with these names say what they do.
 */
#ifndef ZT_BLKMAP_CLUSTER_SETTINGS_H
#define ZT_BLKMAP_CLUSTER_SETTINGS_H

#include "blkmap/cluster/codecs.h"

/* The codec number of what is written with a setting that is neither default nor none. */
static inline unsigned setting_codec(unsigned setting)
{
	return SLOT_CODEC_FILE + (setting - BLKMAP_SETTING_FIRST);
}
static_assert(BLKMAP_NR_SETTINGS == SLOT_CODEC_NR_FILE, "each setting has a codec number");

/* The algorithm behind the codec number of a setting. No lock but settings_lock's own. */
const char *setting_codec_name(struct codecs *codecs, unsigned codec);

/*
 * setting_compress() - into @strm's buffer, by another setting than the default
 * @strm: the caller's stream of codecs->comp; the setting's own is taken here, for this call alone
 * False: it does not fit encode_cap(), or is not to be compressed.
 */
bool setting_compress(struct codecs *codecs, unsigned setting, struct zcomp_strm *strm,
		      const void *src, uint32_t len, size_t *out_len);

/*
 * settings_attach() - the codecs of entries that another process made. 0, or an error and its sentence.
 */
int settings_attach(struct codecs *codecs, char text[256]) ZT_MUST_CHECK;

/* settings_probe() - whether there is a codec for each of a table's names. 0, or -ENOENT and its sentence. */
int settings_probe(const struct blkmap_setting *settings, char text[256]) ZT_MUST_CHECK;
int setting_find(struct codecs *codecs, uint32_t maker, const char *name, int32_t level,
		 char error_text[256], unsigned *out_setting) ZT_MUST_CHECK;
void setting_tell(const struct codecs *codecs, unsigned setting, const char **out_name,
		  int32_t *out_level);
bool setting_is_known(const struct codecs *codecs, unsigned setting);
int check_settings(const struct codecs *codecs,
		   const uint64_t users[BLKMAP_NR_SETTINGS]) ZT_MUST_CHECK;

/* The setting that @file is written with now. */
static inline unsigned setting_now(const struct codecs *codecs, const struct blkmap_file *file)
{
	return file->setting != BLKMAP_SETTING_DEFAULT
		       ? file->setting
		       : atomic_load_explicit(&codecs->default_setting, memory_order_relaxed);
}

/*
 * codec_default_set() - see blkmap_set_compress(). Entries of the table that were named are never given
 * back, since a write may be under way with them.
 * codec_default_tell() - its name and level
 */
int codec_default_set(struct codecs *codecs, const char *name, int32_t level) ZT_MUST_CHECK;
void codec_default_tell(const struct codecs *codecs, struct blkmap_tuning *out_tuning);

#endif
