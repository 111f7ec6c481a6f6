// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reread.c - objects that large reads come back to although they were recompressed.
 *
 * Recompression takes what lies idle for what nobody reads. Where that was wrong each read pays for
 * it: zstd decodes at a third of LZ4's speed. One read proves nothing: a backup comes by once. A
 * second one within the half minute that heat (slot/heat.h) lasts does, and has got past the kernel's
 * cache. Then the object is noted here, and upkeep stores it as it was written (upkeep/restore.c).
 *
 * No locks. Notes are hints: one may be lost, come twice, or name what is there no more.
 */
#include "blkmap/content/reread.h"

#include <errno.h>

#include "blkmap/slot/heat.h"
#include "util/alloc.h"

int rereads_init(struct rereads *rereads)
{
	rereads->refs = zt_map(REREADS_BYTES);
	return rereads->refs ? 0 : -ENOMEM;
}

void rereads_exit(struct rereads *rereads)
{
	zt_unmap(rereads->refs, REREADS_BYTES);
	rereads->refs = NULL;
}

void rereads_note(struct rereads *rereads, struct slots *slots, uint64_t place, ref_t ref)
{
	uint32_t nr;

	if (heat_add(slots, place, HEAT_WHOLE) <= HEAT_WHOLE)
		return;
	nr = atomic_load_explicit(&rereads->nr, memory_order_relaxed);
	/* Looked at first, so that the number does not wrap. */
	if (nr < REREADS_MAX)
		nr = atomic_fetch_add_explicit(&rereads->nr, 1, memory_order_relaxed);
	if (nr < REREADS_MAX)
		__atomic_store_n(&rereads->refs[nr], ref, __ATOMIC_RELAXED);
}

bool rereads_are_there(const struct rereads *rereads)
{
	return atomic_load_explicit(&rereads->nr, memory_order_relaxed) > 0;
}

ref_t rereads_take(struct rereads *rereads, uint32_t *inout_at)
{
	const uint32_t nr = atomic_load_explicit(&rereads->nr, memory_order_relaxed);

	while (*inout_at < min_u64(nr, REREADS_MAX)) {
		const ref_t ref =
			__atomic_exchange_n(&rereads->refs[(*inout_at)++], 0, __ATOMIC_RELAXED);

		if (ref)
			return ref;
	}
	/* One that is noted just now is lost, or found the next time. */
	zt_map_drop(rereads->refs, REREADS_BYTES);
	atomic_store_explicit(&rereads->nr, 0, memory_order_relaxed);
	*inout_at = 0;
	return 0;
}
