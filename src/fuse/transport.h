/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport.h - a session of libfuse on a channel: requests come and replies go by our own threads
 * (channel/channel.h), libfuse takes each request apart and puts its reply together.
 *
 * Locks: none here.
 */
#ifndef ZT_FUSE_TRANSPORT_H
#define ZT_FUSE_TRANSPORT_H

#include "fuse/channel/channel.h"
#include "fuse/fuse_ops.h"
#include "util/compiler.h"

struct transport; /* one per session */

/**
 * transport_plan() - how large requests may be under a limit on memory, and how many held at once
 * Their buffers take a 32nd of the limit at most, and those of held ones a 256th, unless that is less
 * than ZTFUSE_IO_MIN bytes for each thread and none held.
 * @mem_limit: bytes, 0: none
 * @inout_params: nr_threads and uring are looked at, nr_held and io_max are lowered; ztfuse.io_max is
 *                to be the same
 * Return: bytes that all this takes at most, the threads' stacks included.
 */
uint64_t transport_plan(uint64_t mem_limit, struct channel_params *inout_params);

/**
 * transport_create() - make it, with all requests and buffers it will ever need
 * @front: its session's userdata; ends after the transport. It says io_max and keeps_buffers.
 * Return: 0 or -ENOMEM.
 */
int transport_create(struct ztfuse *front, const struct channel_params *params,
		     struct transport **out_transport) ZT_MUST_CHECK;

/**
 * transport_attach() - make @se send its replies through the transport
 * Comes before fuse_session_mount(), which brings the real channel; until then @se's channel is
 * @fd, or one that says nothing (-1). libfuse owns @fd from here on.
 * Return: 0 or -errno.
 */
int transport_attach(struct transport *t, struct fuse_session *se, int fd) ZT_MUST_CHECK;

/**
 * transport_serve_init() - answer the kernel's first request in the caller's thread
 * Return: 0 or -errno; no terms were agreed on then.
 */
int transport_serve_init(struct transport *t) ZT_MUST_CHECK;

/**
 * transport_get_terms() - after transport_serve_init(): what was agreed on, for transport_resume()
 * Return: 0 or -EPROTO.
 */
int transport_get_terms(const struct transport *t, struct channel_terms *out_terms) ZT_MUST_CHECK;

/** transport_resends() - whether the kernel can send requests again; after transport_serve_init() */
bool transport_resends(const struct transport *t);

/**
 * transport_replay() - instead of transport_serve_init(): serve what an earlier process was asked; the
 * kernel hears nothing of it
 * Return: 0; -EPROTO this program would agree on something else; -errno.
 */
int transport_replay(struct transport *t, const struct channel_terms *terms) ZT_MUST_CHECK;

/** transport_make_inbox() - where it cannot: have requests stay in a memfd, for transport_resume(). Return: 0 or -errno. */
int transport_make_inbox(struct transport *t, int *out_fd) ZT_MUST_CHECK;

/** transport_fits_inbox() - whether this program could take requests out of @inbox */
bool transport_fits_inbox(const struct transport *t, int inbox);

/**
 * transport_resume() - instead of transport_serve_init(), on a channel that an earlier process has
 * served: agree on the same, and have what that process left unanswered come again
 * @inbox: transport_make_inbox()'s; -1: the kernel sends it
 * Return: 0; -EPROTO this program would agree on something else; -errno.
 */
int transport_resume(struct transport *t, const struct channel_terms *terms,
		     int inbox) ZT_MUST_CHECK;

/**
 * transport_start() - make the threads that serve requests
 * Fewer threads than asked for are a warning, none is an error.
 * Return: 0, and transport_run() must follow, which joins them; -errno, and there are none.
 */
int transport_start(struct transport *t) ZT_MUST_CHECK;

/**
 * transport_run() - serve requests until the connection ends or transport_stop()
 * Makes the threads where transport_start() has not; waits, and joins them, and those that hold
 * requests (seek.h, retry.h).
 * Return: 0 or -errno when the channel failed.
 */
int transport_run(struct transport *t) ZT_MUST_CHECK;

/** transport_stop() - have transport_run() return. Any thread, any time. */
void transport_stop(struct transport *t);

/** transport_destroy() - no thread runs, nothing is held; NULL is allowed */
void transport_destroy(struct transport *t);

#endif
