// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * interrupt.c - which request is no longer wanted. See interrupt.h.
 */
#include "fuse/channel/interrupt.h"

bool interrupt_came_first(struct interrupts *interrupts, uint64_t unique)
{
	for (unsigned i = 0; i < NR_EARLY; i++) {
		uint64_t expected = unique;

		if (atomic_load(&interrupts->early[i]) == unique &&
		    atomic_compare_exchange_strong(&interrupts->early[i], &expected, 0))
			return true;
	}
	return false;
}

bool interrupt_note(struct interrupts *interrupts, struct request_pool *pool, uint64_t unique)
{
	const unsigned place = atomic_fetch_add(&interrupts->next_early, 1) % NR_EARLY;

	atomic_store(&interrupts->early[place], unique);
	for (unsigned i = 0; i < pool->nr_all; i++) {
		if (atomic_load(&pool->all[i].serving) != unique)
			continue;
		/* If it has another request by now, that has another number. */
		atomic_store(&pool->all[i].interrupted, unique);
		return true;
	}
	return false;
}

void interrupt_begin(struct interrupts *interrupts, struct request *req)
{
	atomic_store(&req->serving, req->shim.unique);
	if (interrupt_came_first(interrupts, req->shim.unique))
		atomic_store(&req->interrupted, req->shim.unique);
}

void interrupt_end(struct request *req)
{
	atomic_store_explicit(&req->serving, 0, memory_order_relaxed);
}
