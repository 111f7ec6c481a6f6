/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * accel_sync.h - the pseudo-accelerator's mutexes and counters. Those of util/lock.h are not for
 * backends, which may be modules.
 */
#ifndef ZT_BACKENDS_ACCEL_SYNC_H
#define ZT_BACKENDS_ACCEL_SYNC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

/* A lock call fails only for a broken invariant of ours. */
static inline void accel_lock(pthread_mutex_t *mutex)
{
	if (pthread_mutex_lock(mutex) != 0)
		abort();
}

static inline void accel_unlock(pthread_mutex_t *mutex)
{
	if (pthread_mutex_unlock(mutex) != 0)
		abort();
}

static inline void accel_count(atomic_uint_fast64_t *counter, uint64_t add)
{
	atomic_fetch_add_explicit(counter, add, memory_order_relaxed);
}

#endif
