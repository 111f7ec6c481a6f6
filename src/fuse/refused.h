/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * refused.h - the answer to a request that has changed a file in part.
 */
#ifndef ZT_FUSE_REFUSED_H
#define ZT_FUSE_REFUSED_H

#include <stddef.h>
#include <stdint.h>

#include "fuse/ops.h"

/* What a request was to change; len 0: to the end of the file. */
struct refused_range {
	uint64_t ino, off, len;
};

/**
 * refused_reply() - reply_write(@req, @error, @done), after the kernel has dropped its pages of @range
 * For what was refused or given up in the middle: the kernel drops pages of what is done alone.
 * Context: holds no lock. The request may be tried again first, as by reply_error().
 */
void refused_reply(fuse_req_t req, const struct refused_range *range, int error, size_t done);

#endif
