/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * orphans.h - inodes without a name that the kernel has forgotten, and nobody has noticed.
 *
 * A FORGET that was read and not served when a daemon died does not come again. So in a later life a
 * thread asks the kernel which inodes without a name it still knows.
 */
#ifndef ZT_DAEMON_ORPHANS_H
#define ZT_DAEMON_ORPHANS_H

#include <pthread.h>
#include <stdbool.h>

#include "fuse/fuse_ops.h"
#include "util/compiler.h"

/* One per session. The thread's own once it runs. */
struct orphans {
	struct ztfuse *front;
	const char *mountpoint;
	int stop_fd; /* an eventfd: it is to end */
	bool runs; /* there is a thread to join */
	pthread_t thread;
};

/** orphans_start() - begin to ask. Return: 0 or -errno, it works without. */
int orphans_start(struct orphans *orphans, struct ztfuse *front,
		  const char *mountpoint) ZT_MUST_CHECK;

/** orphans_stop() - while requests are still served; without a thread nothing is done */
void orphans_stop(struct orphans *orphans);

#endif
