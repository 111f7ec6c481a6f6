/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * request.h - one message from the kernel, with its buffer, from its arrival to its answer.
 *
 *            read             serve              reply                read, or given back
 *     IDLE --------> READING --------> SERVED ----------> ANSWERED -----------------------> READING, IDLE
 *                                        |                   ^
 *                                        | hold              | reply, from any thread
 *                                        `-----> HELD -------'
 *
 * A request has one owner at a time: the pool (IDLE), the reader or ring that it comes by, or the
 * holder (HELD). So it needs no lock. One that needs no answer goes on from SERVED or READING.
 */
#ifndef ZT_FUSE_CHANNEL_REQUEST_H
#define ZT_FUSE_CHANNEL_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fuse/channel/proto.h"
#include "fuse/channel/shim.h"
#include "util/line.h"
#include "util/sizes.h"

/*
 * A buffer is filled so that the data of a WRITE begins on a page. The kernel refuses to be read
 * into less than it may send.
 */
#define REQUEST_HEAD ((size_t)(sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in)))
#define REQUEST_LEAD ((size_t)ZT_PAGE_SIZE - REQUEST_HEAD)

struct channel;
struct inbox_slot;
struct ring_entry;

enum request_state {
	REQUEST_IDLE, /* nobody needs it: in the pool, or with a reader that has not begun */
	REQUEST_READING, /* a reader, or the kernel by a ring, fills its buffer */
	REQUEST_SERVED, /* its handler runs */
	REQUEST_HELD, /* another thread will answer it */
	REQUEST_ANSWERED, /* its reply is on its way */
	REQUEST_NR_STATES
};

struct request {
	struct channel *channel;
	/* Relaxed: changed by its owner. A ring's thread looks at one that another thread answers. */
	_Atomic enum request_state state;
	struct shim_request shim;
	char *map; /* a page, and size bytes of data from the second page on */
	size_t size;
	struct inbox_slot *slot; /* at the front of the buffer, where that outlives the process; or NULL */
	_Atomic size_t touched; /* of the buffer, since the last trim. Relaxed: a hint */
	bool populated; /* all of the buffer, since the last trim; the owner's */
	struct request *next; /* in the pool, or of those that were answered and go to their ring */
	int fd; /* where it came from and its reply goes, unless by a ring */
	bool left; /* an earlier process has read it, and died before it was answered */
	void *msg; /* what it says, for its handler: */
	size_t len; /* bytes of it */
	/* The kernel's number of the request whose handler runs, and of one that is wanted no more. */
	_Atomic uint64_t serving, interrupted;
	struct ring_entry *entry; /* set once; NULL: it does not belong to a ring */
	/* Its holder's, while it stands in a line: */
	struct line_item waiting;
	uint64_t wait_until; /* zt_now_ns() */
};

/** request_init() - IDLE, with a buffer for @io_max bytes of data. Return: 0 or -ENOMEM. */
int request_init(struct request *req, struct channel *channel, size_t io_max) ZT_MUST_CHECK;
void request_exit(struct request *req);

/** request_state() - where it stands; any thread */
static inline enum request_state request_state(const struct request *req)
{
	return atomic_load_explicit(&req->state, memory_order_relaxed);
}

/**
 * request_number() - the kernel's, with the mark of those that come again, whoever brings them
 * From its arrival on; the owner.
 */
static inline uint64_t request_number(const struct request *req)
{
	return req->shim.unique | (req->left ? PROTO_RESENT : 0);
}

/** request_set() - to another state, by its owner; debug builds check that an arrow leads there */
void request_set(struct request *req, enum request_state state);

/** request_touched() - note that so much of the buffer was used */
void request_touched(struct request *req, size_t len);
bool request_is_large(const struct request *req);

/** request_populate() - have memory for all of the buffer, so that nothing is paged in; by the owner */
void request_populate(struct request *req);

/** request_trim() - give back most of the buffer's memory; by the owner, or while in the pool */
void request_trim(struct request *req);

/* Where a request from /dev/fuse begins. */
static inline void *request_buf(const struct request *req)
{
	return req->map + REQUEST_LEAD;
}

static inline size_t request_buf_size(const struct request *req)
{
	return REQUEST_HEAD + req->size;
}

/* Page-aligned, size bytes: the data of a WRITE, or place for those of a reply. */
static inline void *request_payload(const struct request *req)
{
	return req->map + ZT_PAGE_SIZE;
}

/** request_is_interrupted() - whether the one whose handler runs is wanted no more; its own thread */
static inline bool request_is_interrupted(const struct request *req)
{
	return atomic_load_explicit(&req->interrupted, memory_order_relaxed) == req->shim.unique;
}

#endif
