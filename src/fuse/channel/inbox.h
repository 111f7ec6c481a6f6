/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inbox.h - requests in memory that outlives the process: what was read and not answered is there for
 * the process that comes after. For kernels that send nothing again.
 *
 * All buffers of the pool then lie in a memfd. Each has a slot at the front of its first page; the
 * message stands at that page's end.
 *
 *     FREE --> READING ----------> SERVED -----------> REPLY ------> FREE, READING
 *              the header's        its header may      the reply
 *              len is 0 until      be changed, the     is written,
 *              the kernel has      slot has what it    or about to
 *              copied a request    was                 be
 *
 * A process that attaches takes those that are READING with a length, and those that are SERVED, as if
 * it had read them; but they may have been done already (fuse/ledger.h). A reply that was about to be
 * written is written once more: the kernel refuses what it has. So nothing is done again after the
 * client has heard of it, when others may have changed the same meanwhile.
 *
 * A FORGET has no reply. It notes how much of it was done, a step before it does so.
 *
 * Locks: none; a slot is its request's.
 */
#ifndef ZT_FUSE_CHANNEL_INBOX_H
#define ZT_FUSE_CHANNEL_INBOX_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/uio.h>

#include "fuse/channel/request.h"
#include "util/compiler.h"

struct request_pool;

/* Longest of those replies that are kept: others are of requests that may be made again. */
#define INBOX_REPLY_MAX 1024u

/* How a request came: only there can it be answered. Clones from INBOX_CLONE on, as they are kept. */
enum inbox_way { INBOX_CHANNEL, INBOX_SPIN, INBOX_CLONE };

enum inbox_state { INBOX_FREE, INBOX_READING, INBOX_SERVED, INBOX_REPLY };

struct inbox_slot {
	_Atomic uint32_t state; /* release: what the state tells of is stored before */
	uint32_t way;
	uint64_t unique; /* from SERVED on: the kernel's number, */
	uint32_t opcode; /* and what it asked for */
	uint32_t reply_len; /* bytes */
	_Atomic uint64_t nr_forgotten; /* of a FORGET's items */
	char reply[INBOX_REPLY_MAX];
};
static_assert(sizeof(struct inbox_slot) <= REQUEST_LEAD, "it lies before the message");

/** inbox_make() - a memfd for the buffers of @pool. Return: 0 or -errno. */
int inbox_make(const struct request_pool *pool, int *out_fd) ZT_MUST_CHECK;

/** inbox_fits() - whether inbox_make() of a pool like this has made @fd */
bool inbox_fits(const struct request_pool *pool, int fd);

/**
 * inbox_map() - the buffers of @pool are those of the inbox from here on; nobody uses them
 * Return: 0; -EPROTO it is one of another kind; -errno: none can be used any more.
 */
int inbox_map(struct request_pool *pool, int fd) ZT_MUST_CHECK;

/** inbox_way_of() - how to answer what an earlier process has left in @req */
uint32_t inbox_way_of(const struct request *req);

/**
 * inbox_find() - what an earlier process has left there
 * Return: INBOX_READING: a request of req->len bytes, as it came; INBOX_REPLY: a reply in @out_iov,
 *         after which inbox_free() follows; INBOX_FREE: nothing.
 */
enum inbox_state inbox_find(struct request *req, struct iovec *out_iov);

/* All of a request that has a slot: */

/** inbox_begin() - the kernel is about to copy one into it, which comes by @way */
void inbox_begin(struct request *req, uint32_t way);

/** inbox_serve() - it has come, and its header is about to be changed */
void inbox_serve(struct request *req);

/** inbox_reply() - this is about to be its reply */
void inbox_reply(struct request *req, const struct iovec *iov, int count);

/** inbox_forgets() - note that a FORGET's item is about to be done. Return: whether it is to be. */
bool inbox_forgets(struct inbox_slot *slot, uint64_t nr);

/** inbox_free() - it was answered */
void inbox_free(struct request *req);

#endif
