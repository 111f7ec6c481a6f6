/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trace.h - ztmpfsctl trace, seen from the mount.
 */
#ifndef ZT_FS_TRACE_H
#define ZT_FS_TRACE_H

#include "fs/super.h"

/**
 * super_trace() - begin a trace, fetch from it, or end it: @inout->op
 * @inout: as ZTMPFS_IOC_TRACE has it; its outputs are written on success only
 * Context: any thread; no locks. The caller has looked whether it is allowed.
 * Return: 0; -EINVAL no such operation or flag; -EBUSY, -ESRCH, -ENOSPC, -ENOMEM as blkmap/trace.h.
 */
int super_trace(struct super *sb, struct ztmpfs_trace *inout) ZT_MUST_CHECK;

#endif
