// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * snapshot_read.c - which pages a snapshot has, and what they held.
 *
 * Locks: snapshot.gate shared all the while; snapshot.lock for some pages at a time, since whoever
 * stores into a page may wait for it.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "arena/snapshot_i.h"
#include "util/alloc.h"

/* Pages that are looked at, and pages that are read, under the lock at a time. */
#define LOOK_PAGES 4096u
#define READ_PAGES 64u

/* ---- which there are ---- */

static int mark_pages(struct arena_snapshot *snap, uint64_t page, uint64_t end)
{
	int error = 0;

	while (page < end && !error) {
		const uint64_t next = min_u64(end, page + LOOK_PAGES);

		mutex_lock(&snap->lock);
		error = snap_error(snap);
		for (; page < next && !error; page++)
			if (snap->pages[page] == SNAP_NONE)
				snap->pages[page] = SNAP_KEPT;
		mutex_unlock(&snap->lock);
	}
	return error;
}

/* Those of [page, end) that exist; they may go meanwhile, but then they are copied first. */
static int find_between(struct arena_snapshot *snap, uint64_t page, uint64_t end)
{
	int error = 0;

	while (page < end && !error) {
		off_t at = lseek(snap->arena->fd, (off_t)(page << ZT_PAGE_SHIFT), SEEK_DATA), hole;

		if (at < 0)
			return errno == ENXIO ? 0 : -errno;
		page = (uint64_t)at >> ZT_PAGE_SHIFT;
		if (page >= end)
			break;
		hole = lseek(snap->arena->fd, at, SEEK_HOLE);
		if (hole < 0 && errno == ENXIO)
			continue; /* punched just now */
		if (hole < 0)
			return -errno;
		at = hole >> ZT_PAGE_SHIFT;
		error = mark_pages(snap, page, min_u64((uint64_t)at, end));
		page = (uint64_t)at;
	}
	return error;
}

static bool is_part(const struct arena_snapshot *snap, uint64_t page)
{
	const uint32_t word = snap->pages[page];

	return word == SNAP_KEPT || word >= SNAP_COPY;
}

/* What of [page, end) is not known now was not there. @out: NULL: only count. */
static int list_between(struct arena_snapshot *snap, uint64_t page, uint64_t end,
			struct arena_snapshot_extent *out, uint64_t *inout_nr)
{
	uint64_t follows = UINT64_MAX; /* what lengthens the last extent */

	while (page < end) {
		const uint64_t next = min_u64(end, page + LOOK_PAGES);
		int error;

		mutex_lock(&snap->lock);
		error = snap_error(snap);
		for (; page < next && !error; page++) {
			if (!is_part(snap, page))
				continue;
			if (follows != page && out)
				out[*inout_nr] = (struct arena_snapshot_extent){ (uint32_t)page, 0 };
			*inout_nr += follows != page;
			if (out)
				out[*inout_nr - 1].nr_pages++;
			follows = page + 1;
		}
		mutex_unlock(&snap->lock);
		if (error)
			return error;
	}
	return 0;
}

static int list_all(struct arena_snapshot *snap, struct arena_snapshot_extent *out,
		    uint64_t *out_nr)
{
	int error;

	*out_nr = 0;
	error = list_between(snap, 0, snap->map_pages, out, out_nr);
	return error ? error : list_between(snap, snap->first, snap->end, out, out_nr);
}

/* Memory for @nr extents; they are the snapshot's at once, so that its end frees them. */
static int make_extents(struct arena_snapshot *snap, uint64_t nr)
{
	const uint64_t size = nr * sizeof(*snap->extents), starts = nr * sizeof(*snap->starts);
	int error;

	mutex_lock(&snap->lock);
	error = snap_error(snap);
	if (!error)
		error = snap_charge(snap, size + starts);
	if (!error) {
		snap->nr_extents = nr;
		snap->extents = zt_map(size);
		snap->starts = zt_map(starts);
		error = snap->extents && snap->starts ? 0 : -ENOMEM;
	}
	if (error)
		snap_drop(snap, SNAP_FAILED, error);
	mutex_unlock(&snap->lock);
	return error;
}

