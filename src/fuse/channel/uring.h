/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * uring.h - requests and replies through rings shared with the kernel (FUSE over io_uring, Linux
 * 6.14) instead of reads and writes of its channel.
 *
 * The kernel has one queue for each possible CPU, and uses that of the caller's CPU. Each
 * queue is served by one thread bound to its CPU, and by others that run wherever they can;
 * each thread has a ring of its own (ring.h), and as a rule one entry, so that no request waits behind
 * another while a thread is idle. Answering one request and getting the next is one system call.
 * INIT, FORGET and INTERRUPT still come by the channel.
 */
#ifndef ZT_FUSE_CHANNEL_URING_H
#define ZT_FUSE_CHANNEL_URING_H

#include <errno.h>
#include <stdbool.h>

#include "util/compiler.h"

struct channel;
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
int uring_start(struct channel *ch, struct uring **out_uring) ZT_MUST_CHECK;

/** uring_stop() - end and join the threads; what is held may still be answered, to nobody */
void uring_stop(struct uring *uring);

/** uring_destroy() - stopped before, nothing is held; NULL is allowed */
void uring_destroy(struct uring *uring);

/** uring_trim() - have idle rings give back memory. With the channel's lock held. */
void uring_trim(struct uring *uring);

/** uring_served() - how many requests so far, modulo 2^32. With the channel's lock held. */
unsigned uring_served(const struct uring *uring);

/** uring_serves() - whether a ring serves a request now. With the channel's lock held. */
bool uring_serves(const struct uring *uring);

/** uring_is_large() - whether a ring has memory to give back. With the channel's lock held. */
bool uring_is_large(const struct uring *uring);

#else /* nobody asks for rings, so none are made */

static inline int uring_possible(void)
{
	return -EOPNOTSUPP;
}

static inline unsigned uring_nr_rings(unsigned nr_threads)
{
	return nr_threads;
}

static inline int uring_start(struct channel *ch, struct uring **out_uring)
{
	(void)ch;
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

#endif

#endif
