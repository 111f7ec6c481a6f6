/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * live.h - the cluster maps behind each slot lock: found by the place of their slot, and in the order
 * in which they are to be folded.
 *
 * Context: the slot lock is held; exclusive where the contents of the list change.
 */
#ifndef ZT_BLKMAP_SLOT_LIVE_H
#define ZT_BLKMAP_SLOT_LIVE_H

#include "blkmap/slot/slots.h"

/* live_map_find() - the one of the slot at @place, or NULL */
struct live_map *live_map_find(const struct slots *slots, const struct slot_lock *lock,
			       uint64_t place);

/* live_map_add() - @live, whose place is known and of this lock, as the youngest; it is touched now */
void live_map_add(struct slots *slots, struct slot_lock *lock, struct live_map *live);

/* live_map_take() - out of the list, not freed; NULL when there is none */
struct live_map *live_map_take(struct slots *slots, struct slot_lock *lock, uint64_t place);

/* live_map_remove() - the same, freed, and its setting has one user less */
void live_map_remove(struct slots *slots, struct slot_lock *lock, uint64_t place);

/* live_map_touch() - its cluster changes now: it is the youngest of its lock */
void live_map_touch(struct slot_lock *lock, struct live_map *live);

/* live_map_postpone() - the same, since a thread looks after it now */
void live_map_postpone(struct slot_lock *lock, struct live_map *live);

/* live_map_next() - the next younger one, NULL at the end. @live NULL: the oldest. */
static inline struct live_map *live_map_next(const struct slot_lock *lock,
					     const struct live_map *live)
{
	struct live_map *next = live ? live->younger : lock->maps.oldest;

	return live && next == lock->maps.oldest ? NULL : next;
}

#endif
