// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * batch_limits.c - how much may be with the accelerator: whether a write goes there at all, its
 * window, and the bytes of all writes. No locks: the counters are atomics that order nothing.
 */
#include "blkmap/content/batch_limits.h"

#include "blkmap/content/batch.h"
#include "blkmap/content/content.h"
#include "blkmap/slot/account.h"

/* More clusters than this are written in the caller's thread; a request of 1 MiB has no more. */
#define BATCH_MAX_CLUSTERS 256u

/* Below 16 KiB a queue costs as much as the compression: see contrib/bench/accel-auto. */
#define BATCH_AUTO_ORDER 2u

/* Bytes that must be left below a limit, so that a batch need not find out in the middle. */
#define BATCH_HEADROOM (4 * MIB)

bool batch_inflight_add(struct content *content, uint64_t bytes)
{
	uint64_t now =
		atomic_fetch_add_explicit(&content->batches.inflight, bytes, memory_order_relaxed) +
		bytes;
	uint64_t max = atomic_load_explicit(&content->batches.inflight_max, memory_order_relaxed);

	if (now > content->batches.inflight_limit) {
		atomic_fetch_sub_explicit(&content->batches.inflight, bytes, memory_order_relaxed);
		atomic_fetch_add_explicit(&content->batches.fallback_inflight, 1,
					  memory_order_relaxed);
		return false;
	}
	while (now > max &&
	       !atomic_compare_exchange_weak_explicit(&content->batches.inflight_max, &max, now,
						      memory_order_relaxed, memory_order_relaxed))
		;
	return true;
}

void batch_inflight_sub(struct content *content, uint64_t bytes)
{
	atomic_fetch_sub_explicit(&content->batches.inflight, bytes, memory_order_relaxed);
}

void batch_window_adapt(struct content *content, bool ran_dry, unsigned nr_cancelled)
{
	unsigned window = atomic_load_explicit(&content->batches.window, memory_order_relaxed);

	if (ran_dry && window < BATCH_MAX_CLUSTERS)
		window *= 2;
	else if (nr_cancelled > content->batches.window_min && window > content->batches.window_min)
		window /= 2;
	else
		return;
	atomic_store_explicit(&content->batches.window, window, memory_order_relaxed);
}

bool batch_pays(const struct content *content, unsigned order, uint64_t nr,
		enum zstrm_pref pref)
{
	if (nr == 0 || nr > BATCH_MAX_CLUSTERS)
		return false;
	if (content->accel == BLKMAP_ACCEL_ON)
		return nr > 1 || pref == ZSTRM_PREFER_MGMT;
	return nr > 1 && order >= BATCH_AUTO_ORDER &&
	       atomic_load_explicit(&content->active_writes, memory_order_relaxed) <=
		       content->nr_cpus - 1;
}

/* Near a limit clusters are stored in their order, so that as much as possible is. */
bool batch_is_near_limit(const struct content *content, size_t len)
{
	uint64_t bytes = len + BATCH_HEADROOM +
			 atomic_load_explicit(&content->batches.inflight, memory_order_relaxed);
	struct arena_stat arena;

	if (bytes >> ZT_PAGE_SHIFT > pages_left(content->slots))
		return true;
	arena_get_stat(content->slots->arena, &arena);
	return arena.limit && arena.used + bytes > arena.limit;
}
