/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * space.h - which units of the spill file are in use.
 *
 * Context: the caller's lock is held.
 */
#ifndef ZT_BLKMAP_SPILL_SPACE_H
#define ZT_BLKMAP_SPILL_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/compiler.h"

/* Units are counted by groups, so that a look for free ones passes full groups over. */
#define SPACE_GROUP_UNITS 1024u

/* One per spill file, owned by it. */
struct spill_space {
	uint64_t *bits; /* one per unit: in use */
	uint16_t *used; /* units in use, by group */
	uint8_t *stale; /* groups that have been written, and may be free now */
	uint32_t nr_units, nr_groups, nr_used;
	uint32_t cursor; /* where the next look begins */
};

/* space_init() - all free. Return: 0 or -ENOMEM. */
int space_init(struct spill_space *space, uint32_t nr_units) ZT_MUST_CHECK;
void space_exit(struct spill_space *space);

/* space_bytes() - of memory for so many units */
uint64_t space_bytes(uint32_t nr_units);

/*
 * space_take() - units that stand side by side: @least at least, @most at most, from where the last
 * ones were taken on
 * Return: how many; 0: there are none, though as many may be free apart from each other.
 */
uint32_t space_take(struct spill_space *space, uint32_t least, uint32_t most, uint32_t *out_start);

void space_give(struct spill_space *space, uint32_t start, uint32_t nr);

/* space_claim() - these are in use, as another process says. Return: false: they are already, or are none. */
bool space_claim(struct spill_space *space, uint32_t start, uint32_t nr);

/* space_shun() - no unit of a group is taken any more; any value */
void space_shun(struct spill_space *space, uint32_t group);

/* space_all_stale() - groups that are free now may have been written by another process */
void space_all_stale(struct spill_space *space);

/*
 * space_next_stale() - a whole group that is free, and was in use since it was last told
 * @inout_group: 0 at first. Return: false: there is none from there on.
 */
bool space_next_stale(struct spill_space *space, uint32_t *inout_group);

#endif
