// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * room.c - requests that wait for memory which the mount's limit refuses. See room.h.
 *
 * Each has one deadline, from when it came into the line. They are tried in their order, all by one
 * thread: what one finds while it waits is there for the next ones, too.
 *
 * Locks: the line's, innermost.
 */
#include "fuse/room.h"

#include <errno.h>

#include "fuse/channel/request.h"
#include "fuse/ops.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "util/clock.h"

/* Past: try, and do not wait. */
#define UNTIL_NOW 2u

static void serve_again(struct ztfuse_room *room, struct request *held)
{
	ztfuse_serve_again(container_of(room, struct ztfuse, room)->se, held);
}

void room_queue(struct ztfuse_room *room, struct request *held)
{
	held->wait_until = zt_now_ns() + SUPER_WAIT_NS;
	if (line_thread_add(&room->line, &held->waiting))
		return;
	super_wait_until(UNTIL_NOW);
	serve_again(room, held);
}

bool room_wait_begin(fuse_req_t req)
{
	if (atomic_fetch_sub(&req_front(req)->room.nr_may_wait, 1) > 0 &&
	    ztfuse_req_has_worker(req)) {
		ztfuse_req_may_wait(req);
		return true;
	}
	room_wait_end(&req_front(req)->room);
	return false;
}

void room_wait_end(struct ztfuse_room *room)
{
	atomic_fetch_add(&room->nr_may_wait, 1);
}

/* No more requests can be held. */
static bool wait_here(struct ztfuse_room *room, fuse_req_t req)
{
	if (!room_wait_begin(req))
		return false;
	super_wait_until(zt_now_ns() + SUPER_WAIT_NS);
	ztfuse_serve_here(req);
	room_wait_end(room);
	return true;
}

bool room_defer(fuse_req_t req)
{
	struct ztfuse_room *room = &req_front(req)->room;
	struct request *held;

	if (!super_has_declined())
		return false;
	held = ztfuse_hold(req);
	if (!held)
		return wait_here(room, req);
	fuse_reply_none(req);
	room_queue(room, held);
	return true;
}

void room_request_begins(struct ztfuse_room *room)
{
	if (atomic_load_explicit(&room->on, memory_order_relaxed))
		super_wait_never();
	else
		super_wait_until(0);
}

static void serve_next(struct line_thread *line, struct line_item *item)
{
	struct request *held = container_of(item, struct request, waiting);

	super_wait_until(line_thread_ends(line) ? UNTIL_NOW : held->wait_until);
	serve_again(container_of(line, struct ztfuse_room, line), held);
}

int room_start(struct ztfuse_room *room, unsigned nr_threads)
{
	const int error = line_thread_start(&room->line);

	if (error)
		return error;
	atomic_store(&room->nr_may_wait, (int)nr_threads - 2);
	atomic_store(&room->on, true);
	return 0;
}

void room_init(struct ztfuse_room *room)
{
	line_thread_init(&room->line, "zt-room", serve_next);
	atomic_init(&room->on, false);
	atomic_init(&room->nr_may_wait, 0);
}

void room_stop(struct ztfuse_room *room)
{
	atomic_store(&room->on, false);
	line_thread_stop(&room->line);
}

void room_exit(struct ztfuse_room *room)
{
	room_stop(room);
	line_thread_exit(&room->line);
}
