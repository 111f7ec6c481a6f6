/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * batch.h - the whole clusters of one write, side by side: what write.c has of batch.c, and the other
 * way round.
 */
#ifndef ZT_BLKMAP_CONTENT_BATCH_H
#define ZT_BLKMAP_CONTENT_BATCH_H

#include "blkmap/content/content.h"

/*
 * Most bytes with the accelerator: what its default queue of 256 holds of default clusters. Engines
 * of 500 MB/s work on that for 30 ms; more would only be memory that holds bytes twice.
 */
#define INFLIGHT_LIMIT (16 * MIB)

/*
 * batch_write() - as blkmap_write_async(); false: it does not pay, nothing has happened
 * No stream held.
 */
bool batch_write(struct content *content, const struct blkmap_file *file,
		 const struct blkmap_bytes *bytes,
		 const struct blkmap_write_end *end) ZT_MUST_CHECK;

/* Whether a write of @len bytes is near a limit, where clusters are stored in their order. */
bool batch_is_near_limit(const struct content *content, size_t len);

/* A part of one cluster; stream held. */
int write_part(struct content *content, const struct blkmap_file *file, struct zcomp_strm *strm,
	       uint64_t off, const char *src, uint32_t len) ZT_MUST_CHECK;

#endif
