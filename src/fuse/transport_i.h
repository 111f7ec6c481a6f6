/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport_i.h - the transport's inside, for its two ways: the kernel's channel (worker.c) and
 * rings (uring.c).
 */
#ifndef ZT_FUSE_TRANSPORT_I_H
#define ZT_FUSE_TRANSPORT_I_H

#include <pthread.h>
#include <stdatomic.h>

#include "fuse/proto.h"
#include "fuse/request.h"
#include "fuse/shim.h"
#include "fuse/transport.h"
#include "fuse/wakeup.h"
#include "util/line.h"
#include "util/lock.h"
#include "util/sizes.h"

/*
 * A buffer is filled so that the data of a WRITE begins on a page. The kernel refuses to be read
 * into less than it may send.
 */
#define WRITE_HEAD         ((size_t)(sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in)))
#define BUFFER_LEAD        ((size_t)ZT_PAGE_SIZE - WRITE_HEAD)
#define BUFFER_ROOM(front) (WRITE_HEAD + (front)->io_max)
#define BUFFER_SIZE(front) ((size_t)ZT_PAGE_SIZE + (front)->io_max)
static_assert(WRITE_HEAD + ZTFUSE_SWAP_IO_MAX >= FUSE_MIN_READ_BUFFER &&
		      WRITE_HEAD + ZTFUSE_IO_MAX >= FUSE_MIN_READ_BUFFER,
	      "what the kernel asks for");

struct ring;

/*
 * One request and its buffer; owned by a worker or a ring, by who holds it, or by the list of spare
 * ones.
 */
struct ztfuse_held {
	struct transport *transport;
	struct shim_request shim;
	char *map; /* BUFFER_SIZE() bytes */
	_Atomic size_t touched; /* of the buffer, since the last trim. Relaxed: a hint */
	struct ztfuse_held *next; /* while spare, or answered and not yet handed to the kernel */
	int fd; /* where it came from and its reply goes, unless by a ring */
	bool held; /* by somebody else; its reply comes from another thread */
	void *msg; /* what libfuse was given, */
	size_t msg_len; /* for another time */
	/* Room.c's, while it stands in line: */
	struct line_item waiting;
	uint64_t wait_until; /* zt_now_ns() */
	/* The kernel's number of the request whose handler runs, and of one that is wanted no more. */
	_Atomic uint64_t serving, interrupted;
	/* Rings only, all the ring's own: */
	struct ring *ring; /* set once; NULL: it belongs to a worker */
	struct ztfuse_held *next_entry;
	struct proto_uring_headers *headers; /* in the buffer's first page */
	uint64_t commit_id;
	bool answered; /* in the ring's thread: the reply is on its way */
};

/* Interruptions that have overtaken their requests; more at a time than threads read is no use. */
#define NR_EARLY 16u

/* Long requests that wait for others: longline.c. */
struct longline {
	struct mutex lock; /* innermost, guards the rest */
	unsigned nr_serving; /* threads that serve one */
	struct line waiting; /* of copies of requests */
};

struct transport {
	struct ztfuse *front;
	struct fuse_session *se;
	struct transport_params params;
	struct shim_terms terms;
	struct ztfuse_held *reqs; /* nr_reqs, the table of libfuse's request numbers less 1 */
	unsigned nr_reqs;
	/* Worker.c's: */
	struct worker *workers; /* params.nr_threads */
	unsigned nr_workers; /* that run; guarded by lock */
	unsigned nr_on_duty; /* that read, or will soon; guarded by lock */
	_Atomic unsigned nr_wanted; /* on duty; changed under lock, a relaxed load is a hint */
	unsigned most_wanted; /* on duty at most; constant */
	_Atomic unsigned nr_long; /* long requests since the last short one; relaxed: a hint */
	struct worker *parked; /* without duty or request, last come first; guarded by lock */
	unsigned nr_parked; /* guarded by lock */
	unsigned nr_surprises; /* how often the watch took the duty away; guarded by lock */
	atomic_bool watch_sleeps; /* see worker.state; who serves wakes it */
	int spin_fd; /* the channel, read without waiting; -1: not to be had */
	struct longline longline;
	/* Numbers of requests, 0: none; by exchange alone. See interrupt.c. */
	_Atomic uint64_t early[NR_EARLY];
	atomic_uint next_early;
	struct wakeup wakeup; /* the watch's own while it runs */
	struct uring *uring; /* NULL: none; changed under lock */
	struct uring *stopped_uring; /* for late replies until the end */
	int uring_error; /* why rings cannot be had here, or 0 */
	atomic_bool stop;
	struct mutex lock;
	pthread_cond_t ended_cond; /* by CLOCK_MONOTONIC */
	bool ended; /* guarded by lock */
	bool started; /* by transport_start(); of the thread that makes and runs it */
	int error; /* why; guarded by lock */
	/* Spare.c's, guarded by lock: */
	struct ztfuse_held *warm; /* spare, with memory to give back; last come first */
	struct ztfuse_held *cold; /* spare, without */
	unsigned nr_spare; /* both; as many as are parked at least */
	_Atomic unsigned nr_warm; /* changed under lock, a relaxed load is a hint */
	unsigned nr_unused; /* fewest that were warm since the last trim */
	unsigned most_warm; /* beside which no large buffer is kept warm; constant */
};