/* They are listed into memory of our own: the snapshot may end at any time. */
static int find_extents(struct arena_snapshot *snap)
{
	struct arena_snapshot_extent *list;
	uint64_t nr = 0, again = 0, start = 0;
	int error = list_all(snap, NULL, &nr);

	if (!error)
		error = make_extents(snap, nr);
	if (error)
		return error;
	list = zt_map(nr * sizeof(*list));
	error = list ? list_all(snap, list, &again) : -ENOMEM;
	mutex_lock(&snap->lock);
	if (!error)
		error = snap_error(snap);
	for (uint64_t i = 0; i < nr && !error; i++) {
		snap->extents[i] = list[i];
		snap->starts[i] = start;
		start += list[i].nr_pages;
	}
	if (error)
		snap_drop(snap, SNAP_FAILED, error);
	else
		snap->nr_pages = start;
	mutex_unlock(&snap->lock);
	zt_unmap(list, nr * sizeof(*list));
	return error;
}

int arena_snapshot_find(struct arena *arena, struct arena_snapshot_facts *out_facts)
{
	struct arena_snapshot *snap;
	int error = -ESTALE;

	read_lock(&arena->snapshot_gate);
	snap = arena->snapshot;
	if (snap) {
		error = find_between(snap, 0, snap->map_pages);
		if (!error)
			error = find_between(snap, snap->first, snap->end);
		if (!error)
			error = find_extents(snap);
		if (!error)
			*out_facts = (struct arena_snapshot_facts){
				.reserve = arena->reserve,
				.nr_pages = snap->nr_pages,
				.nr_extents = snap->nr_extents,
			};
	}
	rw_unlock(&arena->snapshot_gate);
	return error;
}

/* ---- what they held ---- */

