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
 * swapmode_make_home() - home.h, for lives to come
 * @own: bytes that a daemon holds when it begins to serve, beside what it stores
 * @out_fd: the caller's
 * Return: 0; -errno, as arena_make_file().
 */
int swapmode_make_home(const struct options *options, uint64_t own, int *out_fd) ZT_MUST_CHECK;

/**
 * swapmode_enter() - what all threads inherit: before there are any, and before anything of zt_map()
 * The kernel neither throttles this process nor makes it write swap itself when it allocates
 * (PR_SET_IO_FLUSHER), the OOM killer spares it, it gets CPU before others, its stacks are small,
 * and its heap holds what it will ever need: in the home, or in memory of its own.
 * @home_fd: of a process that is dead; -1: none
 *
 * Return: 0, or -errno after a sentence in @out_error about what is missing.
 */
int swapmode_enter(const struct options *options, int home_fd,
		   struct options_error *out_error) ZT_MUST_CHECK;

/**
 * swapmode_lock() - fault in and lock all memory there is but the arena, and stacks to come
 * When everything is allocated, but before the threads that serve requests.
 * Return: as above.
 */
int swapmode_lock(struct options_error *out_error) ZT_MUST_CHECK;

/**
 * swapmode_stand_by() - what can be done for a later life before it begins
 * What swapmode_enter() does but for the heap, stacks of threads to come, and swapmode_lock(). Before
 * there are threads.
 * @home_fd: which another process lives in, or -1; @set: of its stacks, one that this process may have
 * Return: as above.
 */
int swapmode_stand_by(const struct options *options, int home_fd, unsigned set,
		      struct options_error *out_error) ZT_MUST_CHECK;

/**
 * swapmode_hurry() - before a mount is taken over, and when that is done: the calling thread runs before
 * others, and may take of the memory that the kernel keeps for such; threads that it makes do not.
 * After it, and until swapmode_lock(), what is mapped is locked as it is touched.
 */
void swapmode_hurry(bool hurries);

/**
 * swapmode_in_use() - whether the machine swaps to a loop device over a file below @mountpoint
 * Reads /proc and /sys, never the mount.
 */
bool swapmode_in_use(const char *mountpoint);

#endif
