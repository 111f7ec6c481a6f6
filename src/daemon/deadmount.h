/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * deadmount.h - a mount point on which a FUSE mount lies whose daemon has ended.
 */
#ifndef ZT_DAEMON_DEADMOUNT_H
#define ZT_DAEMON_DEADMOUNT_H

#include <stdbool.h>
#include <stddef.h>

/**
 * deadmount_is_there() - whether @path is one
 * @path: absolute, as the kernel names it
 * @out_text: when it is, one sentence without the path: what lies there, and what to do
 * Asks the daemon of a FUSE mount that is there, since the kernel answers from memory even for a dead one.
 */
bool deadmount_is_there(const char *path, char *out_text, size_t space);

#endif
