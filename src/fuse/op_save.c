// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * op_save.c - the requests for a snapshot of the mount; its bytes are given by op_read().
 *
 * Locks: none here.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "fs/livesave.h"
#include "fuse/ops.h"
#include "fuse/reply.h"
#include "ztmpfs/control.h"

static_assert(sizeof(struct image_facts) <= ZTMPFS_SAVE_FACTS, "space for them");

static int begin(struct super *sb, fuse_ino_t ino, struct ztmpfs_save *save)
{
	struct livesave_facts facts;
	int error = livesave_begin(sb, ino, &facts);

	if (error)
		return error;
	save->id = facts.id;
	save->reserve = facts.reserve;
	save->nr_pages = facts.nr_pages;
	save->nr_extents = facts.nr_extents;
	save->pause_ns = facts.pause_ns;
	save->facts_size = sizeof(facts.image);
	memcpy(save->facts, &facts.image, sizeof(facts.image));
	return 0;
}

static int run(struct super *sb, fuse_ino_t ino, struct ztmpfs_save *save)
{
	switch (save->op) {
	case ZTMPFS_SAVE_BEGIN:
		return begin(sb, ino, save);
	case ZTMPFS_SAVE_CHECK:
		return livesave_check(sb, ino, save->id, &save->held);
	default:
		return -EINVAL;
	}
}

/* It has all files of all users. */
void op_save(fuse_req_t req, fuse_ino_t ino, const struct control_bytes *bytes)
{
	struct ztmpfs_save save;
	int error = req_is_trusted(req) ? control_take(bytes, &save, sizeof(save)) : -EACCES;

	/* A caller with less would not know what it reads. */
	if (!error && (bytes->in_size < sizeof(save) || bytes->out_size < sizeof(save)))
		error = -EINVAL;
	if (!error)
		error = run(req_super(req), ino, &save);
	if (error)
		reply_error(req, error);
	else
		control_give(req, bytes, &save, sizeof(save));
}
