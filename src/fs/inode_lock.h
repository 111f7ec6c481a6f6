/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inode_lock.h - the hashed locks of inodes, for the files of the fs layer.
 *
 * Shared for what reads an inode, and for writes side by side; exclusive for what changes more. A
 * write that goes on in another thread is counted, and a thread that wants the lock exclusive waits
 * for it.
 */
#ifndef ZT_FS_INODE_LOCK_H
#define ZT_FS_INODE_LOCK_H

#include <stdbool.h>

#include "fs/inode.h"
#include "fs/super_i.h"
#include "util/lock.h"

static inline struct inode_lock *inode_lock_of(struct super *sb, ino_nr ino)
{
	static_assert(INODE_NR_LOCKS == 1u << 10, "the shift below");
	return &sb->locks[keyhash_word(&sb->hash_key, ino) >> 54];
}

/** inode_lock_wait() - the slow half: somebody else has it */
void inode_lock_wait(struct inode_lock *lock, enum zt_lock_kind kind, bool exclusive);

static inline void inode_lock_side(struct inode_lock *lock, enum zt_lock_kind kind)
	ZT_ACQUIRE_SHARED(&lock->lock) ZT_NO_LOCK_CHECK /* the slow half is for both */
{
	zt_lock_waits_for(&lock->lock);
	if (unlikely(!read_trylock(&lock->lock)))
		inode_lock_wait(lock, kind, false);
}

/* For what stands in the inode; work on names is counted apart, below. */
static inline void inode_lock_shared(struct super *sb, ino_nr ino)
	ZT_ACQUIRE_SHARED(&inode_lock_of(sb, ino)->lock)
{
	inode_lock_side(inode_lock_of(sb, ino), ZT_LOCK_FILE);
}

static inline void dir_lock_shared(struct super *sb, ino_nr ino)
	ZT_ACQUIRE_SHARED(&inode_lock_of(sb, ino)->lock)
{
	inode_lock_side(inode_lock_of(sb, ino), ZT_LOCK_DIR);
}

/** inode_drain() - wait for the writes that end without the lock; it is held exclusive */
void inode_drain(struct super *sb, struct inode_lock *lock);

static inline void inode_lock_exclusive(struct super *sb, struct inode_lock *lock,
					enum zt_lock_kind kind)
	ZT_ACQUIRE(&lock->lock) ZT_NO_LOCK_CHECK /* the same */
{
	zt_lock_waits_for(&lock->lock);
	if (unlikely(!write_trylock(&lock->lock)))
		inode_lock_wait(lock, kind, true);
	if (unlikely(atomic_load_explicit(&lock->nr_async, memory_order_acquire) > 0))
		inode_drain(sb, lock);
}

static inline void inode_lock(struct super *sb, ino_nr ino)
	ZT_ACQUIRE(&inode_lock_of(sb, ino)->lock)
{
	inode_lock_exclusive(sb, inode_lock_of(sb, ino), ZT_LOCK_FILE);
}

static inline void dir_lock(struct super *sb, ino_nr ino) ZT_ACQUIRE(&inode_lock_of(sb, ino)->lock)
{
	inode_lock_exclusive(sb, inode_lock_of(sb, ino), ZT_LOCK_DIR);
}

/**
 * inode_async_begin() - a write goes on without the lock, which is held shared now
 * Until inode_async_end() nobody holds it exclusive: the record stays, and the shape of its tree.
 */
static inline void inode_async_begin(struct inode_lock *lock)
{
	atomic_fetch_add_explicit(&lock->nr_async, 1, memory_order_relaxed);
}

/** inode_async_end() - it has ended; any thread. The record is not touched afterwards. */
void inode_async_end(struct super *sb, struct inode_lock *lock);

static inline void inode_unlock(struct super *sb, ino_nr ino)
	ZT_RELEASE_GENERIC(&inode_lock_of(sb, ino)->lock)
{
	rw_unlock(&inode_lock_of(sb, ino)->lock);
}

/**
 * inode_changes() - attributes of an inode that hashes here are about to change; held, shared at least, or
 * nobody knows the inode
 * Whatever changes them says so: somebody may be copying them (clone_inode.c). For contents: changed.h.
 */
static inline void inode_changes(struct inode_lock *lock)
{
	if (unlikely(atomic_load_explicit(&lock->nr_watching, memory_order_relaxed) > 0))
		atomic_fetch_add_explicit(&lock->changes, 1, memory_order_relaxed);
}

/* Old and new parent, old and new inode of a rename. */
#define INODE_LOCK_SET_MAX 4u

/* Locks held exclusive together; two inodes may share one. */
struct inode_lock_set {
	unsigned nr;
	struct inode_lock *locks[INODE_LOCK_SET_MAX];
};

/**
 * inode_lock_set() - lock @nr inodes in the order of the table, each lock once; number 0 stands for
 * none
 * @kind: as what a wait is counted
 */
void inode_lock_set(struct super *sb, const ino_nr *inos, unsigned nr, enum zt_lock_kind kind,
		    struct inode_lock_set *out_set);

/**
 * inode_lock_set_try() - add one more without waiting
 * Return: false when somebody else has its lock, or when the set is full: names may lead elsewhere than
 * they did when it was made, and the caller begins again with what they lead to now.
 */
bool inode_lock_set_try(struct super *sb, ino_nr ino, struct inode_lock_set *set) ZT_MUST_CHECK;

void inode_unlock_set(struct inode_lock_set *set);

#endif
