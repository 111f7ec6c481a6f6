// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scan.c - all objects of a pool in the order of their places, or those that are new, while others
 * use it.
 *
 * The page map says where zspages begin, as a hint; the class says under its lock whether one still
 * does. New ones are found by notes, a bit for each zspage: whoever changes something in one sets
 * it, and a scan takes it away before it looks, and sets it again when not all is settled.
 *
 * Locks: class->lock for one zspage at a time; the visitor is called under it and only tries locks.
 * Notes are atomic, and set under it.
 */
#include "util/lock.h"
#include "zsmalloc/pool.h"
#include "zsmalloc/pool_i.h"
#include "zsmalloc/zspage.h"

/* The cursor: arena page number of a zspage, and the slot from which to look on. */
#define CURSOR_SLOT_BITS 16

/* One scan. */
struct scan {
	struct zs_pool *pool;
	zs_visit_fn visit;
	void *arg;
	bool noted; /* only what is, and the notes are kept up */
};

/* The object in a slot that is in use. One whose memory is only on its way has no header yet. */
static enum zs_verdict slot_visit(const struct size_class *class, struct zspage *zspage,
				  uint32_t slot, zs_visit_fn visit, void *arg)
{
	ref_t ref = zspage_slot_ref(class, zspage, slot);
	uint64_t hdr;

	if (!bitmap_test(zspage_resident(class, zspage), slot_first_page(class, slot)))
		return ZS_UNSETTLED;
	hdr = hdr_load(class->pool->arena, ref);
	if (!(hdr & HDR_LIVE))
		return ZS_UNSETTLED;
	return visit(arg, ref, hdr_len(hdr), hdr_owner(hdr));
}

/* Visit one zspage from @slot on. Return: the slot at which a visit stopped, or ZSPAGE_NO_SLOT. */
static uint32_t zspage_scan(struct size_class *class, struct zspage *zspage, uint32_t slot,
			    const struct scan *scan) ZT_REQUIRES(&class->lock)
{
	while ((slot = bitmap_find(zspage_live(zspage), true, slot, class->geo.nr_objs)) <
	       class->geo.nr_objs) {
		enum zs_verdict verdict = slot_visit(class, zspage, slot, scan->visit, scan->arg);

		if ((verdict == ZS_UNSETTLED || verdict == ZS_STOP) && scan->noted)
			zs_note(scan->pool, zspage->page);
		if (verdict == ZS_STOP || verdict == ZS_TAKE)
			return slot;
		slot++;
	}
	return ZSPAGE_NO_SLOT;
}

/* The same for what may begin at @page. */
static uint32_t page_scan(const struct scan *scan, uint64_t page, uint32_t slot)
{
	uint64_t first;
	uint32_t offset;
	struct size_class *class =
		zs_find(scan->pool, page * ARENA_PAGE_REFS, &first, &offset);
	struct zspage *zspage;

	if (!class || offset != 0)
		return ZSPAGE_NO_SLOT;
	mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
	zspage = zspage_find(class, page);
	slot = zspage ? zspage_scan(class, zspage, slot, scan) : ZSPAGE_NO_SLOT;
	mutex_unlock(&class->lock);
	return slot;
}

static uint64_t cursor_behind(uint64_t page, uint32_t slot)
{
	return page << CURSOR_SLOT_BITS | (slot + 1);
}

static uint32_t cursor_slot(uint64_t cursor)
{
	return cursor & ((1u << CURSOR_SLOT_BITS) - 1);
}

bool zs_scan(struct zs_pool *pool, uint64_t *inout_cursor, zs_visit_fn visit, void *arg)
{
	const struct scan scan = { .pool = pool, .visit = visit, .arg = arg };
	uint64_t start = *inout_cursor >> CURSOR_SLOT_BITS, next = start;
	struct arena_run run;

	while (arena_run_next(pool->arena, &next, &run)) {
		uint64_t page = run.ref / ARENA_PAGE_REFS;
		uint32_t slot =
			page_scan(&scan, page, page == start ? cursor_slot(*inout_cursor) : 0);

		if (slot != ZSPAGE_NO_SLOT) {
			*inout_cursor = cursor_behind(page, slot);
			return true;
		}
	}
	return false;
}

bool zs_scan_noted(struct zs_pool *pool, uint64_t *inout_cursor, zs_visit_fn visit, void *arg)
{
	const struct scan scan = { .pool = pool, .visit = visit, .arg = arg, .noted = true };
	uint64_t page = *inout_cursor >> CURSOR_SLOT_BITS;
	uint32_t slot = cursor_slot(*inout_cursor);

	/* In the midst of a zspage, where the last visit has left a note. */
	while (slot > 0 || zs_note_take(pool, page, &page)) {
		slot = page_scan(&scan, page, slot);
		if (slot != ZSPAGE_NO_SLOT) {
			*inout_cursor = cursor_behind(page, slot);
			return true;
		}
		slot = 0;
		page++;
	}
	return false;
}

bool zs_visit(const struct zs_pool *pool, ref_t ref, zs_visit_fn visit, void *arg)
{
	uint64_t page;
	uint32_t offset, slot;
	struct size_class *class = zs_find(pool, ref, &page, &offset);
	struct zspage *zspage;
	bool stopped;

	if (!class || offset % class->geo.room != 0)
		return false;
	slot = offset / class->geo.room;
	mutex_lock_counted(&class->lock, ZT_LOCK_CLASS);
	zspage = zspage_find(class, page);
	stopped = zspage && slot < class->geo.nr_objs && bitmap_test(zspage_live(zspage), slot) &&
		  slot_visit(class, zspage, slot, visit, arg) == ZS_STOP;
	mutex_unlock(&class->lock);
	return stopped;
}

static enum zs_verdict visit_any(void *arg, ref_t ref, uint32_t len, struct zs_owner owner)
{
	(void)arg;
	(void)ref;
	(void)len;
	(void)owner;
	return ZS_STOP;
}

bool zs_is_live(const struct zs_pool *pool, ref_t ref)
{
	return zs_visit(pool, ref, visit_any, NULL);
}
