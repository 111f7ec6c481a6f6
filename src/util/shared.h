/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shared.h - a struct in a memfd, which the processes of one mount see one after the other.
 *
 * Its first member is a uint32_t that holds its size, so that a process of another layout takes it for none.
 *
 * Locks: none.
 */
#ifndef ZT_UTIL_SHARED_H
#define ZT_UTIL_SHARED_H

#include <stddef.h>

#include "util/compiler.h"

/**
 * shared_make() - zeros of @size bytes, but for the size at their front
 * @name: for /proc
 * @out_fd: the caller's, close on exec
 * Return: 0 or -errno.
 */
int shared_make(const char *name, size_t size, void **out_memory, int *out_fd) ZT_MUST_CHECK;

/** shared_map() - what shared_make() has made. Return: 0; -EPROTO it is something else; -errno. */
int shared_map(int fd, size_t size, void **out_memory) ZT_MUST_CHECK;

/** shared_unmap() - NULL is allowed */
void shared_unmap(void *memory, size_t size);

#endif
