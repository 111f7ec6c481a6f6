/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * longline.h - requests that may take seconds: some threads are kept from them, and the rest of
 * them stand in line.
 *
 * One that stands in line is a copy of its bytes, so that the thread that read it has its buffer
 * back. The next thread that ends one of its kind serves it.
 *
 * Locks: longline.lock, innermost; replies are sent without it.
 */
#ifndef ZT_FUSE_CHANNEL_LONGLINE_H
#define ZT_FUSE_CHANNEL_LONGLINE_H

#include "fuse/channel/request.h"
#include "util/lock.h"

struct longline {
	unsigned nr_threads; /* that serve requests; constant */
	struct mutex lock; /* guards the rest */
	unsigned nr_serving; /* threads that serve one */
	struct line waiting; /* of copies of requests */
};

void longline_init(struct longline *longline, unsigned nr_threads);
void longline_exit(struct longline *longline);

/**
 * longline_enter() - whether a long request may be served now; false: it stands in line, and @req is
 * free for another one
 */
bool longline_enter(struct longline *longline, const struct request *req, size_t len);

/**
 * longline_next() - one has been served: take the next one of the line into @req
 * @stops: none, since the threads are to end
 * Return: its length; 0: there is none, and the thread serves long ones no more.
 */
size_t longline_next(struct longline *longline, struct request *req, bool stops);

/**
 * longline_withdraw() - take one out of the line that is wanted no longer
 * Return: whether it stood there; its reply goes to @out_fd.
 */
bool longline_withdraw(struct longline *longline, uint64_t unique, int *out_fd);

#endif
