/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * longline.h - requests that may take seconds: some threads are kept from them, and the rest of
 * them stand in line.
 *
 * One that stands in line is a copy of its bytes, so that the thread that read it has its buffer
 * back; or the request itself, where that must outlive the process (inbox.h). The next thread that ends
 * one of its kind serves it.
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

/* What stands in line; nothing, since there is no other request for the thread: then it is served now. */
enum longline_form { LONGLINE_COPY, LONGLINE_ITSELF, LONGLINE_NOT };

/**
 * longline_enter() - whether a long request may be served now
 * Return: false: it stands in line. @req is free for another one, or, itself, the line's.
 */
bool longline_enter(struct longline *longline, struct request *req, size_t len,
		    enum longline_form form);

/**
 * longline_next() - one has been served: take the next one of the line
 * @req: the thread's, into which a copy goes; @stops: none, since the threads are to end
 * @out_len: bytes of it
 * Return: @req, or another one, which is the caller's; NULL: there is none, and the thread serves long ones no more.
 */
struct request *longline_next(struct longline *longline, struct request *req, bool stops,
			      size_t *out_len);

/**
 * longline_withdraw() - take one out of the line that is wanted no longer
 * Return: whether it stood there; its reply goes to @out_fd, and @out_req, or NULL, is the caller's.
 */
bool longline_withdraw(struct longline *longline, uint64_t unique, int *out_fd,
		       struct request **out_req);

#endif
