// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * interrupt.c - FUSE_INTERRUPT: which request is wanted no more.
 *
 * The kernel sends it when a signal has come to whoever waits for a reply. Handlers look between two
 * rounds of their work (request_pause()); what has no rounds is done before anybody could look.
 *
 * An interruption is read by one thread while another one may not have looked at its request yet. So
 * who notes it puts it on the list of early ones first and then looks who serves; and who begins to
 * serve says so first and then looks at the list. All four are sequentially consistent: one of both
 * sees the other. A request that has been answered meanwhile leaves its number on the list, where it
 * gives way to later ones; the kernel uses no number twice.
 *
 * Locks: none here.
 */
#include "fuse/transport_i.h"

bool interrupt_came_first(struct transport *t, uint64_t unique)
{
	for (unsigned i = 0; i < NR_EARLY; i++) {
		uint64_t expected = unique;

		if (atomic_load(&t->early[i]) == unique &&
		    atomic_compare_exchange_strong(&t->early[i], &expected, 0))
			return true;
	}
	return false;
}

static bool note_serving(struct transport *t, uint64_t unique)
{
	for (unsigned i = 0; i < t->nr_reqs; i++) {
		if (atomic_load(&t->reqs[i].serving) != unique)
			continue;
		/* If it has another request by now, that has another number. */
		atomic_store(&t->reqs[i].interrupted, unique);
		return true;
	}
	return false;
}

void interrupt_note(struct transport *t, uint64_t unique)
{
	const unsigned place = atomic_fetch_add(&t->next_early, 1) % NR_EARLY;

	if (unique == 0)
		return;
	atomic_store(&t->early[place], unique);
	if (note_serving(t, unique) || longline_interrupt(t, unique))
		(void)interrupt_came_first(t, unique); /* it is no more on the list */
}

void interrupt_begin(struct ztfuse_held *req)
{
	atomic_store(&req->serving, req->shim.unique);
	if (interrupt_came_first(req->transport, req->shim.unique))
		atomic_store(&req->interrupted, req->shim.unique);
}

void interrupt_end(struct ztfuse_held *req)
{
	atomic_store_explicit(&req->serving, 0, memory_order_relaxed);
}