/** request_receive() - one request into @req. Return: its length, 0 at the end, -errno */
ssize_t request_receive(struct transport *t, struct ztfuse_held *req, int fd);

/** request_passes() - whether receiving failed for a reason that passes */
bool request_passes(ssize_t error);

/** request_serve() - hand a received request of @len bytes at @buf to libfuse; in a thread of ours */
void request_serve(struct transport *t, struct ztfuse_held *req, void *buf, size_t len);

/** request_pause() - super_set_pause()'s: between two rounds of the request of this thread */
bool request_pause(void *arg);

/* interrupt.c */

/** interrupt_note() - the request @unique is wanted no more; it may not have been seen yet */
void interrupt_note(struct transport *t, uint64_t unique);

/** interrupt_begin() - the handler of @req begins; interrupt_end(): it has returned, nothing is held */
void interrupt_begin(struct ztfuse_held *req);
void interrupt_end(struct ztfuse_held *req);

/** interrupt_came_first() - whether it had been noted before, once */
bool interrupt_came_first(struct transport *t, uint64_t unique);

/* longline.c */

/** longline_wants() - whether a request's length is its sender's choice, and may be seconds */
bool longline_wants(const struct transport *t, const struct ztfuse_held *req, size_t len);

/**
 * longline_enter() - whether a long request may be served now; false: it stands in line, and @req is
 * free for another one
 */
bool longline_enter(struct transport *t, const struct ztfuse_held *req, size_t len);

/**
 * longline_next() - one has been served: take the next one of the line into @req
 * Return: its length; 0: there is none, and the thread serves long ones no more.
 */
size_t longline_next(struct transport *t, struct ztfuse_held *req);

/** longline_interrupt() - answer one that stands in line with EINTR. Return: whether it stood there. */
bool longline_interrupt(struct transport *t, uint64_t unique);

void longline_init(struct longline *line);
void longline_exit(struct longline *line);

/** request_touched() - note that so much of the buffer was used */
void request_touched(struct ztfuse_held *req, size_t len);
bool request_is_large(struct ztfuse_held *req);

/** request_trim() - give back most of the buffer's memory; by the owner, or while spare */
void request_trim(struct ztfuse_held *req);

/** spare_cool() - trim a large buffer that is about to be put, when enough are warm; takes no lock */
void spare_cool(struct transport *t, struct ztfuse_held *req);

/** spare_push(), spare_pop() - put or take one, of which there is one; with transport.lock held */
void spare_push(struct transport *t, struct ztfuse_held *req);
struct ztfuse_held *spare_pop(struct transport *t);

/** spare_keep() - give back all but @nr_keep; with the lock held */
void spare_keep(struct transport *t, unsigned nr_keep);

/** spare_trim() - give back as many as have been warm ever since the last call; with the lock held */
void spare_trim(struct transport *t);

/**
 * transport_spare_get() - a spare request; takes transport.lock
 * Return: NULL when there is none beside those that parked workers will want.
 */
struct ztfuse_held *transport_spare_get(struct transport *t);
void transport_spare_put(struct ztfuse_held *req);

/**
 * transport_wait() - for ended_cond; with transport.lock held
 * @until_ns: zt_now_ns()'s, at most so long
 * Return: false when that time has come.
 */
bool transport_wait(struct transport *t, uint64_t until_ns);

/** transport_ended() - no more requests come; @error is kept when it is the first */
void transport_ended(struct transport *t, int error);

/* Where a request from the channel begins. */
static inline void *request_buf(const struct ztfuse_held *req)
{
	return req->map + BUFFER_LEAD;
}

static inline void *request_payload(const struct ztfuse_held *req)
{
	return req->map + ZT_PAGE_SIZE;
}

#endif
