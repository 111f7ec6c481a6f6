// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scan.c - all objects of a pool in the order of their places, while others use it.
 *
 * The page map says where zspages begin, as a hint; the class says under its lock whether one still
 * does.
 *
 * Locks: class->lock for one zspage at a time; the visitor is called under it and only tries locks.
 */
#include "util/lock.h"
#include "zsmalloc/pool.h"
#include "zsmalloc/pool_i.h"
#include "zsmalloc/zspage.h"

/* The cursor: arena page number of a zspage, and the slot from which to look on. */
#define CURSOR_SLOT_BITS 16

/* Visit one zspage from @slot on. Return: the slot at which a visit stopped, or ZSPAGE_NO_SLOT. */
static uint32_t zspage_scan(struct size_class *class, struct zspage *zspage, uint32_t slot,
			    zs_visit_fn visit, void *arg) ZT_REQUIRES(&class->lock)
{
	const struct arena *arena = class->pool->arena;

	while ((slot = bitmap_find(zspage_live(zspage), true, slot, class->geo.nr_objs)) <
	       class->geo.nr_objs) {
		ref_t ref = zspage_slot_ref(class, zspage, slot);

		/* The header of a slot whose memory is only on its way must not be read. */
		if (bitmap_test(zspage_resident(class, zspage), slot_first_page(class, slot))) {
			uint64_t hdr = hdr_load(arena, ref);

			if (hdr & HDR_LIVE && visit(arg, ref, hdr_len(hdr), hdr_owner(hdr)))
				return slot;
		}
		slot++;
	}
	return ZSPAGE_NO_SLOT;
}

bool zs_scan(struct zs_pool *pool, uint64_t *inout_cursor, zs_visit_fn visit, void *arg)
{
	uint64_t start = *inout_cursor >> CURSOR_SLOT_BITS, next = start, page;
	struct arena_run run;
	uint32_t offset;

	while (arena_run_next(pool->arena, &next, &run)) {
		struct size_class *class = zs_find(pool, run.ref, &page, &offset);
		struct zspage *zspage;
		uint32_t slot = 0;

		if (!class || offset != 0)
			continue;
		if (page == start)
			slot = *inout_cursor & ((1u << CURSOR_SLOT_BITS) - 1);
		mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
		zspage = zspage_find(class, page);
		if (zspage)
			slot = zspage_scan(class, zspage, slot, visit, arg);
		else
			slot = ZSPAGE_NO_SLOT;
		mutex_unlock(&class->lock);
		if (slot != ZSPAGE_NO_SLOT) {
			*inout_cursor = page << CURSOR_SLOT_BITS | (slot + 1);
			return true;
		}
	}
	return false;
}

bool zs_visit(const struct zs_pool *pool, ref_t ref, zs_visit_fn visit, void *arg)
{
	uint64_t page, hdr;
	uint32_t offset, slot;
	struct size_class *class = zs_find(pool, ref, &page, &offset);
	struct zspage *zspage;
	bool stopped = false;

	if (!class || offset % class->geo.room != 0)
		return false;
	slot = offset / class->geo.room;
	mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
	zspage = zspage_find(class, page);
	/* A slot whose memory is only on its way is in use but no object yet: it has no header. */
	if (zspage && slot < class->geo.nr_objs && bitmap_test(zspage_live(zspage), slot) &&
	    bitmap_test(zspage_resident(class, zspage), slot_first_page(class, slot))) {
		hdr = hdr_load(pool->arena, ref);
		stopped = hdr & HDR_LIVE && visit(arg, ref, hdr_len(hdr), hdr_owner(hdr));
	}
	mutex_unlock(&class->lock);
	return stopped;
}

static bool visit_any(void *arg, ref_t ref, uint32_t len, struct zs_owner owner)
{
	(void)arg;
	(void)ref;
	(void)len;
	(void)owner;
	return true;
}

bool zs_is_live(const struct zs_pool *pool, ref_t ref)
{
	return zs_visit(pool, ref, visit_any, NULL);
}
