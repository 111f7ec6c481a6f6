// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * borrow.c - objects that stand outside the arena, in a file that is only read. See borrow.h.
 *
 * Locks: none.
 */
#include "blkmap/slot/borrow.h"

#include <errno.h>
#include <string.h>

#include "blkmap/slot/word.h"
#include "zsmalloc/borrow.h"

static const char *find(const struct slots *slots, uint64_t ref, size_t len)
{
	return slots->lender.find(slots->lender.arg, ref << ARENA_REF_SHIFT, len);
}

bool borrow_has(const struct slots *slots, uint64_t ref)
{
	return zs_place(slots->data, ref) > 0 && find(slots, ref, ZS_HDR_SIZE) != NULL;
}

int borrow_open(const struct slots *slots, uint64_t ref, struct borrowed *out)
{
	const struct blkmap_lender *lender = &slots->lender;
	const uint32_t most = zs_place(slots->data, ref);
	const char *at = most ? find(slots, ref, ZS_HDR_SIZE) : NULL;
	uint64_t header;
	uint32_t size;

	if (!at || lender->check(lender->arg, at, ZS_HDR_SIZE) != 0)
		return -EIO;
	memcpy(&header, at, sizeof(header));
	/* What makes no sense may be what has just gone: then that is told. */
	size = lender->held(lender->arg, at, ZS_HDR_SIZE) ? zs_header_size(header, most) : 0;
	if (size == 0 || find(slots, ref, ZS_HDR_SIZE + size) != at ||
	    lender->check(lender->arg, at, ZS_HDR_SIZE + size) != 0)
		return -EIO;
	*out = (struct borrowed){ .data = at + ZS_HDR_SIZE, .size = size };
	return 0;
}

bool borrow_held(const struct slots *slots, const struct borrowed *object)
{
	const struct blkmap_lender *lender = &slots->lender;

	return lender->held(lender->arg, object->data - ZS_HDR_SIZE, ZS_HDR_SIZE + object->size);
}

uint32_t borrow_mask(const struct slots *slots, uint64_t ref)
{
	struct borrowed object;
	uint32_t mask;

	if (borrow_open(slots, ref, &object) != 0 || object.size < SLOT_SPARSE_PREFIX)
		return UINT32_MAX;
	memcpy(&mask, object.data, sizeof(mask));
	return borrow_held(slots, &object) ? mask : UINT32_MAX;
}

uint32_t borrow_size(const struct slots *slots, uint64_t ref)
{
	struct borrowed object;

	return borrow_open(slots, ref, &object) == 0 && borrow_held(slots, &object) ? object.size : 0;
}

uint32_t borrow_place(const struct slots *slots, uint64_t ref)
{
	return zs_place(slots->data, ref);
}
