/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lock.h - mutexes and reader-writer locks that stop the program when they are misused.
 *
 * A pthread lock call fails only for a broken invariant of ours (a lock taken twice, one given back
 * that was not held), so these return nothing and abort. In debug builds mutexes check their owner,
 * and all locks the order in which a thread takes them (lock_rank.h). clang checks what functions
 * say about locks (compiler.h).
 *
 * The locks that requests meet are taken by the ..._counted() forms. A thread that finds one taken
 * reads the clock before and after its wait, and adds the time to the counters of its kind. A free
 * lock costs nothing more. The counters are the process's, added up over all locks of a kind.
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
#include "util/lock_rank.h"

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

/* For what is waited for otherwise: the end counts one wait more, since the result of the begin. */
uint64_t zt_lock_wait_begin(void);
void zt_lock_wait_end(enum zt_lock_kind kind, uint64_t begin);

/* Ranks are kept in debug builds only. */
struct ZT_CAPABILITY("mutex") mutex {
	pthread_mutex_t mutex;
#ifdef ZT_DEBUG
	enum zt_lock_rank rank;
#endif
};

struct ZT_CAPABILITY("rwlock") rwlock {
	pthread_rwlock_t lock;
#ifdef ZT_DEBUG
	enum zt_lock_rank rank;
#endif
};

/* zt_lock_waits_for() - said before a trylock that is followed by a wait when it fails */
#ifdef ZT_DEBUG
#define zt_lock_set_rank(lock, value) ((void)((lock)->rank = (value)))
#define zt_lock_waits_for(lock)       lock_rank_wait((lock), (lock)->rank)
#define zt_lock_taken(lock)           lock_rank_take((lock), (lock)->rank)
#define zt_lock_given(lock)           lock_rank_give(lock)
#define zt_lock_cond(lock)            lock_rank_cond((lock), (lock)->rank)
#define zt_lock_held(lock)            lock_rank_held((lock), (lock)->rank)
#define MUTEX_INITIALIZER(value)      { .mutex = PTHREAD_MUTEX_INITIALIZER, .rank = (value) }
#else
#define zt_lock_set_rank(lock, value) ((void)(value))
#define zt_lock_waits_for(lock)       ((void)(lock))
#define zt_lock_taken(lock)           ((void)(lock))
#define zt_lock_given(lock)           ((void)(lock))
#define zt_lock_cond(lock)            ((void)(lock))
#define zt_lock_held(lock)            ((void)(lock))
#define MUTEX_INITIALIZER(value)      { .mutex = PTHREAD_MUTEX_INITIALIZER }
#endif

static inline void zt_lock_check(int error)
{
	if (unlikely(error != 0))
		abort();
}

/* Mutexes --------------------------------------------------------------- */

static inline void mutex_init(struct mutex *mutex, enum zt_lock_rank rank)
{
	zt_lock_set_rank(mutex, rank);
#ifdef ZT_DEBUG
	pthread_mutexattr_t attr;

	zt_lock_check(pthread_mutexattr_init(&attr));
	zt_lock_check(pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK));
	zt_lock_check(pthread_mutex_init(&mutex->mutex, &attr));
	zt_lock_check(pthread_mutexattr_destroy(&attr));
#else
	zt_lock_check(pthread_mutex_init(&mutex->mutex, NULL));
#endif
}

static inline void mutex_exit(struct mutex *mutex)
{
	zt_lock_check(pthread_mutex_destroy(&mutex->mutex));
}

static inline void mutex_lock(struct mutex *mutex) ZT_ACQUIRE(mutex) ZT_NO_LOCK_CHECK
{
	zt_lock_waits_for(mutex);
	zt_lock_check(pthread_mutex_lock(&mutex->mutex));
	zt_lock_taken(mutex);
}

static inline bool mutex_trylock(struct mutex *mutex) ZT_TRY_ACQUIRE(mutex) ZT_NO_LOCK_CHECK
{
	int error = pthread_mutex_trylock(&mutex->mutex);

	if (error == EBUSY)
		return false;
	zt_lock_check(error);
	zt_lock_taken(mutex);
	return true;
}

void mutex_lock_wait(struct mutex *mutex, enum zt_lock_kind kind) ZT_ACQUIRE(mutex);

static inline void mutex_lock_counted(struct mutex *mutex, enum zt_lock_kind kind)
	ZT_ACQUIRE(mutex)
{
	zt_lock_waits_for(mutex);
	if (unlikely(!mutex_trylock(mutex)))
		mutex_lock_wait(mutex, kind);
}

static inline void mutex_unlock(struct mutex *mutex) ZT_RELEASE(mutex) ZT_NO_LOCK_CHECK
{
	zt_lock_given(mutex);
	zt_lock_check(pthread_mutex_unlock(&mutex->mutex));
}

/* For locks that clang cannot follow: from here on it takes it as held, and debug builds look. */
static inline void mutex_assert_held(struct mutex *mutex) ZT_ASSERTS(mutex)
{
	zt_lock_held(mutex);
}

