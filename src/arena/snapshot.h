/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot.h - the arena as it was at one moment, read while it is in use.
 *
 *     prepare --> take --> find --> read ... read --> end
 *                  |
 *                  `-- the moment: what the pages held then is what is read
 *
 * At the moment all pages in use are write-protected by userfaultfd(2). A thread that stores into one
 * waits until the snapshot's thread has copied the page, some ten microseconds, and once for each
 * page. What has been read is protected no longer. So the cost in memory is that of the pages that
 * change before they are read, and a word for each page of the range in use.
 *
 * Threads that store during the call of take are stopped at a store, and go on after it: the snapshot
 * is what a process that is killed at that moment leaves, whoever holds which lock.
 *
 * Context: take, find and read want a snapshot; one at a time. Locks: snapshot.gate, taken shared
 * around populating and punching, below arena.lock; below it snapshot.lock.
 */
#ifndef ZT_ARENA_SNAPSHOT_H
#define ZT_ARENA_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "arena/arena.h"
#include "util/compiler.h"

/*
 * What arena_snapshot_read() gives, one behind the other: the pages that there were, in their order;
 * then extents, which say where they belong.
 */
struct arena_snapshot_facts {
	uint64_t reserve; /* bytes of the range */
	uint64_t nr_pages, nr_extents;
};

struct arena_snapshot_extent {
	uint32_t page, nr_pages; /* numbers of the arena's pages */
};

/* So far behind the place that was read last all can be read again; bytes. */
#define ARENA_SNAPSHOT_WINDOW (UINT64_C(4) << 20)

/**
 * arena_snapshot_prepare() - all that the moment needs
 * Return: 0, and arena_snapshot_end() must follow; -EBUSY there is one; -EOPNOTSUPP a stocked arena, or
 *         a kernel before 5.19; -EPERM, -ENOSYS the machine does not allow userfaultfd(2); -ENOMEM,
 *         -ENOSPC (limit).
 */
int arena_snapshot_prepare(struct arena *arena) ZT_MUST_CHECK;

/** arena_snapshot_take() - the moment. Return: 0 or -errno; what happens next is arena_snapshot_end(). */
int arena_snapshot_take(struct arena *arena) ZT_MUST_CHECK;

/** arena_snapshot_find() - which pages there were. Return: 0, -ENOMEM, as arena_snapshot_read(). */
int arena_snapshot_find(struct arena *arena, struct arena_snapshot_facts *out_facts) ZT_MUST_CHECK;

/**
 * arena_snapshot_read() - bytes from @off on; of pages in whole pages only
 * Places that lie ARENA_SNAPSHOT_WINDOW before it are given up.
 * Context: any thread, several at a time.
 * Return: 0, fewer bytes at the end; -ESTALE there is no snapshot, or no longer; -EINVAL; -ENOSPC,
 *         -ENOMEM: no memory was left for pages that changed, so it has ended; -EIO.
 */
int arena_snapshot_read(struct arena *arena, uint64_t off, void *buf, size_t len,
			size_t *out_done) ZT_MUST_CHECK;

/** arena_snapshot_held() - bytes of memory that it has now. Context: any thread. */
uint64_t arena_snapshot_held(struct arena *arena);

/**
 * arena_snapshot_sacrifice() - it ends at once with -ENOSPC, since others need its memory
 * Context: any thread. Return: whether it had any.
 */
bool arena_snapshot_sacrifice(struct arena *arena);

/**
 * arena_snapshot_give_up() - it ends soon, without a wait; the next one may be prepared at once
 * Context: any thread, any locks.
 */
void arena_snapshot_give_up(struct arena *arena);

/** arena_snapshot_end() - it has ended when this returns; without one nothing happens */
void arena_snapshot_end(struct arena *arena);

#endif
