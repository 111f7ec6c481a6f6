// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_clone.c - the request for a copy of a whole tree.
 *
 * It takes long: it gives the duty away, is interrupted as others are, and waits for memory by itself,
 * since the thread for requests that wait has others behind it.
 *
 * Locks: none here.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "fs/clone.h"
#include "fuse/ops.h"
#include "fuse/reply.h"
#include "fuse/retry.h"
#include "util/clock.h"
#include "ztmpfs/control.h"

static int read_request(const struct control_bytes *bytes, struct ztmpfs_clone *out)
{
	const int error = control_take(bytes, out, sizeof(*out));

	if (error)
		return error;
	if (bytes->in_size <= offsetof(struct ztmpfs_clone, made) ||
	    out->flags & ~ZTMPFS_CLONE_SNAPSHOT ||
	    !memchr(out->from_name, '\0', sizeof(out->from_name)) ||
	    !memchr(out->to_name, '\0', sizeof(out->to_name)))
		return -EINVAL;
	return 0;
}

static int make_clone(fuse_req_t req, fuse_ino_t into, struct ztmpfs_clone *args)
{
	const struct fs_clone_request request = {
		.from = args->from,
		.from_name = args->from_name,
		.into = into,
		.to_name = args->to_name,
		.snapshot = args->flags & ZTMPFS_CLONE_SNAPSHOT,
	};
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	gid_t groups[REQ_GROUPS_MAX];
	struct fs_asker asker = {
		.uid = ctx->uid,
		.gid = ctx->gid,
		.groups = groups,
		.privileged = req_is_trusted(req),
	};

	if (!asker.privileged)
		asker.nr_groups = req_groups(req, groups);
	return fs_clone(req_super(req), &asker, &request, &args->made);
}

void op_clone(fuse_req_t req, fuse_ino_t into, const struct control_bytes *bytes)
{
	struct ztfuse *front = req_front(req);
	struct ztmpfs_clone args;
	int error = read_request(bytes, &args);
	bool waits = false;

	if (!error && front->keeps_buffers)
		error = -EOPNOTSUPP;
	if (!error)
		waits = retry_wait_begin(req);
	if (waits)
		super_wait_until(zt_now_ns() + SUPER_WAIT_NS);
	if (!error)
		error = make_clone(req, into, &args);
	if (error)
		(void)fuse_reply_err(req, -error);
	else
		control_give(req, bytes, &args, sizeof(args));
	if (waits)
		retry_wait_end(&front->retry);
}
