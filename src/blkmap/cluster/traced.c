// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * traced.c - what a mount records of its compression requests while somebody traces it.
 *
 * Locks: none here. arena.lock, for the ring's bytes, is never taken under trace.lock.
 */
#include <errno.h>

#include "blkmap/cluster/traced.h"
#include "util/alloc.h"

static void ring_free(struct codecs *codecs, struct trace_ring ring)
{
	if (!ring.bytes)
		return;
	zt_unmap(ring.bytes, ring.size);
	arena_unset_aside(codecs->slots->arena, ring.size);
}

void codecs_traced(struct codecs *codecs, const struct traced *what, const struct source *src,
		   const struct encoded *enc)
{
	struct trace_record record;
	uint64_t gone;

	if (src->len == 0) /* a hole: nothing was asked of anybody */
		return;
	record = trace_note(what->kind, src->len, what->kind == TRACE_SAME ? 0 : enc->len);
	record.flags = what->managed ? TRACE_MANAGED : 0;
	gone = trace_add(&codecs->trace, what->begun, &record, src->data);
	if (gone)
		codecs_trace_end(codecs, gone);
}

int codecs_trace_start(struct codecs *codecs, bool contents, uint64_t *out_id)
{
	struct trace_ring ring = { .size = contents ? TRACED_BYTES_CONTENTS : TRACED_BYTES }, old;
	int error = arena_set_aside(codecs->slots->arena, ring.size);

	if (error)
		return error;
	ring.bytes = zt_map(ring.size);
	error = ring.bytes ? trace_start(&codecs->trace, ring, contents, &old, out_id) : -ENOMEM;
	if (!error) {
		ring_free(codecs, old);
		return 0;
	}
	zt_unmap(ring.bytes, ring.size);
	arena_unset_aside(codecs->slots->arena, ring.size);
	return error;
}

void codecs_trace_end(struct codecs *codecs, uint64_t id)
{
	ring_free(codecs, trace_end(&codecs->trace, id));
}
