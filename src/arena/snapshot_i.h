/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot_i.h - what the arena tells its snapshot, and the parts of one; for this folder only.
 */
#ifndef ZT_ARENA_SNAPSHOT_I_H
#define ZT_ARENA_SNAPSHOT_I_H

#include <pthread.h>

#include "arena/arena_i.h"
#include "arena/snapshot.h"

/*
 * What a page's word says. A page is made by arena_populate() before anybody stores into it, so
 * what is stored into and NONE was there at the moment.
 */
#define SNAP_NONE 0u /* nothing is known yet; after arena_snapshot_find(): there was none */
#define SNAP_KEPT 1u /* protected: it is as it was */
#define SNAP_DONE 2u /* it was read, or is younger: nobody wants it */
#define SNAP_COPY 3u /* and above: the number of its copy, more by this */

/* Copies come in pieces of so many pages. */
#define SNAP_PIECE_PAGES 64u
#define SNAP_PIECE_BYTES ((uint64_t)SNAP_PIECE_PAGES << ZT_PAGE_SHIFT)

enum snap_state {
	SNAP_PREPARED,
	SNAP_TAKEN,
	SNAP_FAILED, /* error says why; nothing is protected, nothing held */
	SNAP_OVER, /* likewise */
};

/* One per arena, from prepare to end; found through arena->snapshot, under the gate. */
struct arena_snapshot {
	struct arena *arena;
	int uffd; /* userfaultfd(2) */
	int over; /* eventfd(2): the thread shall end it */
	pthread_t thread; /* "zt-save", joined by arena_snapshot_end() */
	/* Nobody reads it any more; a hint, which the thread follows: no lock, for callers with any. */
	atomic_bool given_up;
	struct mutex lock; /* guards what follows */
	enum snap_state state;
	int error;
	uint64_t map_pages; /* page numbers [0, map_pages) are part of it, */
	uint64_t first, end; /* and [first, end) */
	uint32_t *pages; /* a word for each page number below end */
	size_t pages_size; /* bytes */
	uint64_t charged; /* bytes set aside */
	char **pieces; /* of copies */
	size_t nr_pieces, most_pieces;
	uint32_t nr_copies; /* numbers in use or in the list of free ones */
	uint32_t free_copy; /* the first of that list, more by 1; each begins with the next */
	/* From find on: */
	struct arena_snapshot_extent *extents;
	uint64_t *starts; /* pages before each extent */
	uint64_t nr_extents, nr_pages;
	uint64_t nr_released; /* pages at the front that nobody may read any more */
};

/* ---- snapshot_page.c: one page after the other; snapshot.lock is held ---- */

/** snap_keep() - copy a page that will change. On errors the snapshot has failed. */
void snap_keep(struct arena_snapshot *snap, uint64_t page) ZT_REQUIRES(&snap->lock);

/** snap_forget() - the page is DONE, and its copy given back */
void snap_forget(struct arena_snapshot *snap, uint64_t page) ZT_REQUIRES(&snap->lock);

/** snap_copy_of() - the bytes of a page whose word is COPY or above */
const char *snap_copy_of(const struct arena_snapshot *snap, uint32_t word);

/** snap_protect() - or not: pages side by side. Return: 0 or -errno. */
int snap_protect(const struct arena_snapshot *snap, uint64_t page, uint64_t nr_pages,
		 bool on) ZT_MUST_CHECK;

/** snap_drop() - nothing is protected or held from here on */
void snap_drop(struct arena_snapshot *snap, enum snap_state state, int error)
	ZT_REQUIRES(&snap->lock);

/** snap_charge() - @bytes of memory for the snapshot. Return: 0 or -ENOSPC. */
int snap_charge(struct arena_snapshot *snap, uint64_t bytes) ZT_MUST_CHECK;

/** snap_error() - 0: there is something to be read; else why not */
static inline int snap_error(const struct arena_snapshot *snap) ZT_REQUIRES(&snap->lock)
{
	return snap->state == SNAP_TAKEN ? 0 : snap->error;
}

static inline bool snap_covers(const struct arena_snapshot *snap, uint64_t page)
{
	return page < snap->map_pages || (page >= snap->first && page < snap->end);
}

#endif
