/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * borrow.h - objects that stand outside the arena, in a file that is only read: found and checked when
 * somebody reads them.
 *
 * Nothing of them is believed but what was checked: a walk sees only that a place for an object is
 * there, and a header is looked at with the object.
 *
 * Context: any thread; no lock of its own. The slot's is held, which nobody takes for writing.
 */
#ifndef ZT_BLKMAP_SLOT_BORROW_H
#define ZT_BLKMAP_SLOT_BORROW_H

#include "blkmap/slot/slots.h"

/* slots_borrow() - whether all objects are outside */
static inline bool slots_borrow(const struct slots *slots)
{
	return slots->lender.arg != NULL;
}

/* One that may be looked at. */
struct borrowed {
	const char *data; /* behind its header */
	uint32_t size;
};

/* borrow_has() - whether an object could stand at @ref; any value */
bool borrow_has(const struct slots *slots, uint64_t ref);

/* borrow_open() - Return: 0; -EIO it cannot be read, or is none. */
int borrow_open(const struct slots *slots, uint64_t ref, struct borrowed *out) ZT_MUST_CHECK;

/* borrow_held() - whether what was read of it was good */
bool borrow_held(const struct slots *slots, const struct borrowed *object);

/* borrow_mask() - the pages of a sparse object; all of them where it cannot be read */
uint32_t borrow_mask(const struct slots *slots, uint64_t ref);

/* borrow_size() - bytes of an object; 0: it cannot be read */
uint32_t borrow_size(const struct slots *slots, uint64_t ref);

/* borrow_place() - bytes that its place has for an object; a ref of one that was claimed */
uint32_t borrow_place(const struct slots *slots, uint64_t ref);

#endif
