/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * workers.h - all threads that read a channel: how they are made, looked after and joined.
 *
 * Locks: the channel's.
 */
#ifndef ZT_FUSE_CHANNEL_WORKERS_H
#define ZT_FUSE_CHANNEL_WORKERS_H

#include <stdbool.h>

#include "util/compiler.h"

struct channel;
struct request;

/** workers_create() - params.nr_threads of them, each with a request, without threads. Return: 0 or -ENOMEM. */
int workers_create(struct channel *ch) ZT_MUST_CHECK;

/** workers_destroy() - no thread runs */
void workers_destroy(struct channel *ch);

/**
 * workers_leave() - what an earlier process has left in requests of workers stands in line with the rest, as
 * far as there are others for them; before they run
 */
void workers_leave(struct channel *ch);

/** workers_first_request() - what the first one reads into; before it runs */
struct request *workers_first_request(const struct channel *ch);

/**
 * workers_start() - have @wanted of them run
 * Fewer are a warning, none is an error.
 * Return: 0 or -errno.
 */
int workers_start(struct channel *ch, unsigned wanted) ZT_MUST_CHECK;

/** workers_join() - after ending.stop: wake all, wait for them */
void workers_join(struct channel *ch);

/* All with the channel's lock held: */

/** workers_look() - take the duty from those that serve the same request as at the last look */
void workers_look(struct channel *ch);

/** workers_served() - how many requests so far, modulo 2^32 */
unsigned workers_served(const struct channel *ch);

/** workers_serve() - whether anybody with the duty serves a request now */
bool workers_serve(const struct channel *ch);

/** workers_are_large() - whether a worker's buffer has memory to give back */
bool workers_are_large(const struct channel *ch);

/** workers_trim_readers() - have those that wait for a request give back */
void workers_trim_readers(struct channel *ch);

/** workers_trim() - have those give back that have served nothing since the last call */
void workers_trim(struct channel *ch);

#endif
