// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * refused.c - the answer to a request that has changed a file in part. See refused.h.
 *
 * A hole that was punched in part, a copy that ran out of memory: bytes have changed, and the kernel,
 * which hears an error, keeps its pages of them. They would be read until they are dropped by chance.
 * Weakness: when no further request can be held, old pages stay.
 *
 * Locks: the notifier's line, innermost.
 */
#include "fuse/refused.h"

#include <errno.h>

#include "fs/file.h"
#include "fuse/reply.h"
#include "fuse/request.h"
#include "util/alloc.h"

struct refused {
	struct notify_item item;
	fuse_req_t req;
	struct request *held;
	int error;
	size_t done;
};

static void refused_answer(struct notify_item *item)
{
	struct refused *refused = container_of(item, struct refused, item);

	reply_write(refused->req, refused->error, refused->done);
	ztfuse_release(refused->held);
	zt_free(refused);
}

/* False: nothing has happened. */
static bool refused_later(fuse_req_t req, const struct refused_range *range, int error, size_t done)
{
	struct refused *refused = zt_zalloc(sizeof(*refused));

	if (!refused)
		return false;
	refused->item.ino = range->ino;
	refused->item.off = range->off;
	refused->item.len = range->len;
	refused->item.done = refused_answer;
	refused->req = req;
	refused->error = error;
	refused->done = done;
	refused->held = ztfuse_hold(req);
	if (!refused->held) {
		zt_free(refused);
		return false;
	}
	if (notifier_add(&req_front(req)->notifier, &refused->item))
		return true;
	if (ztfuse_leaves(req_front(req))) {
		fuse_reply_none(req); /* it comes again */
		ztfuse_release(refused->held);
		zt_free(refused);
		return true;
	}
	refused_answer(&refused->item);
	return true;
}

void refused_reply(fuse_req_t req, const struct refused_range *range, int error, size_t done)
{
	if (error == -ENOSPC && retry_defer(req))
		return;
	if (fs_pages_known(req_super(req), range->ino) == 0 ||
	    !refused_later(req, range, error, done))
		reply_write(req, error, done);
}
