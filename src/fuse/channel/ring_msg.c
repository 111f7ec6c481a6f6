// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ring_msg.c - between an entry of a ring and the message that libfuse knows. See ring_msg.h.
 */
#include "fuse/channel/ring_msg.h"

#include <errno.h>
#include <string.h>

long ring_msg_in(const struct proto_uring_headers *headers, void *payload, size_t size,
		 void **out_msg)
{
	const size_t rest = headers->ent.payload_sz;
	struct fuse_in_header header;
	size_t fixed;
	char *msg;

	memcpy(&header, headers->in_out, sizeof(header));
	if (rest > size || header.len < sizeof(header) + rest)
		return -EIO;
	fixed = header.len - sizeof(header) - rest;
	if (fixed > sizeof(headers->op_in))
		return -EIO;
	msg = (char *)payload - fixed - sizeof(header);
	memcpy(msg, &header, sizeof(header));
	memcpy(msg + sizeof(header), headers->op_in, fixed);
	*out_msg = msg;
	return (long)header.len;
}

static void give_error(struct proto_uring_headers *headers, const struct fuse_out_header *reply,
		       int error)
{
	const struct fuse_out_header header = {
		.len = sizeof(header),
		.error = error,
		.unique = reply->unique,
	};

	memcpy(headers->in_out, &header, sizeof(header));
	headers->ent.payload_sz = 0;
}

long ring_msg_out(struct proto_uring_headers *headers, void *payload, size_t size,
		  const struct iovec *iov, int count)
{
	const struct fuse_out_header *reply = iov[0].iov_base;
	size_t len = 0;

	for (int i = 1; i < count; i++) {
		if (iov[i].iov_len > size - len) {
			give_error(headers, reply, -EIO);
			return -EIO;
		}
		if (iov[i].iov_len > 0 && iov[i].iov_base != (char *)payload + len)
			memmove((char *)payload + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	memcpy(headers->in_out, reply, sizeof(*reply));
	headers->ent.payload_sz = (uint32_t)len;
	return (long)(sizeof(*reply) + len);
}