/* The last extent that begins at or before the @nr-th page. */
static uint64_t extent_of(const struct arena_snapshot *snap, uint64_t nr)
{
	uint64_t low = 0, high = snap->nr_extents;

	while (high - low > 1) {
		const uint64_t mid = low + (high - low) / 2;

		if (snap->starts[mid] <= nr)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* The @nr-th page's number, and how many follow it side by side, itself included. */
static uint64_t page_of(const struct arena_snapshot *snap, uint64_t nr, uint64_t *out_nr_pages)
{
	const uint64_t idx = extent_of(snap, nr), in = nr - snap->starts[idx];

	*out_nr_pages = snap->extents[idx].nr_pages - in;
	return snap->extents[idx].page + in;
}

/* Pages side by side of the same kind. */
static uint64_t same_kind(const struct arena_snapshot *snap, uint64_t page, uint64_t nr_pages)
{
	uint64_t nr = 1;

	if (snap->pages[page] != SNAP_KEPT)
		return 1;
	while (nr < nr_pages && snap->pages[page + nr] == SNAP_KEPT)
		nr++;
	return nr;
}

static int read_pages(struct arena_snapshot *snap, uint64_t page, uint64_t nr_pages, char *buf)
	ZT_REQUIRES(&snap->lock)
{
	for (uint64_t i = 0; i < nr_pages;) {
		const uint64_t nr = same_kind(snap, page + i, nr_pages - i);
		const size_t len = (size_t)nr << ZT_PAGE_SHIFT;
		const uint32_t word = snap->pages[page + i];

		if (word >= SNAP_COPY)
			memcpy(buf, snap_copy_of(snap, word), len);
		else if (word != SNAP_KEPT || pread(snap->arena->fd, buf, len,
						    (off_t)((page + i) << ZT_PAGE_SHIFT)) !=
						      (ssize_t)len)
			return -EIO;
		buf += len;
		i += nr;
	}
	return 0;
}

static void release_pages(struct arena_snapshot *snap, uint64_t page, uint64_t nr_pages)
	ZT_REQUIRES(&snap->lock)
{
	for (uint64_t i = 0; i < nr_pages; i++)
		snap_forget(snap, page + i);
	if (snap_protect(snap, page, nr_pages, false) != 0)
		snap_drop(snap, SNAP_FAILED, -EIO);
}

/* All pages before the @nr-th. */
static void release_before(struct arena_snapshot *snap, uint64_t nr)
{
	bool more = true;

	while (more) {
		mutex_lock(&snap->lock);
		more = snap->state == SNAP_TAKEN && snap->nr_released < nr;
		if (more) {
			uint64_t left, page = page_of(snap, snap->nr_released, &left);

			left = min_u64(min_u64(left, READ_PAGES), nr - snap->nr_released);
			snap->nr_released += left;
			release_pages(snap, page, left);
		}
		mutex_unlock(&snap->lock);
	}
}

/* Some pages from the @nr-th on. Return: 0 or an error. */
static int read_some(struct arena_snapshot *snap, uint64_t nr, uint64_t nr_pages, char *buf,
		     uint64_t *out_nr)
{
	uint64_t left = 0, page;
	int error;

	mutex_lock(&snap->lock);
	error = snap_error(snap);
	if (!error && nr < snap->nr_released)
		error = -EINVAL;
	if (!error) {
		page = page_of(snap, nr, &left);
		*out_nr = min_u64(min_u64(left, READ_PAGES), nr_pages);
		error = read_pages(snap, page, *out_nr, buf);
	}
	mutex_unlock(&snap->lock);
	return error;
}

/* What stands behind the pages, from @off of it on. */
static int read_table(struct arena_snapshot *snap, uint64_t off, char *buf, size_t len,
		      size_t *out_len)
{
	const uint64_t size = snap->nr_extents * sizeof(*snap->extents);
	int error;

	*out_len = off < size ? (size_t)min_u64(len, size - off) : 0;
	mutex_lock(&snap->lock);
	error = snap_error(snap);
	if (!error)
		memcpy(buf, (const char *)snap->extents + off, *out_len);
	mutex_unlock(&snap->lock);
	return error;
}

static int read_all(struct arena_snapshot *snap, uint64_t off, char *buf, size_t len,
		    size_t *out_done)
{
	const uint64_t pages_end = snap->nr_pages << ZT_PAGE_SHIFT;
	size_t done = 0, more = 0;
	int error = 0;

	if (off > ARENA_SNAPSHOT_WINDOW)
		release_before(snap, min_u64((off - ARENA_SNAPSHOT_WINDOW) >> ZT_PAGE_SHIFT,
					     snap->nr_pages));
	while (!error && done < len && off + done < pages_end) {
		const uint64_t first = (off + done) >> ZT_PAGE_SHIFT;
		const uint64_t most =
			min_u64((len - done) >> ZT_PAGE_SHIFT, snap->nr_pages - first);
		uint64_t nr = 0;

		error = most && off % ZT_PAGE_SIZE == 0 ?
				read_some(snap, first, most, buf + done, &nr) :
				-EINVAL;
		done += (size_t)nr << ZT_PAGE_SHIFT;
	}
	if (!error && done < len)
		error = read_table(snap, off + done - pages_end, buf + done, len - done, &more);
	*out_done = done + more;
	return error;
}

int arena_snapshot_read(struct arena *arena, uint64_t off, void *buf, size_t len, size_t *out_done)
{
	struct arena_snapshot *snap;
	int error = -ESTALE;

	read_lock(&arena->snapshot_gate);
	snap = arena->snapshot;
	/* Before find there is nothing to read. */
	if (snap)
		error = read_all(snap, off, buf, len, out_done);
	rw_unlock(&arena->snapshot_gate);
	return error;
}
