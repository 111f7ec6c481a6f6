// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * request.c - one message from the kernel, with its buffer. See request.h.
 */
#include "fuse/channel/request.h"

#include <errno.h>
#include <sys/mman.h>

#include "util/alloc.h"

/* What stays with a request when its buffer is trimmed: names, attributes, the smallest writes. */
#define BUFFER_KEEP ((size_t)8 * KIB)

static size_t map_size(const struct request *req)
{
	return (size_t)ZT_PAGE_SIZE + req->size;
}

int request_init(struct request *req, struct channel *channel, size_t io_max)
{
	req->channel = channel;
	req->size = io_max;
	req->map = zt_map(map_size(req));
	return req->map ? 0 : -ENOMEM;
}

void request_exit(struct request *req)
{
	zt_unmap(req->map, map_size(req));
}

void request_set(struct request *req, enum request_state state)
{
	/* From where an arrow leads to each. A read that was disturbed is begun again. */
	static const unsigned from[REQUEST_NR_STATES] = {
		[REQUEST_IDLE] = 1u << REQUEST_IDLE | 1u << REQUEST_READING | 1u << REQUEST_SERVED |
				 1u << REQUEST_ANSWERED,
		[REQUEST_READING] = 1u << REQUEST_IDLE | 1u << REQUEST_READING |
				    1u << REQUEST_SERVED | 1u << REQUEST_ANSWERED,
		[REQUEST_SERVED] = 1u << REQUEST_READING,
		[REQUEST_HELD] = 1u << REQUEST_SERVED,
		[REQUEST_ANSWERED] = 1u << REQUEST_SERVED | 1u << REQUEST_HELD,
	};

	ZT_ASSERT(from[state] & 1u << request_state(req));
	(void)from;
	atomic_store_explicit(&req->state, state, memory_order_relaxed);
}

void request_touched(struct request *req, size_t len)
{
	if (len > atomic_load_explicit(&req->touched, memory_order_relaxed))
		atomic_store_explicit(&req->touched, len, memory_order_relaxed);
}

void request_populate(struct request *req)
{
	if (req->populated)
		return;
	/* Where there is no memory, or the kernel is old, the kernel does it when it copies. */
	if (zt_populate(req->map, map_size(req)) != 0)
		return;
	req->populated = true;
	request_touched(req, req->size);
}

bool request_is_large(const struct request *req)
{
	return atomic_load_explicit(&req->touched, memory_order_relaxed) > BUFFER_KEEP;
}

void request_trim(struct request *req)
{
	/* Of shared memory the pages themselves. Fails for a wrong range only. */
	(void)madvise(req->map + BUFFER_KEEP, map_size(req) - BUFFER_KEEP,
		      req->slot ? MADV_REMOVE : MADV_DONTNEED);
	atomic_store_explicit(&req->touched, 0, memory_order_relaxed);
	req->populated = false;
}
