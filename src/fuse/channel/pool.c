// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pool.c - all requests of a channel. See pool.h.
 */
#include "fuse/channel/pool.h"

#include <errno.h>

#include "util/alloc.h"
#include "util/lock.h"

/* From here on a buffer is too dear to be kept for later beside others. */
#define BUFFER_LARGE ((size_t)64 * KIB)

static unsigned nr_warm(const struct request_pool *pool)
{
	return atomic_load_explicit(&pool->nr_warm, memory_order_relaxed);
}

void pool_push(struct request_pool *pool, struct request *req)
{
	struct request **list = request_is_large(req) ? &pool->warm : &pool->cold;

	request_set(req, REQUEST_IDLE);
	if (list == &pool->warm)
		atomic_fetch_add_explicit(&pool->nr_warm, 1, memory_order_relaxed);
	req->next = *list;
	*list = req;
	pool->nr_idle++;
}

struct request *pool_pop(struct request_pool *pool)
{
	struct request **list = pool->warm ? &pool->warm : &pool->cold;
	struct request *req = *list;

	ZT_ASSERT(pool->nr_idle > 0 && req);
	if (list == &pool->warm) {
		const unsigned nr =
			atomic_fetch_sub_explicit(&pool->nr_warm, 1, memory_order_relaxed) - 1;

		pool->nr_unused = (unsigned)min_u64(pool->nr_unused, nr);
	}
	*list = req->next;
	pool->nr_idle--;
	return req;
}

bool pool_remove(struct request_pool *pool, struct request *req)
{
	/* None is warm yet. */
	for (struct request **link = &pool->cold; *link; link = &(*link)->next) {
		if (*link != req)
			continue;
		*link = req->next;
		pool->nr_idle--;
		return true;
	}
	return false;
}

void pool_promise(struct request_pool *pool, struct request *req)
{
	pool_push(pool, req);
	pool->nr_promised++;
}

struct request *pool_fulfil(struct request_pool *pool)
{
	pool->nr_promised--;
	return pool_pop(pool);
}

/* The coldest stand last. */
void pool_keep(struct request_pool *pool, unsigned nr_keep)
{
	struct request **link = &pool->warm, *req;

	if (nr_warm(pool) <= nr_keep)
		return;
	for (unsigned i = 0; i < nr_keep; i++)
		link = &(*link)->next;
	while ((req = *link)) {
		*link = req->next;
		request_trim(req);
		req->next = pool->cold;
		pool->cold = req;
	}
	pool->nr_unused = nr_keep;
	atomic_store_explicit(&pool->nr_warm, nr_keep, memory_order_relaxed);
}

void pool_trim(struct request_pool *pool)
{
	pool_keep(pool, nr_warm(pool) - pool->nr_unused);
	pool->nr_unused = nr_warm(pool);
}

struct request *pool_get(struct request_pool *pool)
{
	struct request *req = NULL;

	mutex_lock_counted(pool->lock, ZT_LOCK_TRANSPORT);
	if (pool->nr_idle > pool->nr_promised)
		req = pool_pop(pool);
	mutex_unlock(pool->lock);
	return req;
}

void pool_put(struct request_pool *pool, struct request *req)
{
	if (atomic_load_explicit(&req->touched, memory_order_relaxed) > BUFFER_LARGE &&
	    nr_warm(pool) >= pool->most_warm)
		request_trim(req);
	mutex_lock_counted(pool->lock, ZT_LOCK_TRANSPORT);
	pool_push(pool, req);
	mutex_unlock(pool->lock);
	ending_note(pool->ending); /* its memory is to be given back later */
}

int pool_init(struct request_pool *pool, struct channel *channel, unsigned nr, size_t io_max,
	      unsigned most_warm)
{
	pool->most_warm = most_warm;
	pool->all = zt_zalloc(nr * sizeof(*pool->all));
	if (!pool->all)
		return -ENOMEM;
	pool->nr_all = nr;
	for (unsigned i = 0; i < nr; i++) {
		if (request_init(&pool->all[i], channel, io_max) != 0)
			return -ENOMEM;
		pool_push(pool, &pool->all[i]); /* nobody else sees it yet */
	}
	return 0;
}

void pool_exit(struct request_pool *pool)
{
	for (unsigned i = 0; i < pool->nr_all; i++)
		request_exit(&pool->all[i]);
	zt_free(pool->all);
}
