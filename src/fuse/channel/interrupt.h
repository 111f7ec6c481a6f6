/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * interrupt.h - which request is no longer wanted.
 *
 * The kernel says so (FUSE_INTERRUPT) when a signal has come to a caller that waits for a reply.
 * Handlers look between two rounds of their work. A request without rounds is done too soon to
 * look.
 *
 * An interruption is read by one thread while another one may not have looked at its request yet. So
 * the thread that notes it puts it on the list of early ones first, and then looks which one
 * serves. A thread that begins to serve says so first, and then looks at the list. All four are
 * sequentially consistent: one of both sees the other. A request that has been answered meanwhile
 * leaves its number on the list, where it gives way to later ones; the kernel uses no number twice.
 *
 * Locks: none.
 */
#ifndef ZT_FUSE_CHANNEL_INTERRUPT_H
#define ZT_FUSE_CHANNEL_INTERRUPT_H

#include "fuse/channel/pool.h"

/* Interruptions that have overtaken their requests; more at a time than threads read is no use. */
#define NR_EARLY 16u

struct interrupts {
	/* Numbers of requests, 0: none; by exchange alone. */
	_Atomic uint64_t early[NR_EARLY];
	atomic_uint next_early;
};

/** interrupt_note() - @unique is wanted no longer. Return: whether its handler runs, and will see it. */
bool interrupt_note(struct interrupts *interrupts, struct request_pool *pool, uint64_t unique);

/** interrupt_came_first() - whether it had been noted before, once */
bool interrupt_came_first(struct interrupts *interrupts, uint64_t unique);

/** interrupt_begin() - the handler of @req begins; interrupt_end(): it has returned, nothing is held */
void interrupt_begin(struct interrupts *interrupts, struct request *req);
void interrupt_end(struct request *req);

#endif
