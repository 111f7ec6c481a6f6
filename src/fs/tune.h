/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tune.h - the options of a mount as they hold now.
 */
#ifndef ZT_FS_TUNE_H
#define ZT_FS_TUNE_H

#include <stddef.h>

#include "fs/super.h"

/**
 * super_get_options() - those that the filesystem itself heeds, between commas, as ztmpfs(8) has them
 * @out_text: cut where @space bytes are too few
 * Context: any thread; no locks.
 */
void super_get_options(struct super *sb, char *out_text, size_t space);

/**
 * super_set() - change limits and ways of storing while the mount is in use
 * All of it, or on errors nothing. What is written by a new compress is left alone by recompression.
 * Context: any thread; no locks.
 * Return: 0; -EBUSY a limit is below what is used; -EOPNOTSUPP, -EINVAL, -ENOENT, -ENOSPC as
 *         ZTMPFS_IOC_SET has them.
 */
int super_set(struct super *sb, const struct ztmpfs_set *set) ZT_MUST_CHECK;

/**
 * tune_restore() - in a later process, when all is found: what super_set() has changed in earlier ones
 * An image's is forgotten. What can no longer be is left as the options have it, with a line on the log.
 * Context: one thread.
 */
void tune_restore(struct super *sb);

#endif
