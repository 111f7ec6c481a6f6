// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace.c - a bounded ring of records of what was asked of a codec.
 */
#include "util/trace.h"

#include <errno.h>
#include <string.h>

#include "util/alloc.h"

void trace_init(struct trace *trace)
{
	mutex_init(&trace->lock, ZT_RANK_TRACE);
}

void trace_exit(struct trace *trace)
{
	zt_unmap(trace->ring.bytes, trace->ring.size);
	mutex_exit(&trace->lock);
}

static bool reader_is_gone(const struct trace *trace, uint64_t now)
{
	return now - trace->asked_ns > TRACE_PATIENCE_NS;
}

int trace_start(struct trace *trace, struct trace_ring ring, bool contents,
		struct trace_ring *out_old, uint64_t *out_id)
{
	const uint64_t now = zt_now_ns();
	int error = 0;

	mutex_lock(&trace->lock);
	if (trace->ring.bytes && !reader_is_gone(trace, now)) {
		error = -EBUSY;
	} else {
		*out_old = trace->ring;
		trace->ring = ring;
		trace->head = trace->tail = trace->lost = 0;
		trace->id = now > trace->id ? now : trace->id + 1;
		trace->begun_ns = trace->asked_ns = now;
		trace->contents = contents;
		*out_id = trace->id;
		atomic_store_explicit(&trace->on, true, memory_order_relaxed);
	}
	mutex_unlock(&trace->lock);
	return error;
}

void trace_stop(struct trace *trace, uint64_t id)
{
	mutex_lock(&trace->lock);
	if (id == trace->id)
		atomic_store_explicit(&trace->on, false, memory_order_relaxed);
	mutex_unlock(&trace->lock);
}

struct trace_ring trace_end(struct trace *trace, uint64_t id)
{
	struct trace_ring ring = { 0 };

	mutex_lock(&trace->lock);
	if (id == 0 || id == trace->id) {
		atomic_store_explicit(&trace->on, false, memory_order_relaxed);
		ring = trace->ring;
		trace->ring = (struct trace_ring){ 0 };
	}
	mutex_unlock(&trace->lock);
	return ring;
}

static size_t to_end(const struct trace *trace, uint64_t at, size_t len)
{
	const size_t rest = trace->ring.size - (size_t)(at % trace->ring.size);

	return rest < len ? rest : len;
}

int trace_fetch(struct trace *trace, uint64_t id, char *buf, size_t space, struct trace_answer *out)
{
	int error = 0;

	mutex_lock(&trace->lock);
	if (!trace->ring.bytes || id != trace->id) {
		error = -ESRCH;
	} else {
		const uint64_t held = trace->head - trace->tail;
		const size_t len = held < space ? (size_t)held : space;
		const size_t first = to_end(trace, trace->tail, len);

		memcpy(buf, trace->ring.bytes + trace->tail % trace->ring.size, first);
		memcpy(buf + first, trace->ring.bytes, len - first);
		trace->tail += len;
		trace->asked_ns = zt_now_ns();
		*out = (struct trace_answer){ .len = len, .left = held - len, .lost = trace->lost };
		out->over = out->left == 0 &&
			    !atomic_load_explicit(&trace->on, memory_order_relaxed);
	}
	mutex_unlock(&trace->lock);
	return error;
}

static void put(struct trace *trace, const void *data, size_t len)
{
	const size_t first = to_end(trace, trace->head, len);

	memcpy(trace->ring.bytes + trace->head % trace->ring.size, data, first);
	memcpy(trace->ring.bytes, (const char *)data + first, len - first);
	trace->head += len;
}

uint64_t trace_add(struct trace *trace, uint64_t begun, const struct trace_record *record,
		   const void *data)
{
	static const char zeros[8];
	struct trace_record one = *record;
	uint64_t gone = 0;

	mutex_lock(&trace->lock);
	/* What came before this trace belongs to none. */
	if (atomic_load_explicit(&trace->on, memory_order_relaxed) && begun >= trace->begun_ns) {
		const size_t content = trace->contents ? trace_content(record) : 0;

		if (trace->ring.size - (trace->head - trace->tail) < sizeof(one) + content) {
			trace->lost++;
			if (reader_is_gone(trace, zt_now_ns()))
				gone = trace->id;
		} else {
			one.at_ns = begun - trace->begun_ns;
			put(trace, &one, sizeof(one));
			if (content > 0) {
				put(trace, data, one.len);
				put(trace, zeros, content - one.len);
			}
		}
	}
	mutex_unlock(&trace->lock);
	return gone;
}
