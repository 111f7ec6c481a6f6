// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * check.c - the pool's walkers: what page map, headers and kernel say, against the volatile state.
 *
 * Nobody else uses the pool meanwhile. Reads only pages that the kernel says are populated.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "arena/stock.h"
#include "util/alloc.h"
#include "util/lock.h"
#include "util/log.h"
#include "zsmalloc/pool.h"
#include "zsmalloc/pool_i.h"
#include "zsmalloc/zspage.h"

/* What a class holds by the page map and the headers. */
struct tally {
	uint64_t zspages, objects, object_bytes, resident, cached;
};

static int ZT_PRINTF(3, 4)
	damaged(const struct size_class *class, const struct zspage *zspage, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	zt_log(ZT_LOG_ERR, "pool %s: class %" PRIu32 ": page %" PRIu32 ": %s",
	       class->pool->params.name, class->geo.room, zspage ? zspage->page : 0, text);
	return -EUCLEAN;
}

static int check_pages(struct size_class *class, struct zspage *zspage, struct tally *tally)
{
	uint64_t kernel[BITMAP_WORDS(ZSPAGE_MAX_PAGES)];
	uint32_t nr_resident = 0, nr_cached = 0;
	int error = arena_resident_pages(class->pool->arena, zspage_ref(zspage),
					 class->geo.nr_pages, kernel);

	if (error)
		return error;
	for (uint32_t page = 0; page < class->geo.nr_pages; page++) {
		bool covered = zspage_covered(class, zspage, page);
		bool resident = bitmap_test(zspage_resident(class, zspage), page);

		/* A stocked arena has all of a run's pages backed. */
		if (!bitmap_test(kernel, page) ? resident || arena_is_stocked(class->pool->arena)
					       : !resident && !arena_is_stocked(class->pool->arena))
			return damaged(class, zspage, "page %" PRIu32 " is populated: %d", page,
				       !resident);
		if (covered && !resident)
			return damaged(class, zspage, "page %" PRIu32 " is absent but in use",
				       page);
		nr_resident += resident;
		nr_cached += resident && !covered;
	}
	if (nr_resident != zspage->nr_resident || nr_cached != zspage->nr_cached ||
	    zspage->nr_busy != 0)
		return damaged(class, zspage,
			       "%u pages, %u cached, %u busy; found %" PRIu32 " and %" PRIu32,
			       zspage->nr_resident, zspage->nr_cached, zspage->nr_busy, nr_resident,
			       nr_cached);
	if (nr_resident == 0)
		return damaged(class, zspage, "holds nothing");
	tally->resident += nr_resident;
	tally->cached += nr_cached;
	return 0;
}

static int check_slots(struct size_class *class, struct zspage *zspage, struct tally *tally)
{
	uint32_t nr = 0;

	for (uint32_t slot = 0; slot < class->geo.nr_objs; slot++) {
		bool live = bitmap_test(zspage_live(zspage), slot);
		uint64_t hdr = 0;

		if (bitmap_test(zspage_resident(class, zspage), slot_first_page(class, slot)))
			hdr = hdr_load(class->pool->arena, zspage_slot_ref(class, zspage, slot));
		if (live ? !(hdr & HDR_LIVE) : hdr != 0)
			return damaged(class, zspage, "slot %" PRIu32 ": header %" PRIx64, slot,
				       hdr);
		if (!live)
			continue;
		if (hdr_len(hdr) > class->geo.room - ZS_HDR_SIZE ||
		    (class->pool->params.fixed_size != 0 &&
		     hdr_len(hdr) != class->pool->params.fixed_size))
			return damaged(class, zspage, "slot %" PRIu32 ": length %" PRIu32, slot,
				       hdr_len(hdr));
		nr++;
		tally->object_bytes += hdr_len(hdr);
	}
	if (nr != zspage->inuse)
		return damaged(class, zspage, "%u slots in use, found %" PRIu32, zspage->inuse, nr);
	tally->objects += nr;
	return 0;
}

/* The zspage stands in the list of the group that its fullness asks for. */
static int check_group(struct size_class *class, struct zspage *zspage)
{
	const struct zspage *prev = NULL, *entry = class->groups[zspage->group], *last = entry;
	unsigned group = 1 + zspage->inuse * ZS_NR_PARTIAL_GROUPS / class->geo.nr_objs;

	if (zspage->inuse == 0)
		group = ZS_GROUP_EMPTY;
	while (entry && entry != zspage) {
		prev = entry;
		entry = entry->next;
	}
	while (last && last->next)
		last = last->next;
	if (!entry || zspage->prev != (prev ? prev : last) || zspage->group != group)
		return damaged(class, zspage, "is not in fullness group %u", group);
	if (prev && zspage->nr_cached != 0 && prev->nr_cached == 0)
		return damaged(class, zspage, "has cached pages, but stands behind one without");
	return 0;
}

