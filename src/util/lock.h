/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lock.h - mutexes and reader-writer locks that stop the program when they are misused.
 *
 * A pthread lock call fails only for a broken invariant of ours (a lock taken twice, one given back
 * that was not held), so these return nothing and abort. In debug builds mutexes check their owner.
 *
 * The locks that requests meet are taken by the ..._counted() forms: who finds one taken looks at the
 * clock before and after, and adds what it waited to the counters of its kind. An uncontended lock
 * costs what it costs without. The counters are the process's, added up over all locks of a kind.
 */
#ifndef ZT_UTIL_LOCK_H
#define ZT_UTIL_LOCK_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "util/compiler.h"

/* What a lock is for, as `ztmpfsctl stat` shows it; zt_lock_name() has the names. */
enum zt_lock_kind {
	ZT_LOCK_FILE, /* inode locks: content and attributes; also for writes that end later */
	ZT_LOCK_DIR, /* the same locks: names are looked up, listed, made, removed */
	ZT_LOCK_RENAME, /* directories keep their parents */
	ZT_LOCK_SLOT, /* the words of clusters */
	ZT_LOCK_SHARE, /* objects that several files share */
	ZT_LOCK_CLASS, /* a size class of a pool */
	ZT_LOCK_PAGE, /* no lock: a page of a pool that somebody populates or gives back */
	ZT_LOCK_COMPACT, /* compaction of a pool */
	ZT_LOCK_ARENA, /* runs of pages */
	ZT_LOCK_STREAM, /* compression streams of the serving threads */
	ZT_LOCK_BATCH, /* writes that end in another thread */
	ZT_LOCK_TRANSPORT, /* buffers of requests and replies, lists of rings */
	ZT_NR_LOCK_KINDS
};

/* How often somebody waited for locks of one kind, and for how many ns altogether. */
struct zt_lock_waits {
	uint64_t waits, ns;
};

/** zt_lock_name() - one word for a kind: "file", "class", ... */
const char *zt_lock_name(enum zt_lock_kind kind);

/** zt_lock_waits() - the counters of a kind, since the process began. Any thread, no locks. */
struct zt_lock_waits zt_lock_waits(enum zt_lock_kind kind);

/** zt_lock_wait_begin() - for what is waited for otherwise; give the result to zt_lock_wait_end() */
uint64_t zt_lock_wait_begin(void);

/** zt_lock_wait_end() - one wait more, since @begin */
void zt_lock_wait_end(enum zt_lock_kind kind, uint64_t begin);

/* The slow halves of the ..._counted() forms below, out of line to keep these short. */
void mutex_lock_wait(pthread_mutex_t *mutex, enum zt_lock_kind kind);
void read_lock_wait(pthread_rwlock_t *lock, enum zt_lock_kind kind);
void write_lock_wait(pthread_rwlock_t *lock, enum zt_lock_kind kind);

static inline void zt_lock_check(int error)
{
	if (unlikely(error != 0))
		abort();
}

static inline void mutex_init(pthread_mutex_t *mutex)
{
#ifdef ZT_DEBUG
	pthread_mutexattr_t attr;

	zt_lock_check(pthread_mutexattr_init(&attr));
	zt_lock_check(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK));
	zt_lock_check(pthread_mutex_init(mutex, &attr));
	zt_lock_check(pthread_mutexattr_destroy(&attr));
#else
	zt_lock_check(pthread_mutex_init(mutex, NULL));
#endif
}

static inline void mutex_exit(pthread_mutex_t *mutex)
{
	zt_lock_check(pthread_mutex_destroy(mutex));
}

static inline void mutex_lock(pthread_mutex_t *mutex)
{
	zt_lock_check(pthread_mutex_lock(mutex));
}

static inline bool mutex_trylock(pthread_mutex_t *mutex)
{
	int error = pthread_mutex_trylock(mutex);

	if (error == EBUSY)
		return false;
	zt_lock_check(error);
	return true;
}

static inline void mutex_lock_counted(pthread_mutex_t *mutex, enum zt_lock_kind kind)
{
	if (unlikely(!mutex_trylock(mutex)))
		mutex_lock_wait(mutex, kind);
}

static inline void mutex_unlock(pthread_mutex_t *mutex)
{
	zt_lock_check(pthread_mutex_unlock(mutex));
}

/* Times to wait until are zt_now_ns()'s: setting the machine's clock ends no wait. */
static inline void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	zt_lock_check(pthread_condattr_init(&attr));
	zt_lock_check(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	zt_lock_check(pthread_cond_init(cond, &attr));
	zt_lock_check(pthread_condattr_destroy(&attr));
}

/* Writers are preferred: truncate must not starve behind a stream of writes. Not recursive. */
static inline void rwlock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	zt_lock_check(pthread_rwlockattr_init(&attr));
	zt_lock_check(
		pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
	zt_lock_check(pthread_rwlock_init(lock, &attr));
	zt_lock_check(pthread_rwlockattr_destroy(&attr));
}

static inline void rwlock_exit(pthread_rwlock_t *lock)
{
	zt_lock_check(pthread_rwlock_destroy(lock));
}

static inline void read_lock(pthread_rwlock_t *lock)
{
	zt_lock_check(pthread_rwlock_rdlock(lock));
}

static inline bool read_trylock(pthread_rwlock_t *lock)
{
	int error = pthread_rwlock_tryrdlock(lock);

	if (error == EBUSY)
		return false;
	zt_lock_check(error);
	return true;
}

static inline void write_lock(pthread_rwlock_t *lock)
{
	zt_lock_check(pthread_rwlock_wrlock(lock));
}

static inline bool write_trylock(pthread_rwlock_t *lock)
{
	int error = pthread_rwlock_trywrlock(lock);

	if (error == EBUSY || error == EDEADLK)
		return false;
	zt_lock_check(error);
	return true;
}

static inline void read_lock_counted(pthread_rwlock_t *lock, enum zt_lock_kind kind)
{
	if (unlikely(!read_trylock(lock)))
		read_lock_wait(lock, kind);
}

static inline void write_lock_counted(pthread_rwlock_t *lock, enum zt_lock_kind kind)
{
	if (unlikely(!write_trylock(lock)))
		write_lock_wait(lock, kind);
}

static inline void rw_unlock(pthread_rwlock_t *lock)
{
	zt_lock_check(pthread_rwlock_unlock(lock));
}

#endif
