/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * swapmode.h - a daemon that goes on while the machine has no memory left (-o swap).
 *
 * When the kernel swaps a page out, it waits for the daemon to store it; a daemon that then waits
 * for memory waits for itself. Each of the means here alone does not prevent that; all together do,
 * with the arena's stock (arena.h) and requests that never allocate (fuse/transport.h).
 */
#ifndef ZT_DAEMON_SWAPMODE_H
#define ZT_DAEMON_SWAPMODE_H

#include <stdbool.h>

#include "daemon/options.h"
#include "util/compiler.h"

/**
 * swapmode_enter() - what all threads inherit: before there are any
 * The kernel neither throttles this process nor makes it write swap itself when it allocates
 * (PR_SET_IO_FLUSHER), the OOM killer spares it, it gets CPU before others, its stacks are small,
 * and its heap holds what it will ever need.
 *
 * Return: 0, or -errno after a sentence in @out_error about what is missing.
 */
int swapmode_enter(const struct options *options, struct options_error *out_error) ZT_MUST_CHECK;

/**
 * swapmode_lock() - fault in and lock all memory there is but the arena, and stacks to come
 * When everything is allocated, but before the threads that serve requests.
 * Return: as above.
 */
int swapmode_lock(struct options_error *out_error) ZT_MUST_CHECK;

/**
 * swapmode_in_use() - whether the machine swaps to a loop device over a file below @mountpoint
 * Reads /proc and /sys, never the mount.
 */
bool swapmode_in_use(const char *mountpoint);

#endif
