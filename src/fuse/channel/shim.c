// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * shim.c - what the kernel can do and libfuse does not know. See shim.h.
 *
 * No locks: each call works on one request, and the terms are changed by INIT alone.
 */
#include "fuse/channel/shim.h"

#include <string.h>

#include "fuse/channel/proto.h"
#include "util/compiler.h"
#include "util/sizes.h"

/* The fixed part of a request, or NULL when it was cut short. */
static const void *fixed_part(const struct fuse_in_header *header, size_t size)
{
	return header->len >= sizeof(*header) + size ? header + 1 : NULL;
}

static void take_init(struct shim_terms *terms, const struct fuse_in_header *header)
{
	const size_t old_size = offsetof(struct fuse_init_in, flags2);
	const struct fuse_init_in *in = fixed_part(header, old_size);

	if (!in)
		return;
	terms->offered_minor = in->minor;
	terms->offered = in->flags;
	if ((in->flags & FUSE_INIT_EXT) && fixed_part(header, sizeof(*in)))
		terms->offered |= (uint64_t)in->flags2 << 32;
}

static bool kills_suidgid(const struct fuse_in_header *header)
{
	const struct fuse_setattr_in *setattr;
	const struct fuse_write_in *write;

	switch (header->opcode) {
	case FUSE_WRITE:
		write = fixed_part(header, sizeof(*write));
		return write && (write->write_flags & FUSE_WRITE_KILL_SUIDGID);
	case FUSE_SETATTR:
		setattr = fixed_part(header, sizeof(*setattr));
		return setattr && (setattr->valid & FATTR_KILL_SUIDGID);
	default:
		return false;
	}
}

/*
 * A request that goes around the page cache names the owner of the locks to be looked at; a request
 * of the cache itself names none. A file's flags say less: O_DIRECT files can be mapped.
 */
static bool is_direct(const struct fuse_in_header *header)
{
	const struct fuse_write_in *write;
	const struct fuse_read_in *read;

	switch (header->opcode) {
	case FUSE_WRITE:
		write = fixed_part(header, sizeof(*write));
		return write && (write->write_flags & FUSE_WRITE_LOCKOWNER);
	case FUSE_READ:
		read = fixed_part(header, sizeof(*read));
		return read && (read->read_flags & FUSE_READ_LOCKOWNER);
	default:
		return false;
	}
}

enum shim_verdict shim_in(struct shim_terms *terms, struct shim_request *out_req, void *buf,
			  size_t len, uint64_t token)
{
	struct fuse_in_header *header = buf;
	const struct fuse_interrupt_in *interrupt;

	if (len < sizeof(*header) || header->len < sizeof(*header) || header->len > len)
		return SHIM_BROKEN;
	*out_req = (struct shim_request){ .unique = header->unique, .opcode = header->opcode };
	switch (header->opcode) {
	case FUSE_INIT:
		take_init(terms, header);
		break;
	case FUSE_INTERRUPT:
		/* Ours: libfuse sees other numbers, and would keep what it does not find for ever. */
		interrupt = fixed_part(header, sizeof(*interrupt));
		if (!interrupt)
			return SHIM_DROP;
		out_req->unique = interrupt->unique;
		return SHIM_INTERRUPT;
	case FUSE_TMPFILE:
		header->opcode = FUSE_CREATE;
		break;
	case PROTO_STATX:
		header->opcode = FUSE_GETATTR;
		break;
	default:
		if (kills_suidgid(header))
			out_req->flags |= SHIM_KILL_SUIDGID;
		if (is_direct(header))
			out_req->flags |= SHIM_DIRECT;
	}
	header->unique = token;
	return SHIM_SERVE;
}

/* Behind the header, @size bytes at @off of one piece; NULL when the reply has no such part. */
static void *reply_part(struct iovec *iov, int count, size_t off, size_t size)
{
	if (count < 2 || iov[1].iov_len < off + size)
		return NULL;
	return (char *)iov[1].iov_base + off;
}

static void give_init(struct shim_terms *terms, struct iovec *iov, int count)
{
	struct fuse_init_out *out = reply_part(iov, count, 0, sizeof(*out));
	const uint64_t more = terms->wanted & terms->offered;
	const bool extended = terms->offered & FUSE_INIT_EXT;

	if (!out)
		return;
	out->flags |= (uint32_t)more;
	if (extended) {
		out->flags |= (uint32_t)FUSE_INIT_EXT;
		out->flags2 |= (uint32_t)(more >> 32);
		out->minor = (uint32_t)max_u64(out->minor,
					       min_u64(terms->offered_minor, PROTO_MINOR_MAX));
	}
	terms->agreed = out->flags;
	if (extended)
		terms->agreed |= (uint64_t)out->flags2 << 32;
}

/* Direct writes to one file side by side: the kernel looks at the bit only where it knows it. */
static void give_open(struct fuse_open_out *out)
{
	if (out && (out->open_flags & FOPEN_DIRECT_IO))
		out->open_flags |= FOPEN_PARALLEL_DIRECT_WRITES;
}

void shim_out(struct shim_terms *terms, const struct shim_request *req, struct iovec *iov,
	      int count)
{
	struct fuse_out_header *header = iov[0].iov_base;

	header->unique = req->unique;
	if (header->error)
		return;
	switch (req->opcode) {
	case FUSE_INIT:
		give_init(terms, iov, count);
		break;
	case FUSE_OPEN:
		give_open(reply_part(iov, count, 0, sizeof(struct fuse_open_out)));
		break;
	case FUSE_CREATE:
	case FUSE_TMPFILE:
		give_open(reply_part(iov, count, sizeof(struct fuse_entry_out),
				     sizeof(struct fuse_open_out)));
		break;
	}
}
