/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ring.h - one ring shared with the kernel, in the thread that it belongs to: entries, and the
 * requests in them.
 *
 * Only that thread submits and reaps, and the kernel copies a request into an entry, and an answer
 * out of it, only while the thread is inside io_uring_enter(2) (IORING_SETUP_DEFER_TASKRUN). So when
 * nothing waits in either queue, the memory of entries that are with the kernel may be given back
 * without a lock. A reply that comes from another thread is put on the ring's list, and the ring is
 * woken by its eventfd.
 *
 * Locks: ring.lock, innermost: the list of late replies.
 */
#ifndef ZT_FUSE_CHANNEL_RING_H
#define ZT_FUSE_CHANNEL_RING_H

#ifdef HAVE_LIBURING

#include <liburing.h>
#include <pthread.h>
#include <sys/uio.h>

#include "fuse/channel/channel_i.h"

struct uring;

/* A request as an entry of a kernel's queue; belongs to one ring for good. */
struct ring_entry {
	struct ring *ring;
	struct request *req;
	struct ring_entry *next; /* of the same ring */
	struct proto_uring_headers *headers; /* in the buffer's first page */
	uint64_t commit_id; /* the kernel's, of the request in it */
};

struct ring {
	struct uring *uring;
	struct channel *channel;
	struct ring_entry *all_entries; /* as many as the pool has requests, in its order; shared */
	pthread_t thread;
	unsigned qid; /* the kernel's queue */
	bool bound; /* runs on the queue's CPU alone */
	bool started; /* there is a thread to join */
	int wake_fd; /* eventfd; the counter wakes the ring */
	struct io_uring io; /* the thread's own, as all up to lock */
	struct iovec iov[2]; /* of the entry that is being registered; read by the kernel at once */
	uint64_t wake_count; /* where the eventfd is read into */
	struct ring_entry *entries; /* by next */
	unsigned nr_active; /* entries with the kernel or being served: not held, not dead */
	bool dead; /* the connection has gone, or the ring does not work */
	int error; /* why, in the second case */
	struct mutex lock;
	struct request *late; /* answered by other threads; guarded by lock */
	atomic_bool large; /* relaxed: some entry has much memory */
	atomic_bool trim; /* relaxed; asked for again */
	/* Stored before the ring looks at ending.caretaker_sleeps; see worker.state. */
	atomic_bool serves;
	_Atomic unsigned served; /* relaxed: tells uring_trim() whether this ring was idle */
	unsigned served_before; /* uring_trim()'s own */
};

/** ring_open() - the two queues, in the ring's thread. Return: 0 or -errno. */
int ring_open(struct io_uring *io) ZT_MUST_CHECK;

/**
 * ring_begin() - the first entry, in the ring's thread
 * Return: 0; -errno: a refusal, which is there at once. A request comes at the earliest when all
 * queues have an entry.
 */
int ring_begin(struct ring *ring) ZT_MUST_CHECK;

/** ring_loop() - serve until the end, in the ring's thread; ring.error says why */
void ring_loop(struct ring *ring);

/** ring_wake() - have it look at its list and its orders; any thread */
void ring_wake(struct ring *ring);

/** ring_reply() - send the reply of a ring's request; any thread. As writev(2), but never waits. */
ssize_t ring_reply(struct request *req, struct iovec *iov, int count);

/** ring_hold() - in the ring's thread: let somebody else answer. Return: false when it cannot be. */
bool ring_hold(struct request *req) ZT_MUST_CHECK;

#else /* no request belongs to a ring */

#include <errno.h>
#include <stdbool.h>
#include <sys/uio.h>

struct request;

static inline ssize_t ring_reply(struct request *req, struct iovec *iov, int count)
{
	(void)req;
	(void)iov;
	(void)count;
	errno = EOPNOTSUPP;
	return -1;
}

static inline bool ring_hold(struct request *req)
{
	(void)req;
	return false;
}

#endif

#endif
