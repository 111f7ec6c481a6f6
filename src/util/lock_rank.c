// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lock_rank.c - what each thread holds, and whether it may wait for one lock more. See lock_rank.h.
 *
 * Takes no lock: what a thread holds is its own.
 */
#include "util/lock_rank.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/log.h"

const char *zt_rank_name(enum zt_lock_rank rank)
{
	static const char *const names[] = {
		[ZT_RANK_SETTINGS] = "blkmap.settings_lock",
		[ZT_RANK_MODULES] = "modules_lock",
		[ZT_RANK_RENAME] = "super.rename_lock",
		[ZT_RANK_INODE] = "inode locks",
		[ZT_RANK_INTENT] = "super.intent_lock",
		[ZT_RANK_PASS] = "recomp.pass_lock",
		[ZT_RANK_SPILL_PASS] = "spiller.pass_lock",
		[ZT_RANK_STREAM] = "zcomp per-thread stream",
		[ZT_RANK_SLOT] = "slot locks",
		[ZT_RANK_SHARE] = "share locks",
		[ZT_RANK_REDO] = "codecs.redo_lock",
		[ZT_RANK_PRIVATE] = "zcomp private stream",
		[ZT_RANK_COMPACT] = "pool.compact_lock",
		[ZT_RANK_CLASS] = "class->lock",
		[ZT_RANK_PAGE_WAIT] = "pool.wait_lock",
		[ZT_RANK_ARENA] = "arena.lock",
		[ZT_RANK_SNAPSHOT_GATE] = "snapshot.gate",
		[ZT_RANK_SNAPSHOT] = "snapshot.lock",
		[ZT_RANK_CODEC] = "other codecs' streams",
		[ZT_RANK_READY] = "pool.ready_lock",
		[ZT_RANK_UPKEEP] = "blkmap.thread_lock",
		[ZT_RANK_RECOMP] = "recomp.lock",
		[ZT_RANK_DEDUP] = "dedup.lock",
		[ZT_RANK_READERS] = "blkmap.readers.lock",
		[ZT_RANK_BATCH] = "blkmap.batch_lock",
		[ZT_RANK_WAITER] = "waiter.lock",
		[ZT_RANK_DRAIN] = "super.drain_lock",
		[ZT_RANK_REAP] = "super.reap_lock",
		[ZT_RANK_TUNE] = "super.tune_lock",
		[ZT_RANK_GATE] = "gate.lock",
		[ZT_RANK_PROMISES] = "promises.lock",
		[ZT_RANK_FULL] = "full.lock",
		[ZT_RANK_LONGLINE] = "longline.lock",
		[ZT_RANK_WRITERS] = "writers.lock",
		[ZT_RANK_LINE_THREAD] = "line_thread.lock",
		[ZT_RANK_CHANNEL] = "channel.lock",
		[ZT_RANK_RING] = "ring.lock",
		[ZT_RANK_URING] = "uring.lock",
		[ZT_RANK_BUFFERS] = "buffers.lock",
		[ZT_RANK_SURVIVE] = "survive.lock",
		[ZT_RANK_ZBENCH] = "zbench.lock",
		[ZT_RANK_TRACE] = "trace.lock",
		[ZT_RANK_SPILL] = "spill.lock",
		[ZT_RANK_SPILLER] = "spiller.lock",
	};

	return names[rank];
}

#ifdef ZT_DEBUG

/* A rename holds four inodes, and what one thread takes below them is at most as many again. */
#define MAX_HELD 16u

static _Thread_local struct {
	const void *lock;
	enum zt_lock_rank rank;
} held[MAX_HELD];
static _Thread_local unsigned nr_held;

/* To stderr as well: the log may have no sink, and a daemon's stderr no reader. */
static void __attribute__((noreturn)) refuse(const char *what, enum zt_lock_rank rank,
					     const char *why, const char *other)
{
	fprintf(stderr, "lock order: a thread %s %s %s %s\n", what, zt_rank_name(rank), why, other);
	zt_log(ZT_LOG_ERR, "lock order: a thread %s %s %s %s", what, zt_rank_name(rank), why,
	       other);
	abort();
}

/* Whether a thread that holds a lock may wait for another. */
static bool may_wait(const void *holds, enum zt_lock_rank held_rank, const void *lock,
		     enum zt_lock_rank rank)
{
	if (held_rank >= ZT_RANK_INNERMOST)
		return false;
	/* Inode locks have an order among themselves: that of their table. */
	if (held_rank == rank && rank == ZT_RANK_INODE)
		return holds < lock;
	return held_rank < rank;
}

static void check(const char *what, const void *lock, enum zt_lock_rank rank)
{
	for (unsigned i = 0; i < nr_held; i++)
		if (held[i].lock != lock && !may_wait(held[i].lock, held[i].rank, lock, rank))
			refuse(what, rank, "while it holds", zt_rank_name(held[i].rank));
}

void lock_rank_wait(const void *lock, enum zt_lock_rank rank)
{
	for (unsigned i = 0; i < nr_held; i++)
		if (held[i].lock == lock)
			refuse("waits for", rank, "while it holds", "the same one");
	check("waits for", lock, rank);
}

void lock_rank_take(const void *lock, enum zt_lock_rank rank)
{
	if (nr_held == MAX_HELD)
		refuse("takes", rank, "while it holds", "too many others");
	held[nr_held].lock = lock;
	held[nr_held].rank = rank;
	nr_held++;
}

void lock_rank_give(const void *lock)
{
	unsigned i = nr_held;

	while (i > 0 && held[i - 1].lock != lock)
		i--;
	if (i == 0) {
		fprintf(stderr, "lock order: a thread gives a lock back that it does not hold\n");
		abort();
	}
	nr_held--;
	for (i--; i < nr_held; i++)
		held[i] = held[i + 1];
}

void lock_rank_held(const void *lock, enum zt_lock_rank rank)
{
	unsigned i = 0;

	while (i < nr_held && held[i].lock != lock)
		i++;
	if (i == nr_held)
		refuse("goes on without", rank, "that", "it must hold");
}

void lock_rank_cond(const void *lock, enum zt_lock_rank rank)
{
	check("waits for a condition with", lock, rank);
}

#endif
