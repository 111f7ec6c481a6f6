/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reread.h - objects that large reads come back to although they were recompressed.
 */
#ifndef ZT_BLKMAP_CONTENT_REREAD_H
#define ZT_BLKMAP_CONTENT_REREAD_H

#include "blkmap/slot/slots.h"

/* 1 GiB in clusters of 64 KiB. What comes beyond that is noted when it is read again. */
#define REREADS_MAX   16384u
#define REREADS_BYTES (REREADS_MAX * sizeof(ref_t))

/* One per mount that recompresses, of its content. */
struct rereads {
	ref_t *refs; /* REREADS_MAX, 0: none; relaxed; NULL: nothing is noted */
	atomic_uint nr; /* noted since they were taken, and more than fit; relaxed */
};

/*
 * rereads_init() - before there are reads; *@rereads is zero. 0 or -ENOMEM
 * rereads_exit() - when there are none any more; also without rereads_init()
 */
int rereads_init(struct rereads *rereads) ZT_MUST_CHECK;
void rereads_exit(struct rereads *rereads);

/*
 * rereads_note() - the recompressed object @ref, whose slot is at @place, was read in large pieces
 * Context: any thread, no lock needed.
 */
void rereads_note(struct rereads *rereads, struct slots *slots, uint64_t place, ref_t ref);

bool rereads_are_there(const struct rereads *rereads);

/*
 * rereads_take() - one after the other, from *@inout_at on, which is 0 at first
 * Context: one thread at a time. Return: 0 at the end, and all are forgotten.
 */
ref_t rereads_take(struct rereads *rereads, uint32_t *inout_at);

#endif