static int check_run(struct zs_pool *pool, const struct arena_run *run, struct tally *tallies)
{
	uint64_t page;
	uint32_t offset;
	struct size_class *class = zs_find(pool, run->ref, &page, &offset);
	struct zspage *zspage;
	int error;

	if (!class) {
		zt_log(ZT_LOG_ERR, "pool %s: a zspage of no class", pool->params.name);
		return -EUCLEAN;
	}
	mutex_lock(&class->lock);
	zspage = zspage_find(class, page);
	if (!zspage || run->nr_pages != class->geo.nr_pages)
		error = damaged(class, zspage, "run of %" PRIu32 " pages is unknown",
				run->nr_pages);
	else
		error = check_pages(class, zspage, &tallies[class->idx]);
	if (!error)
		error = check_slots(class, zspage, &tallies[class->idx]);
	if (!error)
		error = check_group(class, zspage);
	tallies[class->idx].zspages++;
	mutex_unlock(&class->lock);
	return error;
}

static int check_class(struct size_class *class, const struct tally *tally)
{
	for (unsigned group = 0; group < ZS_NR_GROUPS; group++) {
		uint32_t nr = 0;

		for (const struct zspage *zspage = class->groups[group]; zspage;
		     zspage = zspage->next)
			nr++;
		if (nr != class->group_zspages[group])
			return damaged(class, NULL, "group %u: %" PRIu32 " zspages, found %" PRIu32,
				       group, class->group_zspages[group], nr);
	}
	if (class->by_page.nodes != tally->zspages)
		return damaged(class, NULL, "%" PRIu32 " zspages, found %" PRIu64,
			       class->by_page.nodes, tally->zspages);
	if (class->objects != tally->objects || class->object_bytes != tally->object_bytes)
		return damaged(
			class, NULL,
			"%" PRIu64 " objects of %" PRIu64 " bytes, found %" PRIu64 " of %" PRIu64,
			class->objects, class->object_bytes, tally->objects, tally->object_bytes);
	if (class->resident != tally->resident || class->cached != tally->cached)
		return damaged(class, NULL,
			       "%" PRIu64 " pages, %" PRIu64 " cached, found %" PRIu64
			       " and %" PRIu64,
			       class->resident, (uint64_t)class->cached, tally->resident,
			       tally->cached);
	return 0;
}

int zs_check(struct zs_pool *pool)
{
	struct tally *tallies = zt_zalloc(pool->nr_classes * sizeof(*tallies));
	uint64_t cursor = 0, cached = 0;
	struct arena_run run;
	int error = 0;

	if (!tallies)
		return -ENOMEM;
	while (!error && arena_run_next(pool->arena, &cursor, &run)) {
		if (run.type == ARENA_RUN_ZSPAGE &&
		    run.user >> ZS_USER_CLASS_BITS == pool->params.id)
			error = check_run(pool, &run, tallies);
	}
	for (uint32_t i = 0; i < pool->nr_classes && !error; i++) {
		if (!size_class_is_ready(&pool->classes[i]))
			continue;
		mutex_lock(&pool->classes[i].lock);
		error = check_class(&pool->classes[i], &tallies[i]);
		mutex_unlock(&pool->classes[i].lock);
		cached += tallies[i].cached;
	}
	if (!error && (long)cached != atomic_load(&pool->cached)) {
		zt_log(ZT_LOG_ERR, "pool %s: %ld pages cached, found %" PRIu64, pool->params.name,
		       atomic_load(&pool->cached), cached);
		error = -EUCLEAN;
	}
	zt_free(tallies);
	return error;
}

/* The cursor: arena page number of a zspage, and the slot from which to look on. */
#define CURSOR_SLOT_BITS 16

bool zs_object_next(struct zs_pool *pool, uint64_t *inout_cursor, ref_t *out_ref)
{
	uint64_t start = *inout_cursor >> CURSOR_SLOT_BITS, next = start, page;
	uint32_t slot, offset;
	struct arena_run run;

	while (arena_run_next(pool->arena, &next, &run)) {
		struct size_class *class = zs_find(pool, run.ref, &page, &offset);
		struct zspage *zspage;

		if (!class)
			continue;
		slot = page == start ? *inout_cursor & ((1u << CURSOR_SLOT_BITS) - 1) : 0;
		mutex_lock(&class->lock);
		zspage = zspage_find(class, page);
		slot = zspage ? bitmap_find(zspage_live(zspage), true, slot, class->geo.nr_objs)
			      : class->geo.nr_objs;
		mutex_unlock(&class->lock);
		if (slot < class->geo.nr_objs) {
			*out_ref = zspage_slot_ref(class, zspage, slot);
			*inout_cursor = page << CURSOR_SLOT_BITS | (slot + 1);
			return true;
		}
	}
	return false;
}
