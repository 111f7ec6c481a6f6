/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * apart.h - calls that wait for what this process itself answers, without its channel to the kernel
 *
 * When a daemon is killed its other threads go, and its descriptors with the last of them. A thread that
 * waits uninterruptibly for its own mount does not go before it is answered, which nobody does: as long
 * as it holds the channel, the mount hangs for all. Without it the connection ends with the others, and
 * the call is answered by that.
 */
#ifndef ZT_DAEMON_APART_H
#define ZT_DAEMON_APART_H

/**
 * apart_run() - have a thread run @fn, which has none of this process's descriptors of /dev/fuse
 * @fn: has copies of all others, and may not log: what that opens is no descriptor of other threads'
 * Context: one thread, which serves no request; waits for the end of @fn. Where no thread can be made the
 * caller runs it.
 * Return: what @fn returns.
 */
int apart_run(int (*fn)(void *arg), void *arg);

#endif
