/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buffers.h - where READ's bytes are decompressed before the reply: a few large buffers that all
 * threads share.
 *
 * The one that was used last is taken first, so that few are warm. The memory of buffers that were
 * not needed for a while goes back to the system. (One per thread would hold 1 MiB for each for
 * ever.)
 *
 * Locks: buffers.lock, innermost.
 */
#ifndef ZT_FUSE_BUFFERS_H
#define ZT_FUSE_BUFFERS_H

#include <pthread.h>
#include <stddef.h>

#include "util/lock.h"

struct ztfuse_buffers {
	size_t size; /* bytes of each; immutable */
	struct mutex lock;
	struct free_buffer *free; /* guarded by lock; the last one put first */
	unsigned nr_free; /* guarded by lock */
	unsigned nr_unused; /* guarded by lock: fewest that were free since the last trim */
};

void buffers_init(struct ztfuse_buffers *buffers, size_t size);

/** buffers_exit() - all buffers have been put */
void buffers_exit(struct ztfuse_buffers *buffers);

/**
 * buffers_get() - a page-aligned buffer for the caller alone, its content undefined; NULL: no
 * memory
 */
void *buffers_get(struct ztfuse_buffers *buffers);
void buffers_put(struct ztfuse_buffers *buffers, void *buf);

/** buffers_trim() - unmap as many as have been free ever since the last call */
void buffers_trim(struct ztfuse_buffers *buffers);

#endif
