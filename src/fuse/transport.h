/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * transport.h - how requests come from the kernel and replies go back: threads that read the
 * kernel's channel, their buffers, and the way around what libfuse does not know (shim.h).
 *
 * libfuse still takes each request apart and puts its reply together. Nothing of ours is allocated
 * per request: each thread owns one request with its buffer, and a fixed number of spare ones takes
 * the place of those that are answered later.
 *
 * Locks: transport.lock; see transport.c.
 */
#ifndef ZT_FUSE_TRANSPORT_H
#define ZT_FUSE_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "fuse/fuse_ops.h"
#include "util/compiler.h"

struct transport; /* one per session */

enum transport_uring {
	TRANSPORT_URING_OFF,
	TRANSPORT_URING_AUTO, /* where they can be had, without a word where not */
	TRANSPORT_URING_ON, /* where they can be had; else with a warning */
};

struct transport_params {
	unsigned nr_threads; /* at least 1 */
	unsigned nr_spare; /* how many requests may be held at once (request.h) */
	bool clone_fd; /* a channel of its own for each thread */
	enum transport_uring uring; /* rings instead of the channel (uring.h) */
	/*
	 * While small requests come one upon another: what a CPU's wake-up may take, written to a
	 * descriptor of /dev/cpu_dma_latency, which stays the caller's (wakeup.h).
	 */
	bool latency_asked; /* else the rest means nothing */
	int latency_fd;
	int32_t latency_us;
	uint32_t spin_ns; /* how long who reads looks for a request meanwhile, before it sleeps */
	/* How the channel is read and written; NULL: read(2) and writev(2). For tests. */
	ssize_t (*read)(int fd, void *buf, size_t size, void *userdata);
	ssize_t (*writev)(int fd, struct iovec *iov, int count, void *userdata);
};

/**
 * transport_plan() - how large requests may be under a limit on memory, and how many held at once
 * Their buffers take a 32nd of the limit at most, and those of held ones a 256th, unless that is less
 * than ZTFUSE_IO_MIN bytes for each thread and none held.
 * @mem_limit: bytes, 0: none
 * @inout_params: nr_threads and uring are looked at, nr_spare is lowered
 * @inout_io_max: bytes, for ztfuse.io_max: lowered
 * Return: bytes that all this takes at most, the threads' stacks included.
 */
uint64_t transport_plan(uint64_t mem_limit, struct transport_params *inout_params,
			unsigned *inout_io_max);

/**
 * transport_create() - make it, with all requests and buffers it will ever need
 * @front: its session's userdata; ends after the transport
 * Return: 0 or -ENOMEM.
 */
int transport_create(struct ztfuse *front, const struct transport_params *params,
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
 * transport_start() - make the threads that serve requests
 * Fewer threads than asked for are a warning, none is an error.
 * Return: 0, and transport_run() must follow, which joins them; -errno, and there are none.
 */
int transport_start(struct transport *t) ZT_MUST_CHECK;

/**
 * transport_run() - serve requests until the connection ends or transport_stop()
 * Makes the threads where transport_start() has not; waits, and joins them.
 * Return: 0 or -errno when the channel failed.
 */
int transport_run(struct transport *t) ZT_MUST_CHECK;

/** transport_stop() - have transport_run() return. Any thread, any time. */
void transport_stop(struct transport *t);

/** transport_trim() - give back memory of buffers that nobody has needed since the last call */
void transport_trim(struct transport *t);

/** transport_destroy() - no thread runs, nothing is held; NULL is allowed */
void transport_destroy(struct transport *t);

#endif
