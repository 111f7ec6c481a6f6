// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lock.c - how often and how long locks are waited for. See lock.h.
 *
 * Takes no lock but the one that it is asked to take.
 */
#include "util/lock.h"

#include <stdatomic.h>

#include "util/clock.h"

/*
 * Only threads that have waited anyway add to it; stat reads it. Relaxed: each number is right by
 * itself, and nothing is concluded from two of them. One cache line a kind, so that kinds don't
 * disturb others.
 */
static struct {
	atomic_uint_fast64_t waits, ns;
} __attribute__((aligned(64))) counters[ZT_NR_LOCK_KINDS];

const char *zt_lock_name(enum zt_lock_kind kind)
{
	static const char *const names[ZT_NR_LOCK_KINDS] = {
		[ZT_LOCK_FILE] = "file",     [ZT_LOCK_DIR] = "dir",
		[ZT_LOCK_RENAME] = "rename", [ZT_LOCK_SLOT] = "slot",
		[ZT_LOCK_SHARE] = "share",   [ZT_LOCK_CLASS] = "class",
		[ZT_LOCK_PAGE] = "page",     [ZT_LOCK_COMPACT] = "compact",
		[ZT_LOCK_ARENA] = "arena",   [ZT_LOCK_STREAM] = "stream",
		[ZT_LOCK_BATCH] = "batch",   [ZT_LOCK_TRANSPORT] = "transport",
	};

	return names[kind];
}

struct zt_lock_waits zt_lock_waits(enum zt_lock_kind kind)
{
	return (struct zt_lock_waits){
		.waits = atomic_load_explicit(&counters[kind].waits, memory_order_relaxed),
		.ns = atomic_load_explicit(&counters[kind].ns, memory_order_relaxed),
	};
}

uint64_t zt_lock_wait_begin(void)
{
	return zt_now_ns();
}

void zt_lock_wait_end(enum zt_lock_kind kind, uint64_t begin)
{
	const uint64_t ns = zt_lock_wait_begin() - begin;

	atomic_fetch_add_explicit(&counters[kind].waits, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&counters[kind].ns, ns, memory_order_relaxed);
}

void mutex_lock_wait(struct mutex *mutex, enum zt_lock_kind kind)
{
	const uint64_t begin = zt_lock_wait_begin();

	mutex_lock(mutex);
	zt_lock_wait_end(kind, begin);
}

void read_lock_wait(struct rwlock *lock, enum zt_lock_kind kind)
{
	const uint64_t begin = zt_lock_wait_begin();

	read_lock(lock);
	zt_lock_wait_end(kind, begin);
}

void write_lock_wait(struct rwlock *lock, enum zt_lock_kind kind)
{
	const uint64_t begin = zt_lock_wait_begin();

	write_lock(lock);
	zt_lock_wait_end(kind, begin);
}
