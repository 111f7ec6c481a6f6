/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * changed.h - which parts of a file others change while its contents are copied in rounds.
 *
 * A copy that lets go of the lock between two rounds (clone_content.c) hangs one of these on the lock.
 * Whoever changes contents says so first, and the copy takes those parts once more.
 *
 * Locks: the inode's, exclusive for all but content_changes(), which is called with it held shared by
 * many at a time.
 */
#ifndef ZT_FS_CHANGED_H
#define ZT_FS_CHANGED_H

#include <stdint.h>

#include "fs/inode_lock.h"

/* Behind every byte. */
#define CHANGED_ALL UINT64_MAX

/* Of one copy of one file; the copy's own, in a list of the inode's lock. */
struct changed {
	struct changed *next;
	ino_nr ino;
	unsigned shift; /* bytes of a part */
	uint32_t nr; /* parts; the last one has no end */
	uint32_t at; /* the part where changed_take() goes on */
	unsigned passes; /* how often it has come to the end */
	uint64_t *bits; /* by part; atomic: writers side by side */
};

/**
 * changed_begin() - look at a file from now on
 * @part: bytes that are copied together, a power of two
 * Return: 0, -ENOMEM.
 */
int changed_begin(struct changed *changed, struct inode_lock *lock, ino_nr ino, uint64_t part,
		  uint64_t size) ZT_MUST_CHECK;

void changed_end(struct changed *changed, struct inode_lock *lock);

/**
 * changed_take() - the next parts that were changed; they count as unchanged from here on
 * @out_end: CHANGED_ALL: without an end
 * Return: false: there are none.
 */
bool changed_take(struct changed *changed, uint64_t *out_off, uint64_t *out_end);

/** changed_note() - the slow half of content_changes() */
void changed_note(const struct inode_lock *lock, ino_nr ino, uint64_t off, uint64_t len);

/**
 * content_changes() - @len bytes at @off are about to become others; the lock is held, shared at least,
 * until they are, or an asynchronous write is counted
 */
static inline void content_changes(const struct inode_lock *lock, ino_nr ino, uint64_t off,
				   uint64_t len)
{
	if (unlikely(lock->changed != NULL))
		changed_note(lock, ino, off, len);
}

#endif
