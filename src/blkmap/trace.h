/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trace.h - the compression requests of a block map, recorded for somebody who fetches them.
 *
 * Context of all: any thread that holds nothing. What the bytes are: util/trace.h.
 */
#ifndef ZT_BLKMAP_TRACE_H
#define ZT_BLKMAP_TRACE_H

#include "blkmap/blkmap.h"
#include "util/trace.h"

/**
 * blkmap_trace_start() - record from now on
 * @contents: with the bytes, which are everybody's
 * @out_id: to be said in the calls below
 * Return: 0; -EBUSY somebody traces already; -ENOSPC no space below the limit on memory; -ENOMEM.
 */
int blkmap_trace_start(struct blkmap *map, bool contents, uint64_t *out_id) ZT_MUST_CHECK;

/**
 * blkmap_trace_fetch() - the oldest bytes, at most @space
 * When it was stopped and nothing is left, it is over, and the memory is given back.
 * Return: 0; -ESRCH no such trace.
 */
int blkmap_trace_fetch(struct blkmap *map, uint64_t id, char *buf, size_t space,
		       struct trace_answer *out) ZT_MUST_CHECK;

/** blkmap_trace_stop() - record nothing more; what was recorded can be fetched */
void blkmap_trace_stop(struct blkmap *map, uint64_t id);

#endif
