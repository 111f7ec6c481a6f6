/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * trace.h - what was asked of a codec, and when: records in a bounded ring, until somebody fetches them.
 *
 * A trace that nobody wants costs a relaxed load for each request. What finds no space is counted as
 * lost; nobody ever waits for a reader. Bytes leave the ring in the order in which they came, so that
 * what was fetched one behind the other is a sequence of whole records, the last one maybe cut.
 *
 * Locks: trace.lock, innermost, while a record is copied in or bytes are copied out.
 */
#ifndef ZT_UTIL_TRACE_H
#define ZT_UTIL_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/clock.h"
#include "util/compiler.h"
#include "util/lock.h"

/* What became of the bytes of a request. The numbers stand in files. */
enum trace_kind {
	TRACE_SAME, /* one repeated value: no codec saw it */
	TRACE_SKIPPED, /* stored as they are without a try */
	TRACE_RAW, /* tried in vain: stored as they are */
	TRACE_SMALLER, /* compressed */
	TRACE_NR_KINDS
};

/* trace_record.ratio counts in such parts of the length. */
#define TRACE_RATIOS 64u

#define TRACE_MANAGED 1u /* by a managed stream */

/* One request, as it stands in files: little-endian machines and big ones do not share them. */
struct trace_record {
	uint64_t at_ns; /* when it came, since the trace began */
	uint32_t len; /* bytes, 1 to the largest cluster */
	uint8_t kind; /* enum trace_kind */
	uint8_t ratio; /* what it was stored in, in 64ths of len, rounded up; 0: TRACE_SAME alone */
	uint8_t flags; /* TRACE_MANAGED */
	uint8_t reserved; /* 0 */
};

/** trace_content() - bytes behind a record, a multiple of 8, in a trace that has contents */
static inline size_t trace_content(const struct trace_record *record)
{
	return record->kind == TRACE_SAME ? 0 : (record->len + 7u) & ~(size_t)7u;
}

/* Memory of a ring. */
struct trace_ring {
	char *bytes; /* from zt_map(); NULL: there is none */
	size_t size;
};

struct trace {
	atomic_bool on; /* changed under the lock; relaxed for those who only look */
	struct mutex lock; /* guards the rest */
	struct trace_ring ring; /* without bytes there is no trace */
	uint64_t head, tail; /* bytes ever put in, and taken out */
	uint64_t lost; /* records that found no space */
	uint64_t id; /* of this trace: never 0, another for each */
	uint64_t begun_ns, asked_ns; /* zt_now_ns() */
	bool contents; /* bytes of requests, too */
};

/* A reader that has not asked for so long is gone: another may begin, and a full ring ends the trace. */
#define TRACE_PATIENCE_NS (10 * ZT_NS_PER_S)

void trace_init(struct trace *trace);
/** trace_exit() - nobody records or asks any more; the ring goes */
void trace_exit(struct trace *trace);

/**
 * trace_start() - record from now on
 * @ring: the trace's, if this succeeds
 * @out_old: of a trace whose reader is gone, which this one replaces, or without bytes; the caller's
 * @out_id: to be said in later calls
 * Return: 0; -EBUSY somebody records already.
 */
int trace_start(struct trace *trace, struct trace_ring ring, bool contents,
		struct trace_ring *out_old, uint64_t *out_id) ZT_MUST_CHECK;

/** trace_stop() - record nothing more; what is in the ring can be fetched */
void trace_stop(struct trace *trace, uint64_t id);

/**
 * trace_end() - no more of it
 * @id: of the trace; 0: whichever there is
 * Return: its ring, the caller's now; without bytes: there is no such trace.
 */
struct trace_ring trace_end(struct trace *trace, uint64_t id) ZT_MUST_CHECK;

struct trace_answer {
	size_t len; /* bytes fetched */
	uint64_t left; /* bytes that wait */
	uint64_t lost; /* records, since the trace began */
	bool over; /* it was stopped, and nothing is left: trace_end() is due */
};

/** trace_fetch() - the oldest bytes, at most @space. Return: 0; -ESRCH there is no such trace. */
int trace_fetch(struct trace *trace, uint64_t id, char *buf, size_t space,
		struct trace_answer *out) ZT_MUST_CHECK;

/** trace_begin() - a request comes. Return: zt_now_ns(), or 0 when nobody records. */
static inline uint64_t trace_begin(const struct trace *trace)
{
	return unlikely(atomic_load_explicit(&trace->on, memory_order_relaxed)) ? zt_now_ns() : 0;
}

/** trace_note() - @len bytes became @stored; the record's time is not set yet */
static inline struct trace_record trace_note(enum trace_kind kind, uint32_t len, uint32_t stored)
{
	const uint64_t ratio = ((uint64_t)stored * TRACE_RATIOS + len - 1) / len;

	return (struct trace_record){
		.len = len,
		.kind = (uint8_t)kind,
		.ratio = (uint8_t)(ratio < TRACE_RATIOS ? ratio : TRACE_RATIOS),
	};
}

/**
 * trace_add() - put a record into the ring
 * @begun: what trace_begin() said; not 0
 * @data: record->len bytes
 * Return: the id of a trace whose ring is full and whose reader is gone, for trace_end(); else 0.
 */
uint64_t trace_add(struct trace *trace, uint64_t begun, const struct trace_record *record,
		   const void *data) ZT_MUST_CHECK;

#endif
