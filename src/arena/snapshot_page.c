// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * snapshot_page.c - pages of a snapshot: protected, copied before they change, given up.
 *
 * Locks: snapshot.lock is held, but where snapshot_i.h says otherwise. Stores into the arena nowhere,
 * and reads it through its file only, so that it never waits for itself.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "arena/snapshot_i.h"
#include "util/alloc.h"

/* Of the limit that part is left to requests: a snapshot ends before they are refused for it. */
#define FREE_DIVISOR 16u

int snap_charge(struct arena_snapshot *snap, uint64_t bytes)
{
	struct arena_stat stat;
	int error;

	arena_get_stat(snap->arena, &stat);
	if (stat.limit && stat.used + bytes + stat.limit / FREE_DIVISOR > stat.limit)
		return -ENOSPC;
	error = arena_set_aside(snap->arena, bytes);
	if (!error)
		snap->charged += bytes;
	return error;
}

int snap_protect(const struct arena_snapshot *snap, uint64_t page, uint64_t nr_pages, bool on)
{
	struct uffdio_writeprotect args = {
		.range = { .start = (uint64_t)(uintptr_t)arena_ptr(snap->arena, page_to_ref(page)),
			   .len = nr_pages << ZT_PAGE_SHIFT },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	if (nr_pages == 0)
		return 0;
	while (ioctl(snap->uffd, UFFDIO_WRITEPROTECT, &args) != 0)
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	return 0;
}

void snap_drop(struct arena_snapshot *snap, enum snap_state state, int error)
{
	struct uffdio_range range = {
		.start = (uint64_t)(uintptr_t)snap->arena->head.base,
		.len = snap->arena->reserve,
	};

	if (snap->state == SNAP_FAILED || snap->state == SNAP_OVER)
		return;
	/*
	 * These fail for ranges that are none. The first one ends the protection, but wakes nobody that
	 * waits for a protected page; no more can come to wait then.
	 */
	if (ioctl(snap->uffd, UFFDIO_UNREGISTER, &range) != 0 ||
	    ioctl(snap->uffd, UFFDIO_WAKE, &range) != 0)
		abort();
	for (size_t i = 0; i < snap->nr_pieces; i++)
		zt_unmap(snap->pieces[i], SNAP_PIECE_BYTES);
	zt_free(snap->pieces);
	snap->pieces = NULL;
	zt_unmap(snap->pages, snap->pages_size);
	snap->pages = NULL;
	zt_unmap(snap->extents, snap->nr_extents * sizeof(*snap->extents));
	zt_unmap(snap->starts, snap->nr_extents * sizeof(*snap->starts));
	snap->extents = NULL;
	snap->starts = NULL;
	snap->nr_pieces = 0;
	arena_unset_aside(snap->arena, snap->charged);
	snap->charged = 0;
	snap->state = state;
	snap->error = error;
}

/* ---- copies ---- */

static char *copy_at(const struct arena_snapshot *snap, uint32_t nr)
{
	return snap->pieces[nr / SNAP_PIECE_PAGES] +
	       ((size_t)(nr % SNAP_PIECE_PAGES) << ZT_PAGE_SHIFT);
}

const char *snap_copy_of(const struct arena_snapshot *snap, uint32_t word)
{
	return copy_at(snap, word - SNAP_COPY);
}

static int add_piece(struct arena_snapshot *snap)
{
	char **grown = snap->pieces;
	int error = snap_charge(snap, SNAP_PIECE_BYTES);

	if (error)
		return error;
	if (snap->nr_pieces == snap->most_pieces)
		grown = zt_grow(snap->pieces, sizeof(*grown), 64, &snap->most_pieces);
	if (!grown)
		return -ENOMEM;
	snap->pieces = grown;
	snap->pieces[snap->nr_pieces] = zt_map(SNAP_PIECE_BYTES);
	if (!snap->pieces[snap->nr_pieces])
		return -ENOMEM;
	snap->nr_pieces++;
	return 0;
}

static int take_copy(struct arena_snapshot *snap, uint32_t *out_nr)
{
	if (snap->free_copy) {
		*out_nr = snap->free_copy - 1;
		memcpy(&snap->free_copy, copy_at(snap, *out_nr), sizeof(snap->free_copy));
		return 0;
	}
	if (snap->nr_copies == snap->nr_pieces * SNAP_PIECE_PAGES) {
		int error = add_piece(snap);

		if (error)
			return error;
	}
	*out_nr = snap->nr_copies++;
	return 0;
}

static int copy_page(struct arena_snapshot *snap, uint64_t page)
{
	uint32_t nr = 0;
	int error = take_copy(snap, &nr);

	if (error)
		return error;
	if (pread(snap->arena->fd, copy_at(snap, nr), ZT_PAGE_SIZE, (off_t)(page << ZT_PAGE_SHIFT)) !=
	    (ssize_t)ZT_PAGE_SIZE)
		return -EIO;
	snap->pages[page] = SNAP_COPY + nr;
	return 0;
}

void snap_keep(struct arena_snapshot *snap, uint64_t page)
{
	int error = 0;

	if (snap->state != SNAP_TAKEN || !snap_covers(snap, page))
		return;
	if (snap->pages[page] == SNAP_NONE || snap->pages[page] == SNAP_KEPT)
		error = copy_page(snap, page);
	if (error)
		snap_drop(snap, SNAP_FAILED, error);
}

void snap_forget(struct arena_snapshot *snap, uint64_t page)
{
	const uint32_t word = snap->pages[page];

	if (word >= SNAP_COPY) {
		memcpy(copy_at(snap, word - SNAP_COPY), &snap->free_copy, sizeof(snap->free_copy));
		snap->free_copy = word - SNAP_COPY + 1;
	}
	snap->pages[page] = SNAP_DONE;
}
