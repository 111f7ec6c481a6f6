// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * submit.c - requests that are not waited for: one, several at once, taken back; and what is
 * counted of calls. No locks: backends lock for themselves, counters are the calling thread's.
 */
#include <errno.h>

#include "util/clock.h"
#include "zcomp/streams.h"

void zcomp_count_compressed(struct zcomp *comp, bool managed, const struct zcomp_req *req,
			    int error)
{
	enum zcomp_counter first = managed ? COUNT_MGMT_CALLS : COUNT_COMPRESS_CALLS;

	zcomp_count(comp, first, 1);
	zcomp_count(comp, first + 1, req->src_len);
	if (!error)
		zcomp_count(comp, first + 2, req->dst_len);
}

static enum zcomp_counter fallback_reason(int error)
{
	switch (error) {
	case -EBUSY:
		return COUNT_BUSY;
	case -ETIMEDOUT:
		return COUNT_TIMEOUT;
	case -ECANCELED:
		return COUNT_RESET;
	case -EOWNERDEAD:
		return COUNT_DEAD;
	case -ESHUTDOWN:
		return COUNT_SHUTDOWN;
	default:
		return COUNT_ERROR;
	}
}

void zcomp_count_managed(struct zcomp *comp, const struct zcomp_req *req, int error)
{
	if (!error || error == -ENOSPC)
		zcomp_count_compressed(comp, true, req, error);
	else
		zcomp_count(comp, fallback_reason(error), 1);
}

static void count_latency(struct zcomp *comp, uint64_t ns)
{
	unsigned bucket = ns ? 63u - (unsigned)__builtin_clzll(ns) : 0;

	if (bucket >= ZCOMP_LATENCY_BUCKETS)
		bucket = ZCOMP_LATENCY_BUCKETS - 1;
	zcomp_count(comp, COUNT_LATENCY + bucket, 1);
}

/* All is read from the stream first: done() may put it, and somebody else may have it then. */
static void submit_done(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct zcomp_pending pending = strm->pending;
	struct zcomp *comp = strm->comp;

	(void)arg;
	zcomp_count_managed(comp, req, error);
	if (!error || error == -ENOSPC)
		count_latency(comp, zt_now_ns() - pending.submitted_ns);
	if (!error)
		pending.caller_req->dst_len = req->dst_len;
	pending.done(pending.arg, strm, pending.caller_req, error);
}

/* What the backend works on stands in the stream, with whom to tell. */
static void set_pending(struct zcomp *comp, struct zcomp_strm *strm, struct zcomp_req *req,
			zcomp_done_fn done, void *arg)
{
	ZT_ASSERT(strm->zcomp_managed && strm->comp == comp);
	ZT_ASSERT(req->src_len > 0 && req->src_len <= comp->params.unit);
	strm->pending = (struct zcomp_pending){
		.req = *req,
		.caller_req = req,
		.done = done,
		.arg = arg,
		.submitted_ns = zt_now_ns(),
	};
}

int zcomp_submit(struct zcomp *comp, struct zcomp_strm *strm, struct zcomp_req *req,
		 zcomp_done_fn done, void *arg)
{
	int error;

	if (!comp->ops->submit)
		return -EOPNOTSUPP;
	set_pending(comp, strm, req, done, arg);
	error = comp->ops->submit(&comp->params, strm, &strm->pending.req, submit_done, req);
	if (error)
		zcomp_count(comp, fallback_reason(error), 1);
	return error;
}

uint32_t zcomp_batch_max(const struct zcomp *comp)
{
	return comp->batch_max;
}

static bool of_one_size(const struct zcomp_batch_entry *entries, uint32_t nr)
{
	for (uint32_t i = 1; i < nr; i++)
		if (entries[i].req->src_len != entries[0].req->src_len)
			return false;
	return true;
}

/* As a whole. Return: as submit_batch(). */
static int submit_at_once(struct zcomp *comp, const struct zcomp_batch_entry *entries, uint32_t nr,
			  zcomp_done_fn done)
{
	struct zcomp_batch_entry own[ZCOMP_MAX_BATCH];
	const struct zcomp_batch batch = {
		.entries = own,
		.nr = nr,
		.unit_size = (uint32_t)entries[0].req->src_len,
		.done = submit_done,
	};

	for (uint32_t i = 0; i < nr; i++) {
		struct zcomp_strm *strm = entries[i].strm;

		set_pending(comp, strm, entries[i].req, done, entries[i].arg);
		/* By its caller's request it can be cancelled. */
		own[i] = (struct zcomp_batch_entry){
			.strm = strm, .req = &strm->pending.req, .arg = entries[i].req
		};
	}
	return comp->ops->submit_batch(&comp->params, &batch);
}

uint32_t zcomp_submit_batch(struct zcomp *comp, const struct zcomp_batch_entry *entries,
			    uint32_t nr, zcomp_done_fn done)
{
	uint32_t nr_taken = 0;
	int taken;

	ZT_ASSERT(nr <= comp->batch_max);
	if (nr < 2 || !of_one_size(entries, nr)) {
		while (nr_taken < nr &&
		       zcomp_submit(comp, entries[nr_taken].strm, entries[nr_taken].req, done,
				    entries[nr_taken].arg) == 0)
			nr_taken++;
		return nr_taken;
	}
	taken = submit_at_once(comp, entries, nr, done);
	if (taken < 0)
		zcomp_count(comp, fallback_reason(taken), 1);
	else if ((uint32_t)taken < nr)
		zcomp_count(comp, COUNT_BUSY, 1);
	return taken < 0 ? 0 : (uint32_t)taken;
}

uint32_t zcomp_poll(struct zcomp *comp, uint32_t max)
{
	return comp->managed && comp->ops->poll ? comp->ops->poll(&comp->params, max) : 0;
}

bool zcomp_cancel(struct zcomp *comp, struct zcomp_strm *strm, struct zcomp_req *req)
{
	return comp->ops->cancel && comp->ops->cancel(&comp->params, strm, req);
}
