// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace.c - ztmpfsctl trace, seen from the mount. Locks: none here.
 */
#include "fs/trace.h"

#include <errno.h>
#include <string.h>

#include "blkmap/trace.h"
#include "fs/super_i.h"

static_assert(sizeof(struct ztmpfs_trace) < 1u << _IOC_SIZEBITS, "an ioctl's number has its size");
static_assert(ZTMPFS_TRACE_BYTES % sizeof(struct trace_record) == 0, "answers of whole records");

static int fetch(struct super *sb, struct ztmpfs_trace *inout)
{
	struct trace_answer answer;
	int error = blkmap_trace_fetch(sb->map, inout->id, inout->bytes, sizeof(inout->bytes), &answer);

	if (error)
		return error;
	inout->len = (uint32_t)answer.len;
	inout->left = answer.left;
	inout->lost = answer.lost;
	return 0;
}

int super_trace(struct super *sb, struct ztmpfs_trace *inout)
{
	if (inout->flags & ~ZTMPFS_TRACE_CONTENTS)
		return -EINVAL;
	switch (inout->op) {
	case ZTMPFS_TRACE_START:
		return blkmap_trace_start(sb->map, inout->flags & ZTMPFS_TRACE_CONTENTS, &inout->id);
	case ZTMPFS_TRACE_FETCH:
		return fetch(sb, inout);
	case ZTMPFS_TRACE_STOP:
		blkmap_trace_stop(sb->map, inout->id);
		return 0;
	default:
		return -EINVAL;
	}
}
