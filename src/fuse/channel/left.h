/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * left.h - what an earlier process has read from the channel and not answered, taken out of the inbox
 * (inbox.h): it is served as if it came from the kernel, before anything is read.
 *
 * Locks: the channel's.
 */
#ifndef ZT_FUSE_CHANNEL_LEFT_H
#define ZT_FUSE_CHANNEL_LEFT_H

#include "fuse/channel/channel_i.h"

/** left_add() - @req, which is nobody's, is to be served; with the lock held, or before there are threads */
void left_add(struct channel *ch, struct request *req);

/** left_take() - the next one, of req->len bytes; NULL: there is none. With the lock held. */
struct request *left_take(struct channel *ch);

/** left_any() - whether there may be one; without the lock */
static inline bool left_any(const struct channel *ch)
{
	return atomic_load_explicit(&ch->any_left, memory_order_relaxed);
}

#endif
