/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * read.h - reading a range, whole or in pieces by several threads.
 */
#ifndef ZT_BLKMAP_CONTENT_READ_H
#define ZT_BLKMAP_CONTENT_READ_H

#include "blkmap/content/content.h"

/* Bytes [off, off + len) with @strm; file held. 0 or -errno. */
int read_range(struct content *content, const struct blkmap_file *file, struct zcomp_strm *strm,
	       uint64_t off, void *buf, size_t len) ZT_MUST_CHECK;

bool read_is_large(size_t len);

/* read_large() - as read_range(), side by side where CPUs are free; takes streams by itself */
int read_large(struct content *content, const struct blkmap_file *file, uint64_t off, void *buf,
	       size_t len) ZT_MUST_CHECK;

#endif
