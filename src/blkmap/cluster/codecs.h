/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * codecs.h - the mount's compressor, and a decoder for each codec number.
 *
 * Locks: a stream of another codec than main is innermost; see codecs.c.
 */
#ifndef ZT_BLKMAP_CLUSTER_CODECS_H
#define ZT_BLKMAP_CLUSTER_CODECS_H

#include "blkmap/slot/slots.h"
#include "util/trace.h"
#include "zcomp/zcomp.h"

/* Files of which is remembered that they do not compress; a power of two. */
#define HUGE_PROOFS 1024u

/* One per mount, owned by its block map. */
struct codecs {
	struct slots *slots; /* not owned; immutable */
	struct zcomp *comp; /* main: compress=; immutable */
	struct blkmap_unread unread; /* immutable; no compress: contents are read */
	/*
	 * By codec number; NULL where none is needed or the codec is main. Stored with release before
	 * the first word with the number is published; a slot lock orders the rest.
	 */
	struct zcomp *decoders[SLOT_NR_CODECS];
	/* Of files without a setting of their own, and entries that were: see codec_default_set(). */
	atomic_uint default_setting; /* relaxed: entries stay */
	atomic_uint default_held; /* bit i: entry i has a user more; changed under settings_lock */
	/* dicts: written by recompression alone; settings: guarded by settings_lock */
	struct blkmap_record *record;
	struct blkmap_record own_record; /* when the caller keeps none */
	struct mutex redo_lock; /* record->redo and the arena's scratch pages; see content/redo.h */
	struct mutex settings_lock; /* while an entry of record->settings is made or ends */
	/* Files that have not compressed lately: huge.c. Relaxed; a hint. */
	atomic_uint huge_proofs[HUGE_PROOFS];
	atomic_uint_fast64_t huge_pages_skipped; /* relaxed */
	struct trace trace; /* of compression requests; see traced.h */
};

/*
 * codecs_init() - with the main compressor
 * @config: of that; it is asked for before anything else is set
 * @error_text: out on error
 * codecs_exit() - when no object is left that anybody reads
 */
int codecs_init(struct codecs *codecs, struct slots *slots, const struct blkmap_params *params,
		const struct zcomp_config *config, char error_text[256]) ZT_MUST_CHECK;
void codecs_exit(struct codecs *codecs);

/* codecs_unread() - whether nobody reads contents, so that there are no decoders */
static inline bool codecs_unread(const struct codecs *codecs)
{
	return codecs->unread.compress[0] != '\0';
}

void codecs_get_stat(const struct codecs *codecs, struct blkmap_stat *out_stat);

/* codec_create() - set up the decoder of a codec number; a dictionary stays with the caller */
int codec_create(struct codecs *codecs, unsigned codec, const struct zcomp_config *config,
		 char error_text[256]) ZT_MUST_CHECK;

/*
 * comp_create() - zcomp_create(), with what it takes counted against the limit on memory
 * comp_destroy() - the contrary; NULL is allowed
 */
int comp_create(struct codecs *codecs, const struct zcomp_config *config, char error_text[256],
		struct zcomp **out_comp) ZT_MUST_CHECK;
void comp_destroy(struct codecs *codecs, struct zcomp *comp);

/* codec_destroy() - when no slot has the number any more, and nobody publishes one */
void codec_destroy(struct codecs *codecs, unsigned codec);

/* What is to be decoded: see zcomp_decompress_head(). */
struct decoding {
	const void *src;
	size_t src_len;
	void *dst;
	size_t dst_cap;
	size_t want; /* bytes from the front; a codec that cannot stop there decodes all */
};

/*
 * codec_decompress() - what zcomp_decompress_head() says, by the decoder of @codec (not a raw one)
 * @strm: the caller's stream of codecs->comp. Others are taken here, innermost, for this call alone.
 */
int codec_decompress(struct codecs *codecs, unsigned codec, struct zcomp_strm *strm,
		     const struct decoding *what, size_t *out_len) ZT_MUST_CHECK;

/* codec_name() - the algorithm behind a codec number; see blkmap_codec_name() */
const char *codec_name(struct codecs *codecs, unsigned codec);

#endif
