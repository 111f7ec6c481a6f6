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
#include <unistd.h>

#include "fs/clone.h"
#include "fuse/ops.h"
#include "fuse/reply.h"
#include "fuse/retry.h"
#include "util/clock.h"
#include "util/sizes.h"
#include "ztmpfs/control.h"

/* As in reply.c: who is in more is in none of the others. */
#define GROUPS_MAX 256

/* A caller of another release may have less or more of it. */
static int read_request(const struct control_bytes *bytes, struct ztmpfs_clone *out)
{
	const size_t size = min_u64(bytes->in_size, sizeof(*out));

	*out = (struct ztmpfs_clone){ .version = 0 };
	memcpy(out, bytes->in, size);
	if (out->version != ZTMPFS_STAT_VERSION)
		return -EPROTO;
	if (size <= offsetof(struct ztmpfs_clone, made) || out->flags & ~ZTMPFS_CLONE_SNAPSHOT ||
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
	gid_t groups[GROUPS_MAX];
	struct fs_asker asker = {
		.uid = ctx->uid,
		.gid = ctx->gid,
		.groups = groups,
		.privileged = ctx->uid == 0 || ctx->uid == geteuid(),
	};

	if (!asker.privileged) {
		const int nr = fuse_req_getgroups(req, GROUPS_MAX, groups);

		asker.nr_groups = nr > 0 && nr <= GROUPS_MAX ? (unsigned)nr : 0;
	}
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
		(void)fuse_reply_ioctl(req, 0, &args, min_u64(sizeof(args), bytes->out_size));
	if (waits)
		retry_wait_end(&front->retry);
}
