/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * intake.h - one request from the kernel to its handler.
 *
 * Locks: none.
 */
#ifndef ZT_FUSE_CHANNEL_INTAKE_H
#define ZT_FUSE_CHANNEL_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/compiler.h"

struct channel;
struct request;

/**
 * request_receive() - one request into @req
 * @way: what @fd is, for a later process (inbox.h)
 * Return: its length, 0 at the end, -errno
 */
ssize_t request_receive(struct channel *ch, struct request *req, int fd, uint32_t way);

/** request_passes() - whether receiving failed for a reason that passes */
bool request_passes(ssize_t error);

/**
 * request_prepare() - take a received message to its handler, changed to what that knows
 * Return: whether it needs one; then @req is SERVED.
 */
bool request_prepare(struct channel *ch, struct request *req, void *msg, size_t len);

/**
 * request_serve() - have a received request of @len bytes at @msg served, unless it needs no handler
 * In a thread of the channel's. Afterwards it is answered, needs no answer, or is held.
 * Return: whether a handler had it.
 */
bool request_serve(struct channel *ch, struct request *req, void *msg, size_t len);

/**
 * request_withdraw() - answer a request that is wanted no longer with EINTR, if it stands in line
 * Return: whether it stood there.
 */
bool request_withdraw(struct channel *ch, uint64_t unique);

/** channel_bind() - the calling thread is one of the channel's: it runs where params say */
void channel_bind(const struct channel *ch);

/** channel_clone() - another descriptor for the channel @master. Return: it, or -errno. */
int channel_clone(int master) ZT_MUST_CHECK;

#endif
