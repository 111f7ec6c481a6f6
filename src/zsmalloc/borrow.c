// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * borrow.c - objects of a pool whose pages are not in the arena: found by the page map alone. See
 * borrow.h. Nothing is believed: a run is of a class, and a ref the beginning of one of its slots.
 *
 * Locks: ready_lock, for a class that was not wanted before.
 */
#include "zsmalloc/borrow.h"

#include "zsmalloc/pool_i.h"

uint32_t zs_pool_of_user(uint32_t user)
{
	return user >> ZS_USER_CLASS_BITS;
}

uint32_t zs_place(struct zs_pool *pool, uint64_t ref)
{
	const struct size_class *class;
	struct arena_run run;
	uint64_t offset;
	uint32_t idx;

	if (!arena_run_find(pool->arena, ref, &run) || run.type != ARENA_RUN_ZSPAGE ||
	    zs_pool_of_user(run.user) != pool->params.id)
		return 0;
	idx = run.user & ((1u << ZS_USER_CLASS_BITS) - 1);
	if (idx >= pool->nr_classes)
		return 0;
	class = zs_class_ready(pool, idx);
	offset = (ref - run.ref) << ARENA_REF_SHIFT;
	if (run.nr_pages != class->geo.nr_pages || offset % class->geo.room != 0 ||
	    offset / class->geo.room >= class->geo.nr_objs)
		return 0;
	return class->geo.room;
}

uint32_t zs_header_size(uint64_t header, uint32_t room)
{
	if (!(header & HDR_LIVE) || hdr_len(header) > room - ZS_HDR_SIZE)
		return 0;
	return hdr_len(header);
}
