/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pool.h - all requests of a channel: the idle ones, and how the memory of their buffers is given
 * back.
 *
 * The buffer that was used last is taken first, so that a stream touches few. Warm buffers beyond
 * that are given back when they are put. The rest are given back once they were not needed for a
 * few looks of the caretaker, some ten milliseconds after a stream has ended. While one runs all
 * are in use.
 *
 * Locks: the channel's, innermost; madvise(2) is called under it.
 */
#ifndef ZT_FUSE_CHANNEL_POOL_H
#define ZT_FUSE_CHANNEL_POOL_H

#include "fuse/channel/ending.h"
#include "fuse/channel/request.h"

struct request_pool {
	struct mutex *lock; /* the channel's */
	struct ending *ending; /* whose waiting thread gives memory back */
	struct request *all; /* nr_all; libfuse's request numbers less 1 */
	unsigned nr_all;
	unsigned most_warm; /* beside which no large buffer is kept warm; constant */
	/* Guarded by lock: */
	struct request *warm; /* idle, with memory to give back; last come first */
	struct request *cold; /* idle, without */
	unsigned nr_idle; /* both; as many as are promised at least */
	unsigned nr_promised; /* to threads that have given theirs back until they are called */
	_Atomic unsigned nr_warm; /* a relaxed load is a hint */
	unsigned nr_unused; /* fewest that were warm since the last trim */
};

/**
 * pool_init() - @nr of them, all idle
 * @io_max: bytes of data that each can take; @most_warm: see there
 * Return: 0 or -ENOMEM; pool_exit() either way.
 */
int pool_init(struct request_pool *pool, struct channel *channel, unsigned nr, size_t io_max,
	      unsigned most_warm) ZT_MUST_CHECK;
void pool_exit(struct request_pool *pool);

/** pool_push(), pool_pop() - put or take one, of which there is one; with the lock held */
void pool_push(struct request_pool *pool, struct request *req);
struct request *pool_pop(struct request_pool *pool);

/** pool_remove() - take this one, if it is idle; before there are threads. Return: whether it was. */
bool pool_remove(struct request_pool *pool, struct request *req);

/** pool_promise() - put one, and have one kept back until pool_fulfil(); with the lock held */
void pool_promise(struct request_pool *pool, struct request *req);
struct request *pool_fulfil(struct request_pool *pool);

/** pool_get() - one that is idle and not promised; NULL: there is none. Takes the lock. */
struct request *pool_get(struct request_pool *pool);
void pool_put(struct request_pool *pool, struct request *req);

/** pool_keep() - give back the memory of all but @nr_keep; with the lock held */
void pool_keep(struct request_pool *pool, unsigned nr_keep);

/** pool_trim() - give back as many as have been warm ever since the last call; with the lock held */
void pool_trim(struct request_pool *pool);

#endif
