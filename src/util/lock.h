/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lock.h - mutexes and reader-writer locks that stop the program when they are misused.
 *
 * A pthread lock call fails only for a broken invariant of ours (a lock taken twice, one given back
 * that was not held), so these return nothing and abort. In debug builds mutexes check their owner.
 */
#ifndef ZT_UTIL_LOCK_H
#define ZT_UTIL_LOCK_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "util/compiler.h"

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

static inline void mutex_unlock(pthread_mutex_t *mutex)
{
	zt_lock_check(pthread_mutex_unlock(mutex));
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

static inline void rw_unlock(pthread_rwlock_t *lock)
{
	zt_lock_check(pthread_rwlock_unlock(lock));
}

#endif
