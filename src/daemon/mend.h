/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mend.h - tell the kernel the truth about a file of which delayed writes were refused.
 */
#ifndef ZT_DAEMON_MEND_H
#define ZT_DAEMON_MEND_H

#include "daemon/ownmount.h"
#include "fuse/fuse_ops.h"

/**
 * mend() - have the kernel drop pages that were refused, and the size that it gave the file with them
 * Context: a thread that serves no request; front->full.mender says that it is that one.
 * What fails is left as it is: the file may be gone, or the right to open it by number missing.
 */
void mend(struct ztfuse *front, const struct ownmount *mount,
	  const struct full_refusal *refusal);

#endif
