/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * terms.h - INIT and its reply as messages, kept for a process that goes on with the channel.
 *
 * Locks: none; the thread that serves INIT.
 */
#ifndef ZT_FUSE_CHANNEL_TERMS_H
#define ZT_FUSE_CHANNEL_TERMS_H

#include "fuse/channel/channel.h"

/** terms_note_request() - keep @msg if it is an INIT; as it comes, before anything is translated */
void terms_note_request(struct channel_terms *terms, const void *msg, size_t len);

/** terms_note_reply() - keep the reply to it; as it goes */
void terms_note_reply(struct channel_terms *terms, const struct iovec *iov, int count);

#endif
