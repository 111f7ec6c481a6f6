// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * codecs.c - the table of codec numbers, and the decoder of each.
 *
 * Locks: a stream of another codec than main is innermost: taken under a slot lock or none, held
 * for one call, and nothing is taken under it. So readers that hold a main stream and a slot lock
 * may wait for one.
 */
#include <errno.h>
#include <stdio.h>

#include "blkmap/cluster/codecs.h"
#include "blkmap/cluster/settings.h"
#include "blkmap/cluster/traced.h"
#include "util/alloc.h"

static struct zcomp *codec_comp(const struct codecs *codecs, unsigned codec)
{
	return __atomic_load_n(&codecs->decoders[codec], __ATOMIC_ACQUIRE);
}

int codecs_init(struct codecs *codecs, struct slots *slots, const struct blkmap_params *params,
		const struct zcomp_config *config, char error_text[256])
{
	int error;

	codecs->slots = slots;
	codecs->record = params->record ? params->record : &codecs->own_record;
	if (params->unread)
		codecs->unread = *params->unread;
	error = comp_create(codecs, config, error_text, &codecs->comp);
	if (error)
		return error;
	mutex_init(&codecs->settings_lock, ZT_RANK_SETTINGS);
	mutex_init(&codecs->redo_lock, ZT_RANK_REDO);
	trace_init(&codecs->trace);
	return 0;
}

void codecs_exit(struct codecs *codecs)
{
	/* Those with dictionaries use the streams of the one without. */
	for (unsigned codec = SLOT_NR_CODECS; codec-- > 0;)
		comp_destroy(codecs, codecs->decoders[codec]);
	comp_destroy(codecs, codecs->comp);
	codecs_trace_end(codecs, 0);
	trace_exit(&codecs->trace);
	mutex_exit(&codecs->redo_lock);
	mutex_exit(&codecs->settings_lock);
}

void codecs_get_stat(const struct codecs *codecs, struct blkmap_stat *out_stat)
{
	out_stat->huge_pages_skipped =
		atomic_load_explicit(&codecs->huge_pages_skipped, memory_order_relaxed);
}

/* What the mount called it. */
static const char *unread_name(const struct codecs *codecs, unsigned codec)
{
	const struct blkmap_unread *unread = &codecs->unread;

	if (codec == SLOT_CODEC_MAIN || codec == SLOT_CODEC_MAIN_KEPT)
		return unread->compress;
	return unread->recompress[0] != '\0' ? unread->recompress : "unknown";
}

static const char *name_of(const struct codecs *codecs, unsigned codec)
{
	if (codecs_unread(codecs))
		return unread_name(codecs, codec);
	if (codec == SLOT_CODEC_MAIN || codec == SLOT_CODEC_MAIN_KEPT)
		return zcomp_name(codecs->comp);
	/* Dictionaries come and go; their algorithm stays. */
	if (codec >= SLOT_CODEC_DICT)
		codec = SLOT_CODEC_IDLE;
	return codec_comp(codecs, codec) ? zcomp_name(codec_comp(codecs, codec)) : "unknown";
}

const char *codec_name(struct codecs *codecs, unsigned codec)
{
	switch (codec) {
	case SLOT_CODEC_RAW:
	case SLOT_CODEC_RAW_KEPT:
		return "none";
	case SLOT_CODEC_FILE ... SLOT_CODEC_FILE + SLOT_CODEC_NR_FILE - 1:
		return setting_codec_name(codecs, codec);
	default:
		return name_of(codecs, codec);
	}
}

int comp_create(struct codecs *codecs, const struct zcomp_config *config, char error_text[256],
		struct zcomp **out_comp)
{
	struct zcomp *comp;
	int error = zcomp_create(config, error_text, &comp);

	if (error)
		return error;
	error = arena_set_aside(codecs->slots->arena, zcomp_memory(comp));
	if (error) {
		snprintf(error_text, 256, "mem_limit=: no space for the streams of %s, %llu KiB",
			 zcomp_name(comp), (unsigned long long)(zcomp_memory(comp) / KIB));
		zcomp_destroy(comp);
		return error;
	}
	*out_comp = comp;
	return 0;
}

void comp_destroy(struct codecs *codecs, struct zcomp *comp)
{
	if (!comp)
		return;
	arena_unset_aside(codecs->slots->arena, zcomp_memory(comp));
	zcomp_destroy(comp);
}

int codec_create(struct codecs *codecs, unsigned codec, const struct zcomp_config *config,
		 char error_text[256])
{
	struct zcomp *comp;
	int error = comp_create(codecs, config, error_text, &comp);

	if (!error)
		__atomic_store_n(&codecs->decoders[codec], comp, __ATOMIC_RELEASE);
	return error;
}

void codec_destroy(struct codecs *codecs, unsigned codec)
{
	comp_destroy(codecs, __atomic_exchange_n(&codecs->decoders[codec], NULL, __ATOMIC_ACQ_REL));
}

int codec_decompress(struct codecs *codecs, unsigned codec, struct zcomp_strm *strm,
		     const struct decoding *what, size_t *out_len)
{
	struct zcomp *comp;
	int error;

	if (codec == SLOT_CODEC_MAIN || codec == SLOT_CODEC_MAIN_KEPT)
		return zcomp_decompress_head(codecs->comp, strm, what->src, what->src_len,
					     what->dst, what->dst_cap, what->want, out_len);
	comp = codec_comp(codecs, codec);
	if (!comp)
		return -EIO;
	strm = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	error = zcomp_decompress_head(comp, strm, what->src, what->src_len, what->dst,
				      what->dst_cap, what->want, out_len);
	zcomp_stream_put(comp, strm);
	return error;
}
