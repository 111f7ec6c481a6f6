/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * traffic.h - how many requests were served, and bytes of contents that they moved.
 *
 * What the kernel serves out of its own pages is no request. Locks: none.
 */
#ifndef ZT_FUSE_TRAFFIC_H
#define ZT_FUSE_TRAFFIC_H

#include <stdatomic.h>
#include <stdint.h>

#include "ztmpfs/control.h"

/* A power of two: threads of different CPUs should not share a line of the cache. */
#define TRAFFIC_SHARDS 16u
#define TRAFFIC_LINE   64u

struct traffic_shard {
	atomic_uint_fast64_t requests, bytes_read, bytes_written; /* relaxed: sums for people */
	char away[TRAFFIC_LINE - 3 * sizeof(atomic_uint_fast64_t)]; /* from the next one */
};

/* One per session. */
struct ztfuse_traffic {
	struct traffic_shard shards[TRAFFIC_SHARDS];
};

/** traffic_init() - nothing yet; before there are threads */
void traffic_init(struct ztfuse_traffic *traffic);

/** traffic_request() - one has been served, or is held. Any thread. */
void traffic_request(struct ztfuse_traffic *traffic);

/** traffic_read() - @len bytes have gone to the kernel. Any thread. */
void traffic_read(struct ztfuse_traffic *traffic, uint64_t len);

/** traffic_written() - @len bytes have come from it, and were stored. Any thread. */
void traffic_written(struct ztfuse_traffic *traffic, uint64_t len);

/** traffic_get() - fill requests, bytes_read and bytes_written */
void traffic_get(const struct ztfuse_traffic *traffic, struct ztmpfs_stat *stat);

#endif
