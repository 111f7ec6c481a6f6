// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * snapshot.c - the life of a snapshot, its thread, and what populating and punching tell it.
 *
 * Locks: snapshot.gate, exclusively by the moment and where snapshots come and go; snapshot.lock. The
 * thread takes the latter alone: others may wait for it with any lock held.
 */
#include "arena/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arena/scratch.h"
#include "arena/snapshot_i.h"
#include "util/alloc.h"

/* ---- what happens to pages ---- */

/* They are younger. The kernel populates nothing that is protected. */
static void pages_come(struct arena_snapshot *snap, uint64_t page, uint32_t nr_pages)
	ZT_REQUIRES(&snap->lock)
{
	if (!snap_covers(snap, page))
		return;
	for (uint64_t i = page; i < page + nr_pages; i++)
		if (snap->pages[i] == SNAP_NONE)
			snap->pages[i] = SNAP_DONE;
	if (snap_protect(snap, page, nr_pages, false) != 0)
		snap_drop(snap, SNAP_FAILED, -EIO);
}

static void pages_go(struct arena_snapshot *snap, uint64_t page, uint32_t nr_pages)
	ZT_REQUIRES(&snap->lock)
{
	for (uint64_t i = page; i < page + nr_pages; i++)
		snap_keep(snap, i);
}

static void pages_change(struct arena *arena, ref_t page, uint32_t nr_pages, bool come)
{
	struct arena_snapshot *snap = arena->snapshot;

	mutex_lock(&snap->lock);
	if (snap->state == SNAP_TAKEN && come)
		pages_come(snap, page / ARENA_PAGE_REFS, nr_pages);
	else if (snap->state == SNAP_TAKEN)
		pages_go(snap, page / ARENA_PAGE_REFS, nr_pages);
	mutex_unlock(&snap->lock);
}

/* ---- the thread ---- */

static void page_will_change(struct arena_snapshot *snap, uint64_t address)
{
	const uint64_t page = (address - (uint64_t)(uintptr_t)snap->arena->head.base) >> ZT_PAGE_SHIFT;

	mutex_lock(&snap->lock);
	snap_keep(snap, page);
	/* Whoever waits for it goes on; where all has ended the kernel has seen to that. */
	if (snap->state == SNAP_TAKEN && snap_protect(snap, page, 1, false) != 0)
		snap_drop(snap, SNAP_FAILED, -EIO);
	mutex_unlock(&snap->lock);
}

static void read_messages(struct arena_snapshot *snap)
{
	struct uffd_msg messages[16];
	const ssize_t len = read(snap->uffd, messages, sizeof(messages));

	for (ssize_t i = 0; i < len / (ssize_t)sizeof(messages[0]); i++)
		if (messages[i].event == UFFD_EVENT_PAGEFAULT)
			page_will_change(snap, messages[i].arg.pagefault.address);
}

static void *serve(void *arg)
{
	struct arena_snapshot *snap = arg;
	struct pollfd fds[] = { { .fd = snap->uffd, .events = POLLIN },
				{ .fd = snap->over, .events = POLLIN } };

	(void)pthread_setname_np(pthread_self(), "zt-save");
	while (!(fds[1].revents & POLLIN)) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			abort();
		if (fds[0].revents & POLLIN)
			read_messages(snap);
	}
	mutex_lock(&snap->lock);
	snap_drop(snap, SNAP_OVER, -ESTALE);
	mutex_unlock(&snap->lock);
	return NULL;
}

/* ---- life ---- */

