/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * remount.h - what mount(2) does to a mount that is there already.
 */
#ifndef ZT_DAEMON_REMOUNT_H
#define ZT_DAEMON_REMOUNT_H

#include "daemon/options.h"
#include "util/compiler.h"

/**
 * remount_run() - what mount -o remount asks for: change the flags of the ztmpfs at
 * @options->mountpoint, which another process serves
 *
 * Called by mount(8), all flags are as @options says: mount(8) has put those of the mount in.
 * Called as ztmpfs, flags that are not named stay. size=, nr_inodes= and mem_limit= are set first;
 * what is below what is used is refused, and nothing is changed. All other options are passed over,
 * since mount(8) repeats those of fstab.
 *
 * Return: 0, or -errno after a sentence in @out_error.
 */
int remount_run(const struct options *options, struct options_error *out_error) ZT_MUST_CHECK;

/**
 * remount_finish() - flags of a new mount that libfuse cannot ask for: nosymfollow
 *
 * Context: the mount need not be served yet.
 * Return:  as above.
 */
int remount_finish(const struct options *options, struct options_error *out_error) ZT_MUST_CHECK;

#endif
