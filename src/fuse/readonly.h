/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * readonly.h - requests that would change a mount that is only read.
 */
#ifndef ZT_FUSE_READONLY_H
#define ZT_FUSE_READONLY_H

#include <stdbool.h>

#include "fuse/ops.h"

struct request;

/** readonly_refuses() - Return: whether it was answered with EROFS, and its handler is not to run. */
bool readonly_refuses(struct ztfuse *front, const struct request *req);

#endif