/* Return: 0; -EOPNOTSUPP, or what the call says. */
static int open_uffd(struct arena_snapshot *snap)
{
#ifdef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_WP_HUGETLBFS_SHMEM };
	struct uffdio_register range = {
		.range = { .start = (uint64_t)(uintptr_t)snap->arena->head.base,
			   .len = snap->arena->reserve },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int error;

	snap->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (snap->uffd < 0)
		return -errno;
	if (ioctl(snap->uffd, UFFDIO_API, &api) != 0)
		error = -EOPNOTSUPP;
	else
		error = ioctl(snap->uffd, UFFDIO_REGISTER, &range) != 0 ? -errno : 0;
	if (error)
		close(snap->uffd);
	return error;
#else
	(void)snap;
	return -EOPNOTSUPP;
#endif
}

static int start_thread(struct arena_snapshot *snap)
{
	int error;

	snap->over = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (snap->over < 0)
		return -errno;
	error = open_uffd(snap);
	if (error)
		goto err_over;
	error = -pthread_create(&snap->thread, NULL, serve, snap);
	if (!error)
		return 0;
	close(snap->uffd);
err_over:
	close(snap->over);
	return error;
}

/* Return: whether it was there and goes on. */
static bool is_going_on(struct arena *arena)
{
	struct arena_snapshot *snap;
	bool going_on = false;

	read_lock(&arena->snapshot_gate);
	snap = arena->snapshot;
	if (snap) {
		mutex_lock(&snap->lock);
		going_on = (snap->state == SNAP_PREPARED || snap->state == SNAP_TAKEN) &&
			   !atomic_load(&snap->given_up);
		mutex_unlock(&snap->lock);
	}
	rw_unlock(&arena->snapshot_gate);
	return going_on;
}

int arena_snapshot_prepare(struct arena *arena)
{
	struct arena_snapshot *snap;
	int error;

	if (arena_is_stocked(arena))
		return -EOPNOTSUPP;
	if (is_going_on(arena))
		return -EBUSY;
	arena_snapshot_end(arena);
	snap = zt_zalloc(sizeof(*snap));
	if (!snap)
		return -ENOMEM;
	snap->arena = arena;
	mutex_init(&snap->lock, ZT_RANK_SNAPSHOT);
	error = start_thread(snap);
	if (error) {
		mutex_exit(&snap->lock);
		zt_free(snap);
		return error;
	}
	write_lock(&arena->snapshot_gate);
	arena->snapshot_tell = pages_change;
	arena->snapshot = snap;
	rw_unlock(&arena->snapshot_gate);
	return 0;
}

/* Both locks are held: whoever populates, punches or stores meanwhile waits. */
static int protect_all(struct arena_snapshot *snap) ZT_REQUIRES(&snap->lock)
{
	const struct arena *arena = snap->arena;
	const uint64_t map_end = atomic_load_explicit(&arena->map_end, memory_order_acquire);
	int error = snap_charge(snap, map_end * sizeof(*snap->pages));

	if (error)
		return error;
	/* Untouched, and so for nothing, but for the pages in use. */
	snap->pages_size = (arena->first_page + map_end) * sizeof(*snap->pages);
	snap->pages = zt_map(snap->pages_size);
	if (!snap->pages)
		return -ENOMEM;
	snap->map_pages = 1 + map_end / BUDDY_CHUNK_PAGES;
	snap->first = arena->first_page - ARENA_SCRATCH_PAGES;
	snap->end = arena->first_page + map_end;
	error = snap_protect(snap, 0, snap->map_pages, true);
	return error ? error : snap_protect(snap, snap->first, snap->end - snap->first, true);
}

static int take_all(struct arena_snapshot *snap) ZT_REQUIRES(&snap->lock)
{
	int error;

	if (snap->state != SNAP_PREPARED)
		return -ESTALE;
	error = protect_all(snap);
	if (error)
		snap_drop(snap, SNAP_FAILED, error);
	else
		snap->state = SNAP_TAKEN;
	return error;
}

int arena_snapshot_take(struct arena *arena)
{
	struct arena_snapshot *snap;
	int error;

	write_lock(&arena->snapshot_gate);
	snap = arena->snapshot;
	mutex_lock(&snap->lock);
	error = take_all(snap);
	mutex_unlock(&snap->lock);
	rw_unlock(&arena->snapshot_gate);
	return error;
}

uint64_t arena_snapshot_held(struct arena *arena)
{
	uint64_t held = 0;

	read_lock(&arena->snapshot_gate);
	if (arena->snapshot) {
		mutex_lock(&arena->snapshot->lock);
		held = arena->snapshot->charged;
		mutex_unlock(&arena->snapshot->lock);
	}
	rw_unlock(&arena->snapshot_gate);
	return held;
}

bool arena_snapshot_sacrifice(struct arena *arena)
{
	bool had = false;

	read_lock(&arena->snapshot_gate);
	if (arena->snapshot) {
		mutex_lock(&arena->snapshot->lock);
		had = arena->snapshot->charged > 0;
		snap_drop(arena->snapshot, SNAP_FAILED, -ENOSPC);
		mutex_unlock(&arena->snapshot->lock);
	}
	rw_unlock(&arena->snapshot_gate);
	return had;
}

static void tell_thread(const struct arena_snapshot *snap)
{
	const uint64_t one = 1;

	if (write(snap->over, &one, sizeof(one)) != sizeof(one))
		abort();
}

void arena_snapshot_give_up(struct arena *arena)
{
	read_lock(&arena->snapshot_gate);
	if (arena->snapshot) {
		atomic_store(&arena->snapshot->given_up, true);
		tell_thread(arena->snapshot);
	}
	rw_unlock(&arena->snapshot_gate);
}

void arena_snapshot_end(struct arena *arena)
{
	struct arena_snapshot *snap;

	write_lock(&arena->snapshot_gate);
	snap = arena->snapshot;
	arena->snapshot = NULL;
	rw_unlock(&arena->snapshot_gate);
	if (!snap)
		return;
	tell_thread(snap);
	zt_lock_check(pthread_join(snap->thread, NULL));
	close(snap->uffd);
	close(snap->over);
	mutex_exit(&snap->lock);
	zt_free(snap);
}
