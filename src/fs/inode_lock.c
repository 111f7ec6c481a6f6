// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * inode_lock.c - the hashed locks of inodes: waiting, writes that end later, several at a time. See
 * inode_lock.h.
 */
#include "fs/inode_lock.h"

/*
 * Either the thread that waits sees 0, or the one that ends the last write sees that it waits: all
 * four accesses are sequentially consistent.
 */
void inode_drain(struct super *sb, struct inode_lock *lock)
{
	const uint64_t begin = zt_lock_wait_begin();

	atomic_fetch_add(&sb->nr_draining, 1);
	mutex_lock(&sb->drain_lock);
	while (atomic_load(&lock->nr_async) > 0)
		cond_wait(&sb->drain_cond, &sb->drain_lock);
	mutex_unlock(&sb->drain_lock);
	atomic_fetch_sub(&sb->nr_draining, 1);
	zt_lock_wait_end(ZT_LOCK_FILE, begin);
}

void inode_async_end(struct super *sb, struct inode_lock *lock)
{
	if (atomic_fetch_sub(&lock->nr_async, 1) != 1 || atomic_load(&sb->nr_draining) == 0)
		return;
	mutex_lock(&sb->drain_lock);
	cond_broadcast(&sb->drain_cond);
	mutex_unlock(&sb->drain_lock);
}

void inode_lock_wait(struct inode_lock *lock, enum zt_lock_kind kind,
		     bool exclusive) ZT_NO_LOCK_CHECK /* either way; the callers say which */
{
	atomic_fetch_add_explicit(&lock->nr_waiting, 1, memory_order_relaxed);
	if (exclusive)
		write_lock_wait(&lock->lock, kind);
	else
		read_lock_wait(&lock->lock, kind);
	atomic_fetch_sub_explicit(&lock->nr_waiting, 1, memory_order_relaxed);
}

static void lock_set_insert(struct inode_lock_set *set, struct inode_lock *lock)
{
	unsigned at = 0;

	while (at < set->nr && set->locks[at] < lock)
		at++;
	if (at < set->nr && set->locks[at] == lock)
		return;
	ZT_ASSERT(set->nr < INODE_LOCK_SET_MAX);
	for (unsigned i = set->nr; i > at; i--)
		set->locks[i] = set->locks[i - 1];
	set->locks[at] = lock;
	set->nr++;
}

void inode_lock_set(struct super *sb, const ino_nr *inos, unsigned nr, enum zt_lock_kind kind,
		    struct inode_lock_set *out_set)
	ZT_NO_LOCK_CHECK /* a set of them: more than clang follows, here and below */
{
	out_set->nr = 0;
	for (unsigned i = 0; i < nr; i++)
		if (inos[i] != 0)
			lock_set_insert(out_set, inode_lock_of(sb, inos[i]));
	for (unsigned i = 0; i < out_set->nr; i++)
		inode_lock_exclusive(sb, out_set->locks[i], kind);
}

bool inode_lock_set_try(struct super *sb, ino_nr ino, struct inode_lock_set *set) ZT_NO_LOCK_CHECK
{
	struct inode_lock *lock = inode_lock_of(sb, ino);

	for (unsigned i = 0; i < set->nr; i++)
		if (set->locks[i] == lock)
			return true;
	if (set->nr == INODE_LOCK_SET_MAX || !write_trylock(&lock->lock))
		return false;
	/* The caller begins again, in order, and waits then. */
	if (atomic_load_explicit(&lock->nr_async, memory_order_acquire) > 0) {
		rw_unlock(&lock->lock);
		return false;
	}
	set->locks[set->nr++] = lock;
	return true;
}

void inode_unlock_set(struct inode_lock_set *set) ZT_NO_LOCK_CHECK
{
	for (unsigned i = 0; i < set->nr; i++)
		rw_unlock(&set->locks[i]->lock);
	set->nr = 0;
}
