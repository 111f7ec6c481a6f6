/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * op_write.h - how many threads write at a time.
 *
 * Where a write may have to wait for memory (-o swap), all threads but one do so at most, and that
 * one serves whatever else comes: a page that is wanted back must not wait until others have been
 * stored. Further WRITEs wait in line, and a thread that has finished one takes the next.
 */
#ifndef ZT_FUSE_OP_WRITE_H
#define ZT_FUSE_OP_WRITE_H

#include <pthread.h>

#include "util/line.h"
#include "util/lock.h"

/* Part of struct ztfuse. */
struct ztfuse_writers {
	struct mutex lock;
	unsigned most; /* threads that write at a time; 0: all. Set before they run */
	unsigned nr; /* that write; guarded by lock */
	struct line line; /* of struct later_write; guarded by lock */
};

void writers_init(struct ztfuse_writers *writers);

/** writers_exit() - nobody writes any more */
void writers_exit(struct ztfuse_writers *writers);

#endif
