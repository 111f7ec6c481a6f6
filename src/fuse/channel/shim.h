/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * shim.h - what the kernel can do and libfuse does not know: translated on the way in, and on the
 * way out.
 *
 * TMPFILE becomes CREATE and STATX becomes GETATTR, marked; the reply to INIT gets the flags that
 * libfuse has no word for; replies to OPEN and CREATE get theirs. Works on the bytes alone.
 */
#ifndef ZT_FUSE_CHANNEL_SHIM_H
#define ZT_FUSE_CHANNEL_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* What the two sides agreed on in INIT. Written by the thread that serves INIT, then immutable. */
struct shim_terms {
	uint64_t wanted; /* flags to ask for beyond libfuse's, where the kernel offers them */
	uint64_t offered; /* the kernel's flags */
	uint32_t offered_minor;
	uint64_t agreed; /* flags of the reply */
};

/* struct shim_request.flags */
#define SHIM_KILL_SUIDGID (1u << 0)
#define SHIM_DIRECT       (1u << 1) /* a READ or WRITE around the page cache */

/* What is remembered of a request until its reply. */
struct shim_request {
	uint64_t unique; /* the kernel's; libfuse sees another */
	uint32_t opcode; /* the kernel's */
	uint32_t flags;
};

enum shim_verdict {
	SHIM_SERVE, /* hand it to libfuse */
	SHIM_INTERRUPT, /* another request (out_req->unique) is wanted no more; needs no answer */
	SHIM_DROP, /* it needs no answer and nothing is to be done */
	SHIM_BROKEN, /* no request at all */
};

/**
 * shim_in() - look at a request, remember what its reply needs, make of it what libfuse knows
 * @buf: the request, changed in place; @len bytes, of which the header says how many are its own
 * @token: what libfuse sees as the request's number; not 0
 */
enum shim_verdict shim_in(struct shim_terms *terms, struct shim_request *out_req, void *buf,
			  size_t len, uint64_t token);

/**
 * shim_out() - make of libfuse's reply what the kernel expects
 * @iov: the reply as libfuse writes it, header first; changed in place
 */
void shim_out(struct shim_terms *terms, const struct shim_request *req, struct iovec *iov,
	      int count);

#endif
