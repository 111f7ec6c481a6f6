/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stock.h - memory that the arena keeps ready, for mounts that carry swap: what they store must not
 * wait for the machine to find a page, which may itself wait for them.
 *
 * How much may be taken is granted from outside, by what the machine has left.
 */
#ifndef ZT_ARENA_STOCK_H
#define ZT_ARENA_STOCK_H

#include "arena/arena.h"

/** arena_is_stocked() - whether memory is kept ready: pages of runs are then backed all along */
bool arena_is_stocked(const struct arena *arena);

/**
 * arena_stock_wait() - before locks are taken: wait until the stock has so much, or is known to
 * have no more
 * @bytes: more than 512 KiB or half of the stock counts as that
 *
 * Without a stock it does nothing.
 * Context: any thread; takes arena.lock only when it waits, three seconds at most.
 */
void arena_stock_wait(struct arena *arena, uint64_t bytes);

/** arena_stock_lacks() - whether arena_stock_wait() would wait now. Lock-free, a hint. */
bool arena_stock_lacks(const struct arena *arena, uint64_t bytes);

/** What the machine has to give for the stock, in pages. At first: as much as is wanted. */
struct arena_grant {
	uint64_t more; /* to take while the stock is not full */
	uint64_t urgent; /* to take while next to nothing is ready, or somebody waits */
	uint64_t back; /* to give back, for the kernel's side of requests */
};

/**
 * arena_stock_grant() - say anew what may be taken for the stock, or is to be given back
 * @grant: copied; replaces what was left of the last one. No more than a little is given back (all
 *        but 256 KiB).
 * Context: any thread; takes arena.lock. Without a stock it does nothing.
 */
void arena_stock_grant(struct arena *arena, const struct arena_grant *grant);

/** arena_stock_is_short() - whether somebody waits for the stock now. Lock-free, a hint. */
bool arena_stock_is_short(const struct arena *arena);

#endif
