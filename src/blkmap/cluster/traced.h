/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * traced.h - what a mount records of its compression requests while somebody traces it.
 *
 * A request is one call of encode(), or one cluster that engines are given. What the mount compresses
 * by itself, in recompression, is none.
 */
#ifndef ZT_BLKMAP_CLUSTER_TRACED_H
#define ZT_BLKMAP_CLUSTER_TRACED_H

#include "blkmap/cluster/cluster.h"

/* Bytes of the ring without contents and with them. */
#define TRACED_BYTES          (1 * MIB)
#define TRACED_BYTES_CONTENTS (16 * MIB)

/* A request that has ended. */
struct traced {
	uint64_t begun; /* trace_begin() when it came; not 0 */
	enum trace_kind kind;
	bool managed; /* by a managed stream */
};

/**
 * codecs_traced() - record it
 * @src: still readable
 * Context: any thread, no innermost lock held; a stream or a slot lock may be.
 */
void codecs_traced(struct codecs *codecs, const struct traced *what, const struct source *src,
		   const struct encoded *enc);

/**
 * codecs_trace_start() - record from now on; the ring counts against the limit on memory
 * Return: 0; -EBUSY somebody traces already; -ENOSPC, -ENOMEM.
 */
int codecs_trace_start(struct codecs *codecs, bool contents, uint64_t *out_id) ZT_MUST_CHECK;

/** codecs_trace_end() - no more of it. @id: of the trace; 0: whichever there is */
void codecs_trace_end(struct codecs *codecs, uint64_t id);

#endif
