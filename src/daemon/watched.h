/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watched.h - a descriptor by which another process hears that this one is being killed, though one of
 * its threads cannot leave the kernel yet.
 *
 * Locks: none.
 */
#ifndef ZT_DAEMON_WATCHED_H
#define ZT_DAEMON_WATCHED_H

#include "util/compiler.h"

/**
 * watched_open() - one that can be read, or hangs up, when the process ends
 * Context: a thread that lives as long as the process serves.
 * Return: the caller's, closed by exec; -errno.
 */
int watched_open(void) ZT_MUST_CHECK;

#endif
