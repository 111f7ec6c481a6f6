// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace.c - the compression requests of a block map, recorded for somebody who fetches them. No locks.
 */
#include "blkmap/trace.h"

#include "blkmap/cluster/traced.h"
#include "blkmap/parts.h"

int blkmap_trace_start(struct blkmap *map, bool contents, uint64_t *out_id)
{
	return codecs_trace_start(&map->codecs, contents, out_id);
}

int blkmap_trace_fetch(struct blkmap *map, uint64_t id, char *buf, size_t space,
		       struct trace_answer *out)
{
	int error = trace_fetch(&map->codecs.trace, id, buf, space, out);

	if (!error && out->over)
		codecs_trace_end(&map->codecs, id);
	return error;
}

void blkmap_trace_stop(struct blkmap *map, uint64_t id)
{
	trace_stop(&map->codecs.trace, id);
}
