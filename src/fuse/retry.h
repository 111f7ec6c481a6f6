/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * retry.h - requests that wait for memory which the mount's limit refuses, or soon would (full.h).
 *
 * Threads that serve requests never wait for it: a request that is refused gives back all that it
 * holds, stands in line with its buffer, and its handler runs again in a thread of its own, which
 * makes others give some first. So at the limit, too, all other requests find a thread.
 *
 *     handler -> -ENOSPC -> retry_defer() -> line -> "zt-retry": handler again, which may wait -> reply
 */
#ifndef ZT_FUSE_RETRY_H
#define ZT_FUSE_RETRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/compiler.h"
#include "util/line.h"

struct request;
struct fuse_req;

/* Part of struct ztfuse. */
struct ztfuse_retry {
	struct line_thread line; /* of held requests; "zt-retry", joined by retry_stop() */
	/* Whether there is the thread; without it requests wait where they are. Relaxed: a hint. */
	atomic_bool on;
	/*
	 * Threads that may wait by themselves when no more requests can be held: two fewer than there
	 * are, so that one reads and one serves. No lock: each takes one and gives it back.
	 */
	atomic_int nr_may_wait;
};

void retry_init(struct ztfuse_retry *retry);

/**
 * retry_start() - make the thread, before those that serve requests
 * @nr_threads: of these
 * Return: 0 or -EAGAIN.
 */
int retry_start(struct ztfuse_retry *retry, unsigned nr_threads) ZT_MUST_CHECK;

/**
 * retry_stop() - answer what stands in line, and end the thread; may be called again. Requests that
 * are served later wait where they are.
 */
void retry_stop(struct ztfuse_retry *retry);

void retry_exit(struct ztfuse_retry *retry);

/** retry_request_begins() - in a thread that is about to serve a request: it must not wait */
void retry_request_begins(struct ztfuse_retry *retry);

/**
 * retry_defer() - instead of a reply of -ENOSPC, when waiting may help
 * Return: true: the request is taken care of, and neither it nor its buffer is looked at any more.
 */
bool retry_defer(struct fuse_req *req);

/**
 * retry_later() - stand in line, whatever the reason; the handler has done nothing yet
 * @ns: so much longer than others it may wait, for something else
 * Return: as retry_defer().
 */
bool retry_later(struct fuse_req *req, uint64_t ns) ZT_MUST_CHECK;

/**
 * retry_wait_begin() - whether this thread may wait for what others do, with the request that it serves
 * Of the threads that serve two never wait. Return: true: retry_wait_end() must follow.
 */
bool retry_wait_begin(struct fuse_req *req) ZT_MUST_CHECK;
void retry_wait_end(struct ztfuse_retry *retry); /* the request may be gone by then */

/** retry_queue() - have the handler of a held request, which libfuse has forgotten, run again */
void retry_queue(struct ztfuse_retry *retry, struct request *held);

#endif
