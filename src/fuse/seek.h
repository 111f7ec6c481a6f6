/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * seek.h - SEEK_DATA and SEEK_HOLE beside what the kernel has not written yet.
 *
 * The kernel passes LSEEK on without writing its dirty pages first, and a hole here may be data
 * there: cp(1) would lose it. So before a hole is the answer, the kernel is told to give up its
 * pages of that hole, which makes it write the dirty ones. That waits for WRITE requests, so a
 * thread of its own does it, never one that serves requests.
 *
 * Likewise chattr +a and +i: bytes that other processes have written to the file by then are stored
 * first. If they came later they would be refused, and the kernel would report that to any caller
 * of syncfs(2).
 */
#ifndef ZT_FUSE_SEEK_H
#define ZT_FUSE_SEEK_H

#include <stdatomic.h>

#include "util/line.h"

/* Part of struct ztfuse. */
struct ztfuse_seeker {
	/* Of struct seek_wait; "zt-seek", made when first needed, joined by seeker_stop(). */
	struct line_thread line;
	/*
	 * Threads that may wait for the kernel by themselves: one fewer than there are. Set before
	 * they run. No lock: each takes one and gives it back.
	 */
	atomic_int nr_may_wait;
};

void seeker_init(struct ztfuse_seeker *seeker);

/**
 * seeker_stop() - answer what waits and end the thread; requests are still served meanwhile. May be
 * called again. Later seeks are answered without asking the kernel.
 */
void seeker_stop(struct ztfuse_seeker *seeker);

/** seeker_exit() - after seeker_stop() */
void seeker_exit(struct ztfuse_seeker *seeker);

#endif
