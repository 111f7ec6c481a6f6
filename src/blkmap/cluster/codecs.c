// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * codecs.c - the table of codec numbers, and when objects were last used.
 *
 * Locks: a stream of another codec than main is innermost: taken under a slot lock or none, held
 * for one call, and nothing is taken under it. So readers that hold a main stream and a slot lock
 * may wait for one.
 */
#include <errno.h>
#include <stdio.h>

#include "blkmap/blkmap_i.h"
#include "util/alloc.h"

static struct zcomp *codec_comp(const struct blkmap *map, unsigned codec)
{
	return __atomic_load_n(&map->codecs[codec], __ATOMIC_ACQUIRE);
}

int codecs_init(struct blkmap *map, const struct blkmap_params *params)
{
	if (!params->recompress)
		return 0;
	map->nr_ages = arena_pages(map->arena);
	map->ages = zt_map(map->nr_ages);
	return map->ages ? 0 : -ENOMEM;
}

void codecs_exit(struct blkmap *map)
{
	for (unsigned codec = 0; codec < SLOT_NR_CODECS; codec++)
		comp_destroy(map, map->codecs[codec]);
	zt_unmap(map->ages, map->nr_ages);
}

const char *blkmap_recompress_name(const struct blkmap *map)
{
	return map->codecs[SLOT_CODEC_IDLE] ? zcomp_name(map->codecs[SLOT_CODEC_IDLE]) : NULL;
}

const char *blkmap_codec_name(struct blkmap *map, unsigned codec)
{
	switch (codec) {
	case SLOT_CODEC_RAW:
	case SLOT_CODEC_RAW_KEPT:
		return "none";
	case SLOT_CODEC_MAIN:
	case SLOT_CODEC_MAIN_KEPT:
		return zcomp_name(map->comp);
	case SLOT_CODEC_FILE ... SLOT_CODEC_FILE + SLOT_CODEC_NR_FILE - 1:
		return setting_codec_name(map, codec);
	default:
		/* Dictionaries come and go; their algorithm stays. */
		if (codec >= SLOT_CODEC_DICT)
			codec = SLOT_CODEC_IDLE;
		return codec_comp(map, codec) ? zcomp_name(codec_comp(map, codec)) : "unknown";
	}
}

int comp_create(struct blkmap *map, const struct zcomp_config *config, char error_text[256],
		struct zcomp **out_comp)
{
	struct zcomp *comp;
	int error = zcomp_create(config, error_text, &comp);

	if (error)
		return error;
	error = arena_set_aside(map->arena, zcomp_memory(comp));
	if (error) {
		snprintf(error_text, 256, "mem_limit=: no room for the streams of %s, %llu KiB",
			 zcomp_name(comp), (unsigned long long)(zcomp_memory(comp) / KIB));
		zcomp_destroy(comp);
		return error;
	}
	*out_comp = comp;
	return 0;
}

void comp_destroy(struct blkmap *map, struct zcomp *comp)
{
	if (!comp)
		return;
	arena_unset_aside(map->arena, zcomp_memory(comp));
	zcomp_destroy(comp);
}

int codec_create(struct blkmap *map, unsigned codec, const char *name, int32_t level,
		 const void *dict, size_t dict_size, char error_text[256])
{
	struct zcomp_config config = {
		.name = name,
		.level = level,
		.unit = ZCOMP_MAX_UNIT,
		.dict = dict,
		.dict_size = dict_size,
		.decode_only = true,
	};
	struct zcomp *comp;
	int error = comp_create(map, &config, error_text, &comp);

	if (!error)
		__atomic_store_n(&map->codecs[codec], comp, __ATOMIC_RELEASE);
	return error;
}

void codec_destroy(struct blkmap *map, unsigned codec)
{
	comp_destroy(map, __atomic_exchange_n(&map->codecs[codec], NULL, __ATOMIC_ACQ_REL));
}

int codec_decompress(struct blkmap *map, unsigned codec, struct zcomp_strm *strm, const void *src,
		     size_t src_len, void *dst, size_t dst_cap, size_t want, size_t *out_len)
{
	struct zcomp *comp;
	int error;

	if (codec == SLOT_CODEC_MAIN || codec == SLOT_CODEC_MAIN_KEPT)
		return zcomp_decompress_head(map->comp, strm, src, src_len, dst, dst_cap, want,
					     out_len);
	comp = codec_comp(map, codec);
	if (!comp)
		return -EIO;
	strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	error = zcomp_decompress_head(comp, strm, src, src_len, dst, dst_cap, want, out_len);
	zcomp_stream_put(comp, strm);
	return error;
}

/* ---- ages ---- */

unsigned age_of(const struct blkmap *map, ref_t ref)
{
	uint8_t tick = (uint8_t)atomic_load_explicit(&map->age_now, memory_order_relaxed);
	uint8_t age = __atomic_load_n(&map->ages[ref / ARENA_PAGE_REFS], __ATOMIC_RELAXED);

	return (uint8_t)(tick - age);
}

void age_move(struct blkmap *map, ref_t from, ref_t to)
{
	if (!map->ages || age_of(map, from) >= age_of(map, to))
		return;
	__atomic_store_n(&map->ages[to / ARENA_PAGE_REFS],
			 __atomic_load_n(&map->ages[from / ARENA_PAGE_REFS], __ATOMIC_RELAXED),
			 __ATOMIC_RELAXED);
}
