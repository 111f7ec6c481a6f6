/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restore.h - what was recompressed and is read again and again is stored as it was written.
 *
 * Context of all: recomp.pass_lock held.
 */
#ifndef ZT_BLKMAP_UPKEEP_RESTORE_H
#define ZT_BLKMAP_UPKEEP_RESTORE_H

#include "blkmap/upkeep/recompress.h"

/* Where going through what readers have noted has come to; zero at first. */
struct recomp_restore {
	uint32_t at;
	ref_t next; /* taken, and not done yet; 0: none */
};

/*
 * restore_begin() - with a compressor of the mount's own algorithm. 0, or there is none
 * restore_step() - one batch: take, compress, publish. False: all are done
 */
int restore_begin(struct recompressor *rc) ZT_MUST_CHECK;
bool restore_step(struct recompressor *rc, struct recomp_restore *restore);
void restore_end(struct recompressor *rc);

#endif