/* Conditions ------------------------------------------------------------ */

/* Times to wait until are zt_now_ns()'s: setting the machine's clock ends no wait. */
static inline void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	zt_lock_check(pthread_condattr_init(&attr));
	zt_lock_check(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	zt_lock_check(pthread_cond_init(cond, &attr));
	zt_lock_check(pthread_condattr_destroy(&attr));
}

static inline void cond_exit(pthread_cond_t *cond)
{
	zt_lock_check(pthread_cond_destroy(cond));
}

/* As always with conditions: it may return without a signal. */
static inline void cond_wait(pthread_cond_t *cond, struct mutex *mutex) ZT_REQUIRES(mutex)
{
	zt_lock_cond(mutex);
	zt_lock_check(pthread_cond_wait(cond, &mutex->mutex));
}

/* Return: false when the time is over. */
static inline bool cond_wait_until(pthread_cond_t *cond, struct mutex *mutex,
				   const struct timespec *until) ZT_REQUIRES(mutex)
{
	int error;

	zt_lock_cond(mutex);
	error = pthread_cond_timedwait(cond, &mutex->mutex, until);
	if (error == ETIMEDOUT)
		return false;
	zt_lock_check(error);
	return true;
}

static inline void cond_signal(pthread_cond_t *cond)
{
	zt_lock_check(pthread_cond_signal(cond));
}

static inline void cond_broadcast(pthread_cond_t *cond)
{
	zt_lock_check(pthread_cond_broadcast(cond));
}

/* Reader-writer locks --------------------------------------------------- */

/* Writers are preferred: truncate must not starve behind a stream of writes. Not recursive. */
static inline void rwlock_init(struct rwlock *lock, enum zt_lock_rank rank)
{
	pthread_rwlockattr_t attr;

	zt_lock_set_rank(lock, rank);
	zt_lock_check(pthread_rwlockattr_init(&attr));
	zt_lock_check(
		pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
	zt_lock_check(pthread_rwlock_init(&lock->lock, &attr));
	zt_lock_check(pthread_rwlockattr_destroy(&attr));
}

static inline void rwlock_exit(struct rwlock *lock)
{
	zt_lock_check(pthread_rwlock_destroy(&lock->lock));
}

static inline void read_lock(struct rwlock *lock) ZT_ACQUIRE_SHARED(lock) ZT_NO_LOCK_CHECK
{
	zt_lock_waits_for(lock);
	zt_lock_check(pthread_rwlock_rdlock(&lock->lock));
	zt_lock_taken(lock);
}

static inline bool read_trylock(struct rwlock *lock) ZT_TRY_SHARED(lock) ZT_NO_LOCK_CHECK
{
	int error = pthread_rwlock_tryrdlock(&lock->lock);

	if (error == EBUSY)
		return false;
	zt_lock_check(error);
	zt_lock_taken(lock);
	return true;
}

static inline void write_lock(struct rwlock *lock) ZT_ACQUIRE(lock) ZT_NO_LOCK_CHECK
{
	zt_lock_waits_for(lock);
	zt_lock_check(pthread_rwlock_wrlock(&lock->lock));
	zt_lock_taken(lock);
}

static inline bool write_trylock(struct rwlock *lock) ZT_TRY_ACQUIRE(lock) ZT_NO_LOCK_CHECK
{
	int error = pthread_rwlock_trywrlock(&lock->lock);

	if (error == EBUSY || error == EDEADLK)
		return false;
	zt_lock_check(error);
	zt_lock_taken(lock);
	return true;
}

void read_lock_wait(struct rwlock *lock, enum zt_lock_kind kind) ZT_ACQUIRE_SHARED(lock);
void write_lock_wait(struct rwlock *lock, enum zt_lock_kind kind) ZT_ACQUIRE(lock);

static inline void read_lock_counted(struct rwlock *lock, enum zt_lock_kind kind)
	ZT_ACQUIRE_SHARED(lock)
{
	zt_lock_waits_for(lock);
	if (unlikely(!read_trylock(lock)))
		read_lock_wait(lock, kind);
}

static inline void write_lock_counted(struct rwlock *lock, enum zt_lock_kind kind) ZT_ACQUIRE(lock)
{
	zt_lock_waits_for(lock);
	if (unlikely(!write_trylock(lock)))
		write_lock_wait(lock, kind);
}

static inline void read_assert_held(struct rwlock *lock) ZT_ASSERTS_SHARED(lock)
{
	zt_lock_held(lock);
}

static inline void write_assert_held(struct rwlock *lock) ZT_ASSERTS(lock)
{
	zt_lock_held(lock);
}

static inline void rw_unlock(struct rwlock *lock) ZT_RELEASE_GENERIC(lock) ZT_NO_LOCK_CHECK
{
	zt_lock_given(lock);
	zt_lock_check(pthread_rwlock_unlock(&lock->lock));
}

#endif
