/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uring.h - requests and replies through rings shared with the kernel (FUSE over io_uring, Linux
 * 6.14) instead of reads and writes of its channel.
 *
 * The kernel has one queue for each possible CPU, and takes the queue of the CPU that asks. Each
 * queue is served by one thread bound to its CPU, and by others that run wherever there is room;
 * each thread has a ring of its own, and as a rule one entry, so that no request waits behind
 * another while a thread is idle. Answering one request and getting the next is one system call.
 * INIT, FORGET and INTERRUPT still come by the channel.
 */
#ifndef ZT_FUSE_URING_H
#define ZT_FUSE_URING_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "util/compiler.h"

struct transport;
struct ztfuse_held;
struct uring; /* all rings of a session */

#ifdef HAVE_LIBURING

/** uring_nr_rings() - threads, and requests in use at least, where @nr_threads are wanted */
unsigned uring_nr_rings(unsigned nr_threads);

/** uring_possible() - whether rings can be had here: 0 or -errno. Before INIT: it is asked there. */
int uring_possible(void) ZT_MUST_CHECK;

/**
 * uring_start() - make threads and rings, and switch the kernel over to them
 * On error the kernel has been told, and goes on with the channel alone.
 * Return: 0 or -errno.
 */
int uring_start(struct transport *t, struct uring **out_uring) ZT_MUST_CHECK;

/** uring_stop() - end and join the threads; what is held may still be answered, to nobody */
void uring_stop(struct uring *uring);

/** uring_destroy() - stopped before, nothing is held; NULL is allowed */
void uring_destroy(struct uring *uring);

/** uring_trim() - have idle rings give back memory. With transport.lock held. */
void uring_trim(struct uring *uring);

/** uring_served() - how many requests so far, modulo 2^32. With transport.lock held. */
unsigned uring_served(const struct uring *uring);

/** uring_serves() - whether a ring serves a request now. With transport.lock held. */
bool uring_serves(const struct uring *uring);

/** uring_is_large() - whether a ring has memory to give back. With transport.lock held. */
bool uring_is_large(const struct uring *uring);

/** uring_reply() - send the reply of a ring's request; any thread. As writev(2), but never waits. */
ssize_t uring_reply(struct ztfuse_held *req, struct iovec *iov, int count);

/** uring_hold() - in the ring's thread: let somebody else answer. Return: false when it cannot be. */
bool uring_hold(struct ztfuse_held *req) ZT_MUST_CHECK;

#else /* nobody asks for rings, so none are made */

static inline int uring_possible(void)
{
	return -EOPNOTSUPP;
}

static inline unsigned uring_nr_rings(unsigned nr_threads)
{
	return nr_threads;
}

static inline int uring_start(struct transport *t, struct uring **out_uring)
{
	(void)t;
	(void)out_uring;
	return -EOPNOTSUPP;
}

static inline void uring_stop(struct uring *uring)
{
	(void)uring;
}

static inline void uring_destroy(struct uring *uring)
{
	(void)uring;
}

static inline void uring_trim(struct uring *uring)
{
	(void)uring;
}

static inline unsigned uring_served(const struct uring *uring)
{
	(void)uring;
	return 0;
}

static inline bool uring_serves(const struct uring *uring)
{
	(void)uring;
	return false;
}

static inline bool uring_is_large(const struct uring *uring)
{
	(void)uring;
	return false;
}

static inline ssize_t uring_reply(struct ztfuse_held *req, struct iovec *iov, int count)
{
	(void)req;
	(void)iov;
	(void)count;
	errno = EOPNOTSUPP;
	return -1;
}

static inline bool uring_hold(struct ztfuse_held *req)
{
	(void)req;
	return false;
}

#endif

#endif
