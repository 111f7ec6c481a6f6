// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * request.c - what a handler can ask about its request beyond libfuse, and how it answers later. See
 * request.h.
 *
 * Locks: none here.
 */
#include "fuse/request.h"

#include "fuse/again.h"
#include "fuse/channel/inbox.h"
#include "fuse/channel/request.h"
#include "fuse/readonly.h"
#include "fuse/transport_i.h"

/* The request whose handler runs in this thread; NULL: none of ours. */
static _Thread_local struct request *current;
/* It was interrupted to be left to another process: its reply is none. */
static _Thread_local bool left;

/* Questions --------------------------------------------------------------- */

bool ztfuse_req_kill_suidgid(fuse_req_t req)
{
	(void)req;
	return current && (current->shim.flags & SHIM_KILL_SUIDGID);
}

enum fs_setid ztfuse_req_setid(fuse_req_t req)
{
	if (!current ||
	    (current->shim.opcode != FUSE_WRITE && current->shim.opcode != FUSE_SETATTR))
		return FS_SETID_BY_UID;
	return ztfuse_req_kill_suidgid(req) ? FS_SETID_KILL : FS_SETID_KEEP;
}

void ztfuse_req_may_wait(fuse_req_t req)
{
	(void)req;
	channel_may_wait();
}

bool ztfuse_req_is_direct(fuse_req_t req)
{
	(void)req;
	return current && (current->shim.flags & SHIM_DIRECT);
}

bool ztfuse_req_is_tmpfile(fuse_req_t req)
{
	(void)req;
	return current && current->shim.opcode == FUSE_TMPFILE;
}

bool ztfuse_req_is_statx(fuse_req_t req)
{
	(void)req;
	return current && current->shim.opcode == PROTO_STATX;
}

bool ztfuse_req_has_worker(fuse_req_t req)
{
	(void)req;
	return current && !current->entry;
}

bool ztfuse_forget_begins(fuse_req_t req, size_t nr)
{
	struct inbox_slot *slot = current ? current->slot : NULL;

	(void)req;
	return !slot || inbox_forgets(slot, nr);
}

void *ztfuse_reply_buffer(fuse_req_t req, size_t size)
{
	(void)req;
	if (!current)
		return NULL;
	request_touched(current, size);
	return request_payload(current);
}

/* Serving ----------------------------------------------------------------- */

bool request_run(struct ztfuse *front, struct request *req)
{
	struct fuse_buf buf = { .mem = req->msg, .size = req->len };
	struct again again;
	bool mine;

	current = req;
	left = false;
	if (readonly_refuses(front, req) || !again_begin(front, req, &again)) {
		current = NULL;
		return true;
	}
	fuse_session_process_buf(front->transport->se, &buf);
	mine = current != NULL;
	again_end(front, &again);
	current = NULL;
	return mine;
}

uint64_t request_current_unique(void)
{
	return current ? current->shim.unique : 0;
}

bool request_pause(void *arg)
{
	const struct transport *t = arg;

	channel_may_wait();
	if (channel_stops(t->channel)) {
		left = current && ztfuse_leaves(t->front);
		return true;
	}
	return current && request_is_interrupted(current);
}

bool request_is_left(const struct ztfuse *front)
{
	return left ||
	       atomic_load_explicit(&front->leaves, memory_order_relaxed) == ZTFUSE_HAS_LEFT;
}

struct request *ztfuse_hold(fuse_req_t req)
{
	struct request *held = current;

	(void)req;
	/* Unless its handler runs again. */
	if (!held || (request_state(held) != REQUEST_HELD && !channel_hold(held)))
		return NULL;
	current = NULL;
	return held;
}

void ztfuse_release(struct request *held)
{
	channel_release(held);
}

void ztfuse_serve_again(struct ztfuse *front, struct request *held)
{
	bool mine;

	super_request_begin(front->sb);
	mine = request_run(front, held);
	super_request_end(front->sb);
	if (mine)
		ztfuse_release(held);
}

void ztfuse_serve_here(fuse_req_t req)
{
	struct fuse_session *se = ((struct ztfuse *)fuse_req_userdata(req))->se;
	struct request *here = current;
	struct fuse_buf buf = { .mem = here->msg, .size = here->len };

	fuse_reply_none(req);
	fuse_session_process_buf(se, &buf);
}
