/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * full.h - the thread that has the kernel ask in write(2) when the mount is nearly full.
 *
 * doc/design/full.md says why and how. The thread keeps what the kernel may hold for writing below
 * what is left, switches the mount, and tells the kernel the truth after delayed writes were
 * refused.
 */
#ifndef ZT_DAEMON_FULL_H
#define ZT_DAEMON_FULL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/ownmount.h"
#include "fuse/fuse_ops.h"
#include "util/compiler.h"

/* How the kernel is made to ask. */
enum full_way {
	FULL_NOT, /* it is not: FLUSH tells, if anybody listens */
	FULL_SYNC, /* the mount is remounted synchronous: what root may */
	FULL_THROUGH, /* writes are not delayed, file by file: where set-ID bits do not act */
};

/* One per session. The thread's own once it runs. */
struct full {
	struct ztfuse *front;
	struct ownmount mount;
	enum full_way way;
	uint64_t least; /* bytes: what may be dirty at least */
	uint64_t dirty; /* bytes: what may be dirty now */
	bool tunes; /* it is the thread that says how much */
	bool near;
	bool resumed; /* an earlier process may have switched the mount: set it anew */
	bool warned;
	bool has_thread; /* to be joined; guarded by front->full.lock, as thread is */
	pthread_t thread;
};

/**
 * full_prepare() - find out which way there is
 * @total: bytes that the mount may hold at most; UINT64_MAX: no limit
 * After INIT, before other requests are served: it sets what they look at.
 */
void full_prepare(struct full *full, struct ztfuse *front, const struct ownmount *mount,
		  uint64_t total);

/**
 * full_resume() - instead, in a process that goes on with a mount
 * @found: its mount, way, least, dirty and tunes are as full_prepare() found them; copied
 */
void full_resume(struct full *full, struct ztfuse *front, const struct full *found);

/** full_start() - begin to watch; after full_prepare(). Return: 0 or -errno, it works without. */
int full_start(struct full *full) ZT_MUST_CHECK;

/**
 * full_stop() - end the thread, while requests are still served; more than once is allowed
 * What waits for it goes on.
 */
void full_stop(struct full *full);

#endif
