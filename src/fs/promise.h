/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * promise.h - what fallocate(2) has promised: memory for pages that nobody has written yet.
 *
 * With a limit on memory an allocated page takes almost none, since it is zero. So its file gets a
 * promise: a number of pages, which count against the limit as if they held data that do not
 * compress. Writing gives it back, page by page, just before the bytes are stored. The promise is the
 * file's: which of its pages were written is not kept, so that a page which is written twice takes
 * two of it. Without a limit there are none.
 *
 * Locks: promises.lock, innermost. The inode's lock as each function says.
 */
#ifndef ZT_FS_PROMISE_H
#define ZT_FS_PROMISE_H

#include <pthread.h>
#include <stdint.h>

#include "fs/inode.h"
#include "util/lock.h"

struct promise;

/* One per mount. Files with a promise are few; whatever they are, each costs a page at least. */
#define PROMISE_BUCKETS 256u

struct promises {
	struct mutex lock;
	struct promise *buckets[PROMISE_BUCKETS]; /* guarded by lock */
};

void promise_init(struct promises *promises);
/** promise_exit() - what is left of them is given up with the mount. Its arena is still there. */
void promise_exit(struct super *sb);

/**
 * promise_add() - @nr_pages more for a file. Inode held exclusive.
 * Return: 0; -ENOSPC, -ENOMEM and nothing is promised.
 */
int promise_add(struct super *sb, ino_nr ino, struct inode_rec *rec,
		uint64_t nr_pages) ZT_MUST_CHECK;

/**
 * promise_use() - up to @nr_pages are about to be written. Inode held, shared at least.
 * Return: whether there were some.
 */
bool promise_use(struct super *sb, ino_nr ino, struct inode_rec *rec, uint64_t nr_pages);

/** promise_restore() - a promise that promise_each() told another process. Return: 0, -ENOMEM. */
int promise_restore(struct super *sb, ino_nr ino, struct inode_rec *rec,
		    uint64_t nr_pages) ZT_MUST_CHECK;

/** promise_each() - visit all promises, until @visit says false. No request is running. */
void promise_each(struct super *sb, bool (*visit)(void *arg, ino_nr ino, uint64_t nr_pages),
		  void *arg);

/** promise_keep() - at most so many remain: a file has become shorter. Held exclusive, or dying. */
void promise_keep(struct super *sb, ino_nr ino, struct inode_rec *rec, uint64_t nr_pages);

#endif
