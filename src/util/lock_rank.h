/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lock_rank.h - the one order of locks, and in debug builds a check that threads keep to it.
 *
 * Each lock is made with a rank, the place of its kind in doc/design/locks.md. A thread waits only
 * for a lock whose rank is higher than those of all it holds. What a trylock takes is not waited
 * for, so it may have any rank; it counts as held all the same. A wait for a condition gives its
 * mutex back and takes it again, so that mutex must be the highest one held.
 *
 * A thread that breaks the order is stopped by abort(), after a sentence with the names of both
 * kinds. Release builds keep no ranks, and nothing is left of the calls.
 */
#ifndef ZT_UTIL_LOCK_RANK_H
#define ZT_UTIL_LOCK_RANK_H

/* In the order of doc/design/locks.md; tests/docs/check-locks compares. Names: lock_rank.c. */
enum zt_lock_rank {
	ZT_RANK_SETTINGS,
	ZT_RANK_MODULES,
	ZT_RANK_RENAME,
	ZT_RANK_INODE,
	ZT_RANK_INTENT,
	ZT_RANK_PASS,
	ZT_RANK_SPILL_PASS,
	ZT_RANK_STREAM,
	ZT_RANK_SLOT,
	ZT_RANK_SHARE,
	ZT_RANK_REDO,
	ZT_RANK_PRIVATE,
	ZT_RANK_COMPACT,
	ZT_RANK_CLASS,
	ZT_RANK_PAGE_WAIT,
	ZT_RANK_ARENA,
	ZT_RANK_SNAPSHOT_GATE,
	ZT_RANK_SNAPSHOT,
	/* From here on all have the same place: a thread that holds one waits for no other lock. */
	ZT_RANK_CODEC,
	ZT_RANK_READY,
	ZT_RANK_UPKEEP,
	ZT_RANK_RECOMP,
	ZT_RANK_DEDUP,
	ZT_RANK_READERS,
	ZT_RANK_BATCH,
	ZT_RANK_WAITER,
	ZT_RANK_DRAIN,
	ZT_RANK_REAP,
	ZT_RANK_TUNE,
	ZT_RANK_GATE,
	ZT_RANK_PROMISES,
	ZT_RANK_FULL,
	ZT_RANK_LONGLINE,
	ZT_RANK_WRITERS,
	ZT_RANK_LINE_THREAD,
	ZT_RANK_CHANNEL,
	ZT_RANK_RING,
	ZT_RANK_URING,
	ZT_RANK_BUFFERS,
	ZT_RANK_SURVIVE,
	ZT_RANK_ZBENCH,
	ZT_RANK_TRACE,
	ZT_RANK_SPILL,
	ZT_RANK_SPILLER,
	ZT_NR_RANKS
};

#define ZT_RANK_INNERMOST ZT_RANK_CODEC

/** zt_rank_name() - a kind of lock as the document calls it: "class->lock" */
const char *zt_rank_name(enum zt_lock_rank rank);

#ifdef ZT_DEBUG

/** lock_rank_wait() - the thread is about to wait for @lock; aborts when it must not */
void lock_rank_wait(const void *lock, enum zt_lock_rank rank);

/** lock_rank_take() - the thread has taken @lock, whether or not it waited */
void lock_rank_take(const void *lock, enum zt_lock_rank rank);

/** lock_rank_give() - the thread gives @lock back; aborts when it has not taken it */
void lock_rank_give(const void *lock);

/** lock_rank_held() - aborts unless the thread holds @lock */
void lock_rank_held(const void *lock, enum zt_lock_rank rank);

/** lock_rank_cond() - the thread waits for a condition with @lock; aborts unless that is the highest */
void lock_rank_cond(const void *lock, enum zt_lock_rank rank);

#endif
#endif
