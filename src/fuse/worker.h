/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker.h - the threads that read the kernel's channel, and which of them reads.
 *
 * One has the duty: it reads a request, serves it, and reads the next. As long as requests are short
 * nobody else runs: waking another thread, on another CPU, costs more than such a request. Before
 * something long the duty goes to another thread, which is woken for it; who comes back and finds
 * the duty taken sleeps. When requests come without a pause, more threads have the duty.
 *
 * Which request is long is seen by its size, or its handler says so (ztfuse_req_may_wait()). What
 * turns out to be long by surprise is noticed by the thread that waits for the end, which takes the
 * duty away after some milliseconds.
 *
 * Locks: transport.lock.
 */
#ifndef ZT_FUSE_WORKER_H
#define ZT_FUSE_WORKER_H

#include <stdbool.h>

#include "util/compiler.h"

struct transport;
struct ztfuse_held;

/** workers_create() - params.nr_threads of them, without threads. Return: 0 or -ENOMEM. */
int workers_create(struct transport *t) ZT_MUST_CHECK;

/** workers_destroy() - no thread runs */
void workers_destroy(struct transport *t);

/** worker_give_request() - what worker @nr reads into from now on; before it runs */
void worker_give_request(struct transport *t, unsigned nr, struct ztfuse_held *req);

/** worker_first_request() - what worker 0 reads into; before it runs */
struct ztfuse_held *worker_first_request(const struct transport *t);

/** channel_clone() - another descriptor for the channel @master. Return: it, or -errno. */
int channel_clone(int master) ZT_MUST_CHECK;

/**
 * workers_start() - have @wanted of them run
 * Fewer are a warning, none is an error.
 * Return: 0 or -errno.
 */
int workers_start(struct transport *t, unsigned wanted) ZT_MUST_CHECK;

/** workers_look() - take the duty from who serves the same request as at the last look; with the lock held */
void workers_look(struct transport *t);

/** workers_served() - how many requests so far, modulo 2^32. With transport.lock held. */
unsigned workers_served(const struct transport *t);

/** workers_serve() - whether anybody with the duty serves a request now. With transport.lock held. */
bool workers_serve(const struct transport *t);

/** workers_join() - after transport.stop: wake all, wait for them */
void workers_join(struct transport *t);

/** workers_are_large() - whether a worker's buffer has memory to give back. With transport.lock held. */
bool workers_are_large(const struct transport *t);

/** workers_trim_readers() - have those who wait for a request give back. With transport.lock held. */
void workers_trim_readers(struct transport *t);

/** workers_trim() - have idle ones give back memory. With transport.lock held. */
void workers_trim(struct transport *t);

/**
 * worker_hold() - the calling worker's request becomes somebody else's
 * Return: false when no request is spare, or the caller is no worker.
 */
bool worker_hold(struct transport *t) ZT_MUST_CHECK;

/** worker_may_wait() - what the calling thread does may take long; if it is a worker */
void worker_may_wait(void);

#endif
