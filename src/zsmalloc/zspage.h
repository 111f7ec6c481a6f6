/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zspage.h - one run of arena pages cut into slots of one class, as the pool sees it: volatile.
 *
 *     page 0         page 1         page 2         page 3
 *     |  slot 0   |  slot 1   |  slot 2   |  slot 3   |  slot 4   | tail |
 *       live        free        free        live        live
 *       covered      covered     uncovered   covered ...
 *
 * A page is covered while a slot in use touches it. It is resident once populated; resident and
 * uncovered is "cached". It is busy while some thread populates or punches it outside of
 * class->lock: only that thread may touch it then, and slots on it are neither given out nor read.
 *
 * Invariants: covered pages are resident, except for those that are busy because their slot was
 * only just given out. An empty zspage with no resident and no busy page does not exist.
 *
 * All functions want class->lock held, unless they say otherwise.
 */
#ifndef ZT_ZSMALLOC_ZSPAGE_H
#define ZT_ZSMALLOC_ZSPAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zsmalloc/bitmap.h"
#include "zsmalloc/pool_i.h"
#include "zsmalloc/size_class.h"

/* 40 bytes and the bitmaps: 64 to 168 bytes, for up to 1 MiB of objects. */
struct zspage {
	struct zspage *next, *prev; /* in its fullness group; the first one's prev is the last */
	struct chain_link link; /* size_class.by_page */
	uint32_t page; /* number of its first page in the arena */
	uint16_t inuse; /* slots */
	uint16_t nr_resident; /* pages; */
	uint16_t nr_cached; /* of these, uncovered and not busy */
	uint16_t nr_busy; /* pages */
	uint8_t group;
	uint16_t tried; /* size_class.tries: that compaction has done what it can here */
	uint64_t bits[]; /* slots in use, then resident pages, then busy pages */
};

/* Some pages of one zspage. */
struct page_set {
	uint64_t bits[BITMAP_WORDS(ZSPAGE_MAX_PAGES)];
	uint32_t nr;
};

#define ZSPAGE_NO_SLOT UINT32_MAX

/* Part of the arena's layout: geometries are chosen by it, and must be the same in a later life. */
static inline size_t zspage_struct_size(const struct zs_geometry *geo)
{
	return sizeof(struct zspage) + sizeof(uint64_t) * (BITMAP_WORDS((size_t)geo->nr_objs) +
							   2 * BITMAP_WORDS((size_t)geo->nr_pages));
}

static inline uint64_t *zspage_live(struct zspage *zspage)
{
	return zspage->bits;
}

static inline uint64_t *zspage_resident(const struct size_class *class, struct zspage *zspage)
{
	return zspage->bits + class->live_words;
}

static inline uint64_t *zspage_busy(const struct size_class *class, struct zspage *zspage)
{
	return zspage->bits + class->live_words + class->page_words;
}

static inline ref_t zspage_ref(const struct zspage *zspage)
{
	return zspage->page * ARENA_PAGE_REFS;
}

static inline ref_t zspage_slot_ref(const struct size_class *class, const struct zspage *zspage,
				    uint32_t slot)
{
	return zspage_ref(zspage) + (ref_t)slot * (class->geo.room >> ARENA_REF_SHIFT);
}

/* First and last page that a slot touches. */
static inline uint32_t slot_first_page(const struct size_class *class, uint32_t slot)
{
	return slot * class->geo.room >> ZT_PAGE_SHIFT;
}

static inline uint32_t slot_last_page(const struct size_class *class, uint32_t slot)
{
	return (slot * class->geo.room + class->geo.room - 1) >> ZT_PAGE_SHIFT;
}

/**
 * zspage_create() - a new empty zspage, in hash and group; no page of it is resident
 * The caller takes a slot of it before it gives up class->lock.
 * Return: 0, -ENOMEM, -ENOSPC.
 */
int zspage_create(struct size_class *class, struct zspage **out_zspage) ZT_MUST_CHECK
	ZT_REQUIRES(&class->lock);

