/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport_i.h - what a transport is made of: a session of libfuse on a channel.
 */
#ifndef ZT_FUSE_TRANSPORT_I_H
#define ZT_FUSE_TRANSPORT_I_H

#include "fuse/channel/channel.h"
#include "fuse/fuse_ops.h"

struct transport {
	struct ztfuse *front;
	struct fuse_session *se; /* from transport_attach() on */
	struct channel *channel;
	unsigned nr_threads; /* that serve requests */
	bool started; /* by transport_start(); of the thread that makes and runs it */
};

/* request.c */

/** request_run() - hand a request to libfuse. Return: whether nobody holds it. */
bool request_run(struct ztfuse *front, struct request *req);

/** request_current_unique() - the kernel's number of what the calling thread serves; 0: nothing. In a signal's handler, too */
uint64_t request_current_unique(void);

/** request_pause() - super_set_pause()'s, of a transport: between two rounds of this thread's request */
bool request_pause(void *transport);

/** request_is_left() - what the calling thread would reply is not to be said: another process will */
bool request_is_left(const struct ztfuse *front);

/* length.c */

/** request_length() - how long the message @msg of @len bytes may take */
enum channel_length request_length(struct super *sb, const void *msg, size_t len);

#endif
