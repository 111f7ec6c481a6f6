/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ring_msg.h - between an entry of a ring and the message that libfuse knows. Bytes alone, no
 * io_uring.
 *
 * A ring's entry has a request in three pieces: its header, its fixed part, and the rest (names,
 * the data of a WRITE). The rest begins on a page, and is not moved: header and fixed part are put
 * in front of it. A reply's parts behind its header all go where the rest was.
 */
#ifndef ZT_FUSE_CHANNEL_RING_MSG_H
#define ZT_FUSE_CHANNEL_RING_MSG_H

#include <stddef.h>
#include <sys/uio.h>

#include "fuse/channel/proto.h"
#include "util/compiler.h"

/**
 * ring_msg_in() - a request in one piece
 * @payload: the entry's, of @size bytes; at least 256 bytes in front of it are free to be written
 * @out_msg: where it begins
 * Return: its length, or -EIO when the pieces do not fit together.
 */
long ring_msg_in(const struct proto_uring_headers *headers, void *payload, size_t size,
		 void **out_msg) ZT_MUST_CHECK;

/**
 * ring_msg_out() - put a reply into the entry; parts that are in place already are not moved
 * @iov: the header, then the parts
 * Return: its length, or -EIO when it is too long; then the entry has that error.
 */
long ring_msg_out(struct proto_uring_headers *headers, void *payload, size_t size,
		  const struct iovec *iov, int count) ZT_MUST_CHECK;

#endif
