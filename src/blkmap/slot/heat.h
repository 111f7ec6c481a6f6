/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * heat.h - which clusters small requests come back to.
 *
 * Context: any thread, no lock needed.
 */
#ifndef ZT_BLKMAP_SLOT_HEAT_H
#define ZT_BLKMAP_SLOT_HEAT_H

#include "blkmap/slot/slots.h"

#define HEAT_MAX    16u /* at this a cluster that is read in small pieces is spread */
#define HEAT_TICK   8u /* seconds; then all halve */
#define HEAT_READ   1u /* a small read that decoded a part, or found a page of its own */
#define HEAT_DECODE 4u /* a small read that had to decode all */
#define HEAT_WRITE  2u /* a small write */
#define HEAT_WHOLE  8u /* a large read of what was recompressed: reread.h */

int heat_init(struct slots *slots) ZT_MUST_CHECK;
void heat_exit(struct slots *slots);

/* heat_unused_bytes() - of the table that heat_init() has made: counted when it grows */
uint64_t heat_unused_bytes(const struct slots *slots);

/* heat_of() - 0: nobody comes back to the cluster whose slot is at @place; up to HEAT_MAX */
unsigned heat_of(struct slots *slots, uint64_t place);

/* Return: what it is now. */
unsigned heat_add(struct slots *slots, uint64_t place, unsigned add);
void heat_clear(struct slots *slots, uint64_t place);

/* heat_cool() - a tick is over: all halve. One thread calls it. */
void heat_cool(struct slots *slots);

#endif
