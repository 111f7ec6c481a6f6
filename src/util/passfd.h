/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * passfd.h - a message by a Unix socket, and a descriptor with it.
 *
 * Locks: none.
 */
#ifndef ZT_UTIL_PASSFD_H
#define ZT_UTIL_PASSFD_H

#include <stddef.h>
#include <sys/socket.h>

#include "util/compiler.h"

/* Space for one descriptor. */
union passfd_control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/**
 * passfd_send() - one message; waits until there is space for it
 * @fd: a descriptor, which stays the caller's; -1: none
 * Return: 0 or -errno; -EPIPE: nobody hears it.
 */
int passfd_send(int sock, const void *data, size_t len, int fd) ZT_MUST_CHECK;

#endif
