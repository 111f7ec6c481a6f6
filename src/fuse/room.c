// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * room.c - requests that wait for memory which the mount's limit refuses. See room.h.
 *
 * Each has one deadline, from when it came into the line. They are tried in their order, all by one
 * thread: what one finds while it waits is there for the next ones, too.
 *
 * Locks: room.lock guards the line; nothing is called under it.
 */
#include "fuse/room.h"

#include <errno.h>

#include "fuse/ops.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "fuse/transport_i.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/lock.h"

/* Past: try, and do not wait. */
#define UNTIL_NOW 2u

void room_queue(struct ztfuse_room *room, struct ztfuse_held *held)
{
	bool stopped;

	held->wait_until = zt_now_ns() + SUPER_WAIT_NS;
	held->next = NULL;
	mutex_lock(&room->lock);
	stopped = room->stop;
	if (!stopped) {
		*room->last = held;
		room->last = &held->next;
		zt_lock_check(pthread_cond_signal(&room->cond));
	}
	mutex_unlock(&room->lock);
	if (!stopped)
		return;
	super_wait_until(UNTIL_NOW);
	ztfuse_serve_again(held);
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
	struct ztfuse_held *held;

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

static void *room_thread(void *arg)
{
	struct ztfuse_room *room = arg;

	mutex_lock(&room->lock);
	for (;;) {
		struct ztfuse_held *held = room->first;
		const bool stop = room->stop;

		if (held) {
			room->first = held->next;
			if (!room->first)
				room->last = &room->first;
			mutex_unlock(&room->lock);
			super_wait_until(stop ? UNTIL_NOW : held->wait_until);
			ztfuse_serve_again(held);
			mutex_lock(&room->lock);
		} else if (stop) {
			break;
		} else {
			zt_lock_check(pthread_cond_wait(&room->cond, &room->lock));
		}
	}
	mutex_unlock(&room->lock);
	return NULL;
}

int room_start(struct ztfuse_room *room, unsigned nr_threads)
{
	int error = zt_fault_hit() ? EAGAIN
				   : pthread_create(&room->thread, NULL, room_thread, room);

	if (error)
		return -error;
	(void)pthread_setname_np(room->thread, "zt-room"); /* for people only */
	atomic_store(&room->nr_may_wait, (int)nr_threads - 2);
	atomic_store(&room->on, true);
	return 0;
}

void room_init(struct ztfuse_room *room)
{
	mutex_init(&room->lock);
	zt_lock_check(pthread_cond_init(&room->cond, NULL));
	room->first = NULL;
	room->last = &room->first;
	room->stop = false;
	atomic_init(&room->on, false);
	atomic_init(&room->nr_may_wait, 0);
}

void room_stop(struct ztfuse_room *room)
{
	const bool join = atomic_exchange(&room->on, false);

	mutex_lock(&room->lock);
	room->stop = true;
	zt_lock_check(pthread_cond_signal(&room->cond));
	mutex_unlock(&room->lock);
	if (join)
		zt_lock_check(pthread_join(room->thread, NULL));
}

void room_exit(struct ztfuse_room *room)
{
	room_stop(room);
	zt_lock_check(pthread_cond_destroy(&room->cond));
	mutex_exit(&room->lock);
}
