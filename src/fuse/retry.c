// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * retry.c - requests that wait for memory which the mount's limit refuses. See retry.h.
 *
 * Each has one deadline, from when it came into the line. They are tried in their order, all by one
 * thread: what one finds while it waits is there for the next ones, too.
 *
 * Locks: the line's, innermost.
 */
#include "fuse/retry.h"

#include <errno.h>

#include "fuse/channel/request.h"
#include "fuse/ops.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "util/clock.h"

/* Past: try, and do not wait. */
#define UNTIL_NOW 2u

static void serve_again(struct ztfuse_retry *retry, struct request *held)
{
	struct ztfuse *front = container_of(retry, struct ztfuse, retry);

	/* Nothing has been done of what still waits at the end. */
	if (ztfuse_leaves(front) && line_thread_ends(&retry->line))
		ztfuse_release(held);
	else
		ztfuse_serve_again(front, held);
}

static void queue(struct ztfuse_retry *retry, struct request *held, uint64_t until_ns)
{
	held->wait_until = until_ns;
	if (line_thread_add(&retry->line, &held->waiting))
		return;
	super_wait_until(UNTIL_NOW);
	serve_again(retry, held);
}

void retry_queue(struct ztfuse_retry *retry, struct request *held)
{
	queue(retry, held, zt_now_ns() + SUPER_WAIT_NS);
}

bool retry_wait_begin(fuse_req_t req)
{
	if (atomic_fetch_sub(&req_front(req)->retry.nr_may_wait, 1) > 0 &&
	    ztfuse_req_has_worker(req)) {
		ztfuse_req_may_wait(req);
		return true;
	}
	retry_wait_end(&req_front(req)->retry);
	return false;
}

void retry_wait_end(struct ztfuse_retry *retry)
{
	atomic_fetch_add(&retry->nr_may_wait, 1);
}

/*
 * No more requests can be held. Where something can go out to a disk, there will be memory: then all
 * threads wait rather than that one request of many fails.
 */
static bool wait_here(struct ztfuse_retry *retry, fuse_req_t req, uint64_t until_ns)
{
	const bool is_spare = retry_wait_begin(req);

	if (!is_spare && !(super_can_spill(req_super(req)) && ztfuse_req_has_worker(req)))
		return false;
	ztfuse_req_may_wait(req);
	super_wait_until(until_ns);
	ztfuse_serve_here(req);
	if (is_spare)
		retry_wait_end(retry);
	return true;
}

bool retry_defer(fuse_req_t req)
{
	return super_has_declined() && retry_later(req, 0);
}

bool retry_later(fuse_req_t req, uint64_t ns)
{
	struct ztfuse_retry *retry = &req_front(req)->retry;
	const uint64_t until = zt_now_ns() + SUPER_WAIT_NS + ns;
	struct request *held = ztfuse_hold(req);

	if (!held)
		return wait_here(retry, req, until);
	fuse_reply_none(req);
	queue(retry, held, until);
	return true;
}

void retry_request_begins(struct ztfuse_retry *retry)
{
	if (atomic_load_explicit(&retry->on, memory_order_relaxed))
		super_wait_never();
	else
		super_wait_until(0);
}

static void serve_next(struct line_thread *line, struct line_item *item)
{
	struct request *held = container_of(item, struct request, waiting);

	super_wait_until(line_thread_ends(line) ? UNTIL_NOW : held->wait_until);
	serve_again(container_of(line, struct ztfuse_retry, line), held);
}

int retry_start(struct ztfuse_retry *retry, unsigned nr_threads)
{
	const int error = line_thread_start(&retry->line);

	if (error)
		return error;
	atomic_store(&retry->nr_may_wait, (int)nr_threads - 2);
	atomic_store(&retry->on, true);
	return 0;
}

void retry_init(struct ztfuse_retry *retry)
{
	line_thread_init(&retry->line, "zt-retry", serve_next);
	atomic_init(&retry->on, false);
	atomic_init(&retry->nr_may_wait, 0);
}

void retry_stop(struct ztfuse_retry *retry)
{
	atomic_store(&retry->on, false);
	line_thread_stop(&retry->line);
}

void retry_exit(struct ztfuse_retry *retry)
{
	retry_stop(retry);
	line_thread_exit(&retry->line);
}