/**
 * zspage_attach() - the zspage of a run that is there, for the pool that attaches: in the hash, its
 * resident pages known
 * The caller puts slots in use by itself, in bitmap and counters, and calls zspage_settle().
 * Return: 0, -ENOMEM.
 */
int zspage_attach(struct size_class *class, uint32_t page, struct zspage **out_zspage) ZT_MUST_CHECK
	ZT_REQUIRES(&class->lock);

/** zspage_settle() - into its group, cached pages counted. Return: whether it holds nothing. */
bool zspage_settle(struct size_class *class, struct zspage *zspage) ZT_REQUIRES(&class->lock);

/** zspage_forget() - free its struct alone */
void zspage_forget(struct size_class *class, struct zspage *zspage) ZT_REQUIRES(&class->lock);

/**
 * zspage_reap() - free a zspage if it is empty, not resident and not busy
 * Return: whether it was.
 */
bool zspage_reap(struct size_class *class, struct zspage *zspage) ZT_REQUIRES(&class->lock);

/** zspage_resort() - to its group's front, when it has cached pages, or to its end */
void zspage_resort(struct size_class *class, struct zspage *zspage) ZT_REQUIRES(&class->lock);

/** zspage_find() - the zspage that starts at arena page number @page, or NULL */
struct zspage *zspage_find(const struct size_class *class, uint64_t page) ZT_REQUIRES(&class->lock);

/**
 * zspage_pick() - a free slot, best one whose pages are all resident; none with a busy page
 * @resident_only: no other will do
 * Return: ZSPAGE_NO_SLOT when there is none; looks at a few only.
 */
uint32_t zspage_pick(const struct size_class *class, struct zspage *zspage, bool resident_only)
	ZT_REQUIRES(&class->lock);

/** zspage_take() - put a free slot in use */
void zspage_take(struct size_class *class, struct zspage *zspage, uint32_t slot)
	ZT_REQUIRES(&class->lock);

/** zspage_drop() - the contrary; its pages may become cached. Does not reap. */
void zspage_drop(struct size_class *class, struct zspage *zspage, uint32_t slot)
	ZT_REQUIRES(&class->lock);

/** zspage_absent() - the pages of a slot that are not resident */
void zspage_absent(const struct size_class *class, struct zspage *zspage, uint32_t slot,
		   struct page_set *out_set) ZT_REQUIRES(&class->lock);

/** zspage_ahead() - add up to @nr pages behind @slot's that will be wanted next */
void zspage_ahead(const struct size_class *class, struct zspage *zspage, uint32_t slot, uint32_t nr,
		  struct page_set *inout_set) ZT_REQUIRES(&class->lock);

/** zspage_cached() - the pages that can be punched */
void zspage_cached(const struct size_class *class, struct zspage *zspage, struct page_set *out_set);

/** zspage_covered() - whether a slot in use touches @page */
bool zspage_covered(const struct size_class *class, struct zspage *zspage, uint32_t page);

/**
 * zspage_populate() - make absent pages resident; gives class->lock up meanwhile
 * @keep_lock: not so (compaction, which must see nothing change)
 *
 * A slot of the zspage that is in use keeps it alive.
 * Return: 0, -ENOSPC, -ENOMEM; then some may be resident, and are cached unless covered.
 */
int zspage_populate(struct size_class *class, struct zspage *zspage, const struct page_set *set,
		    bool keep_lock) ZT_MUST_CHECK ZT_REQUIRES(&class->lock);

/**
 * zspage_punch() - give cached pages back; gives class->lock up meanwhile, and reaps the zspage
 * Unless the caller keeps it alive, it is gone afterwards for all that the caller knows.
 */
void zspage_punch(struct size_class *class, struct zspage *zspage, const struct page_set *set)
	ZT_REQUIRES(&class->lock);

/** zspage_wait() - until some page of the pool is no longer busy; gives class->lock up meanwhile */
void zspage_wait(struct size_class *class) ZT_REQUIRES(&class->lock);

#endif
