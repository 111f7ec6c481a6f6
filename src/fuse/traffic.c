// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * traffic.c - how many requests were served, and bytes of contents that they moved. See traffic.h.
 *
 * On the data path: one atomic addition for a request, and one for a read or write, to a line that
 * only this CPU's threads write to. Locks: none.
 */
#include "fuse/traffic.h"

#include <sched.h>

void traffic_init(struct ztfuse_traffic *traffic)
{
	for (unsigned i = 0; i < TRAFFIC_SHARDS; i++) {
		atomic_init(&traffic->shards[i].requests, 0);
		atomic_init(&traffic->shards[i].bytes_read, 0);
		atomic_init(&traffic->shards[i].bytes_written, 0);
	}
}

static struct traffic_shard *shard(struct ztfuse_traffic *traffic)
{
	/* Where the C library does not know it asks the kernel; any shard is right. */
	return &traffic->shards[(unsigned)sched_getcpu() % TRAFFIC_SHARDS];
}

void traffic_request(struct ztfuse_traffic *traffic)
{
	atomic_fetch_add_explicit(&shard(traffic)->requests, 1, memory_order_relaxed);
}

void traffic_read(struct ztfuse_traffic *traffic, uint64_t len)
{
	atomic_fetch_add_explicit(&shard(traffic)->bytes_read, len, memory_order_relaxed);
}

void traffic_written(struct ztfuse_traffic *traffic, uint64_t len)
{
	atomic_fetch_add_explicit(&shard(traffic)->bytes_written, len, memory_order_relaxed);
}

void traffic_get(const struct ztfuse_traffic *traffic, struct ztmpfs_stat *stat)
{
	stat->requests = stat->bytes_read = stat->bytes_written = 0;
	for (unsigned i = 0; i < TRAFFIC_SHARDS; i++) {
		const struct traffic_shard *one = &traffic->shards[i];

		stat->requests += atomic_load_explicit(&one->requests, memory_order_relaxed);
		stat->bytes_read += atomic_load_explicit(&one->bytes_read, memory_order_relaxed);
		stat->bytes_written +=
			atomic_load_explicit(&one->bytes_written, memory_order_relaxed);
	}
}
