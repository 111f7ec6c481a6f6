// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spare.c - requests that nobody has, and how the memory of their buffers comes back.
 *
 * The buffer that was used last is taken first, so that a stream touches few. What is warm beyond
 * that goes back when it is put (NR_WARM), and the rest once nobody has needed it for a few looks of
 * the watch, so some ten milliseconds after a stream has ended. While one runs all are in use.
 *
 * Locks: transport.lock, innermost; madvise(2) is called under it.
 */
#include <sys/mman.h>

#include "fuse/transport_i.h"
#include "fuse/watch.h"
#include "util/lock.h"

/* What stays with a request when its buffer is trimmed: names, attributes, the smallest writes. */
#define BUFFER_KEEP ((size_t)8 * KIB)
/* From here on a buffer is too dear to be kept for later beside others. */
#define BUFFER_LARGE ((size_t)64 * KIB)

void request_touched(struct ztfuse_held *req, size_t len)
{
	if (len > atomic_load_explicit(&req->touched, memory_order_relaxed))
		atomic_store_explicit(&req->touched, len, memory_order_relaxed);
}

bool request_is_large(struct ztfuse_held *req)
{
	return atomic_load_explicit(&req->touched, memory_order_relaxed) > BUFFER_KEEP;
}

void request_trim(struct ztfuse_held *req)
{
	/* Fails for a wrong range only. */
	(void)madvise(req->map + BUFFER_KEEP, BUFFER_SIZE(req->transport->front) - BUFFER_KEEP,
		      MADV_DONTNEED);
	atomic_store_explicit(&req->touched, 0, memory_order_relaxed);
}

void spare_cool(struct transport *t, struct ztfuse_held *req)
{
	if (atomic_load_explicit(&req->touched, memory_order_relaxed) > BUFFER_LARGE &&
	    atomic_load_explicit(&t->nr_warm, memory_order_relaxed) >= t->most_warm)
		request_trim(req);
}

void spare_push(struct transport *t, struct ztfuse_held *req)
{
	struct ztfuse_held **list = request_is_large(req) ? &t->warm : &t->cold;

	if (list == &t->warm)
		atomic_fetch_add_explicit(&t->nr_warm, 1, memory_order_relaxed);
	req->next = *list;
	*list = req;
	t->nr_spare++;
}

struct ztfuse_held *spare_pop(struct transport *t)
{
	struct ztfuse_held **list = t->warm ? &t->warm : &t->cold;
	struct ztfuse_held *req = *list;

	ZT_ASSERT(t->nr_spare > 0 && req);
	if (list == &t->warm) {
		const unsigned nr =
			atomic_fetch_sub_explicit(&t->nr_warm, 1, memory_order_relaxed) - 1;

		t->nr_unused = (unsigned)min_u64(t->nr_unused, nr);
	}
	*list = req->next;
	t->nr_spare--;
	req->held = false;
	return req;
}

/* The coldest stand last. */
void spare_keep(struct transport *t, unsigned nr_keep)
{
	struct ztfuse_held **link = &t->warm, *req;

	if (atomic_load_explicit(&t->nr_warm, memory_order_relaxed) <= nr_keep)
		return;
	for (unsigned i = 0; i < nr_keep; i++)
		link = &(*link)->next;
	while ((req = *link)) {
		*link = req->next;
		request_trim(req);
		req->next = t->cold;
		t->cold = req;
	}
	t->nr_unused = nr_keep;
	atomic_store_explicit(&t->nr_warm, nr_keep, memory_order_relaxed);
}

void spare_trim(struct transport *t)
{
	const unsigned nr_warm = atomic_load_explicit(&t->nr_warm, memory_order_relaxed);

	spare_keep(t, nr_warm - t->nr_unused);
	t->nr_unused = atomic_load_explicit(&t->nr_warm, memory_order_relaxed);
}

struct ztfuse_held *transport_spare_get(struct transport *t)
{
	struct ztfuse_held *req = NULL;

	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	/* Whoever is parked gets one when it is called. */
	if (t->nr_spare > t->nr_parked)
		req = spare_pop(t);
	mutex_unlock(&t->lock);
	return req;
}

void transport_spare_put(struct ztfuse_held *req)
{
	struct transport *t = req->transport;

	spare_cool(t, req);
	mutex_lock_counted(&t->lock, ZT_LOCK_TRANSPORT);
	spare_push(t, req);
	mutex_unlock(&t->lock);
	watch_note(t); /* its memory is to be given back later */
}
