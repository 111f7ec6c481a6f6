/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zcomp.h - the codec front end: a backend, its streams, and which caller gets which.
 *
 * Two kinds of streams (the hybrid model of the zram series): per-thread streams always exist and
 * are synchronous; a backend may manage streams of its own. A caller states a preference, never a
 * demand.
 *
 * Locks: a per-thread stream's own mutex, held from get to put; no other lock is taken under it by
 * this layer. A thread holds at most one per-thread stream of one zcomp at a time. Managed streams
 * have no lock.
 */
#ifndef ZT_ZCOMP_ZCOMP_H
#define ZT_ZCOMP_ZCOMP_H

#include <stdbool.h>
#include <stdint.h>

#include "util/compiler.h"
#include "ztmpfs/zcomp.h"

enum zstrm_pref {
	ZSTRM_DEFAULT, /* always a per-thread stream */
	ZSTRM_PREFER_MGMT, /* try a managed stream, fall back to a per-thread one */
};

/* Bytes of the buffer that takes an error's sentence. */
#define ZCOMP_ERROR_TEXT 256

struct zcomp_config {
	const char *name; /* "lz4", "lz4hc", "zstd", "null", or a module's name or absolute path */
	int32_t level; /* or ZCOMP_LEVEL_DEFAULT */
	uint32_t unit; /* largest request in bytes; ZCOMP_MIN_UNIT..ZCOMP_MAX_UNIT by 4096 */
	uint32_t nr_streams; /* per-thread streams; 0: one per CPU, and two more if not decode_only */
	/* Drive the algorithm by the pseudo-accelerator, unless it manages streams by itself. */
	bool accel;
	struct zcomp_accel_params accel_params;
	const void *dict; /* dictionary or NULL; the caller keeps it until zcomp_destroy() */
	size_t dict_size;
	bool decode_only; /* zcomp_compress() will never be called */
	/*
	 * With decode_only: where contexts are good for all dictionaries, use the streams of this one,
	 * which is of the same algorithm, decode_only, too, with as large a unit, and destroyed later.
	 * NULL: none.
	 */
	struct zcomp *lender;
	bool private_stream; /* one stream more, which only zcomp_stream_get_private() gives */
	uint32_t own_size; /* bytes that zcomp_stream_own() has; 0: none */
	/*
	 * Threads take locks while they hold a per-thread stream; otherwise its lock is innermost.
	 */
	bool outer;
};

/* Bucket i counts times of 2^i to 2^(i+1) - 1 ns; the last one all that are longer: from 2.1 s. */
#define ZCOMP_LATENCY_BUCKETS 32u

struct zcomp_stat {
	/* Calls and bytes in and out, of per-thread streams. */
	uint64_t compress_calls, compress_in, compress_out;
	uint64_t mgmt_calls, mgmt_in, mgmt_out; /* the same by managed streams */
	uint64_t decompress_calls, decompress_in, decompress_out;
	uint64_t fallback_no_stream; /* managed was preferred, get_stream() said NULL */
	uint64_t fallback_bad_stream; /* a managed stream had too small buffers and was put back */
	uint64_t fallback_busy; /* submit() refused: the queue was full */
	uint64_t fallback_error; /* a managed compression failed, for another reason than these: */
	uint64_t fallback_timeout; /* missed its deadline */
	uint64_t fallback_reset; /* was in the device when that was reset */
	uint64_t fallback_dead; /* was with an engine that died */
	uint64_t fallback_shutdown; /* managed streams were stopped, or switched off */
	/* Submitted requests that ended with a result, by the time from submit to done(). */
	uint64_t mgmt_latency[ZCOMP_LATENCY_BUCKETS];
	struct zcomp_backend_stat device; /* what the backend itself counts */
	uint32_t nr_streams; /* per-thread streams */
	bool managed; /* the core uses managed streams */
	const char *degraded; /* why not, though asked for or claimed; NULL otherwise */
};

/**
 * zcomp_create() - set a backend up
 * @config: copied, but for the dictionary
 * @error_text: out on error: one sentence naming what was wrong and what is allowed
 *
 * An accelerator that cannot be set up is no error: managed streams are then off, a line goes to
 * the log and zcomp_stat.degraded says why.
 *
 * A module stays loaded until zcomp_destroy() has ended everything that came from it.
 *
 * Return: 0, -ENOENT no such algorithm, -EINVAL a parameter out of range, -ENOMEM, or what
 *         zcomp_module_open() says.
 */
int zcomp_create(const struct zcomp_config *config, char error_text[ZCOMP_ERROR_TEXT],
		 struct zcomp **out_comp) ZT_MUST_CHECK;

/**
 * zcomp_create_ops() - the same with a table of the caller's; config->name is not looked at
 * @ops: lives until zcomp_destroy()
 * Return: as zcomp_create(), and -EINVAL for a table that zcomp_check_ops() refuses.
 */
int zcomp_create_ops(const struct zcomp_ops *ops, const struct zcomp_config *config,
		     char error_text[ZCOMP_ERROR_TEXT], struct zcomp **out_comp) ZT_MUST_CHECK;

/**
 * zcomp_stop() - end managed streams for good, and wait until every done() owed has returned
 *
 * Per-thread streams go on working, so that done() may use them. For owners that must know that no
 * done() comes any more before they take themselves apart; zcomp_destroy() does it too.
 *
 * Context: not from done(); one thread at a time. May be called again.
 */
void zcomp_stop(struct zcomp *comp);

/** zcomp_destroy() - stop and free all; NULL is allowed; nobody holds a stream any more */
void zcomp_destroy(struct zcomp *comp);

/**
 * zcomp_memory() - bytes that its per-thread streams and contexts take at most
 * Most of it only once they have been used for the largest units; without what a device keeps for
 * the managed streams, which depends on how much is in flight.
 */
uint64_t zcomp_memory(const struct zcomp *comp);

/** zcomp_name() - the algorithm's name, also when the accelerator drives it */
const char *zcomp_name(const struct zcomp *comp);

/** zcomp_get_params() - what the backend was set up with; for the hooks of backends/accel.h */
const struct zcomp_params *zcomp_get_params(const struct zcomp *comp);

/**
 * zcomp_stream_get() - a stream for the caller alone
 * Never fails: a per-thread stream is waited for if need be.
 */
struct zcomp_strm *zcomp_stream_get(struct zcomp *comp, enum zstrm_pref pref);

/** zcomp_stream_try() - a per-thread stream without waiting, or NULL: all are in use */
struct zcomp_strm *zcomp_stream_try(struct zcomp *comp);

/**
 * zcomp_stream_get_private() - the stream that config.private_stream asked for
 * For one thread that may hold it for long, as at idle priority: nobody else ever waits for it.
 */
struct zcomp_strm *zcomp_stream_get_private(struct zcomp *comp);

/**
 * zcomp_stream_get_managed() - a managed stream, or NULL
 * NULL is counted as fallback_no_stream when managed streams are on.
 * Context: any thread, but not from done(); neither blocks nor allocates.
 */
struct zcomp_strm *zcomp_stream_get_managed(struct zcomp *comp);

/**
 * zcomp_stream_put() - give it back to its owner, the core or the backend
 * Context: any thread for managed streams, the one that got it for others.
 */
void zcomp_stream_put(struct zcomp *comp, struct zcomp_strm *strm);

/** zcomp_stream_is_managed() */
bool zcomp_stream_is_managed(const struct zcomp *comp, const struct zcomp_strm *strm);

/**
 * zcomp_compress() - compress @src into the stream's own buffer
 * @src_len: 1..unit
 * @dst_cap: most bytes worth having, up to the stream's buffer_size
 * @out_len: bytes at strm->buffer, on success
 *
 * On a managed stream it waits for the accelerator; when that refuses or fails, a per-thread stream
 * does the work into the same buffer, and only the counters tell. So the caller must not hold a
 * per-thread stream then.
 *
 * Return: 0; -ENOSPC does not fit @dst_cap; another error of the backend.
 */
int zcomp_compress(struct zcomp *comp, struct zcomp_strm *strm, const void *src, size_t src_len,
		   size_t dst_cap, size_t *out_len) ZT_MUST_CHECK;

/**
 * zcomp_decompress() - expand exactly what zcomp_compress() produced, on a per-thread stream
 * @dst_cap: bytes at @dst
 * @out_len: bytes written, on success; at most @dst_cap
 * Return: 0 or -EBADMSG.
 */
int zcomp_decompress(struct zcomp *comp, struct zcomp_strm *strm, const void *src, size_t src_len,
		     void *dst, size_t dst_cap, size_t *out_len) ZT_MUST_CHECK;

/**
 * zcomp_decompress_head() - the same, for callers that want only the first @want bytes
 * @want: 1..@dst_cap
 * @out_len: bytes written, on success: @want or more, unless there are fewer in all
 * Where the algorithm cannot stop early it gives all, so @dst_cap is enough for all of it.
 * Return: 0 or -EBADMSG.
 */
int zcomp_decompress_head(struct zcomp *comp, struct zcomp_strm *strm, const void *src,
			  size_t src_len, void *dst, size_t dst_cap, size_t want,
			  size_t *out_len) ZT_MUST_CHECK;

/**
 * zcomp_stream_own() - config.own_size bytes of the callers' own that go with a per-thread stream
 *
 * What a caller keeps between two calls stands here, and so do its sources: no backend ever sees
 * this memory, while buffer and local_copy are a backend's to write in during every call.
 *
 * Zero at first, and aligned for any object; costs memory as it is touched. Nobody but the thread
 * that holds the stream may touch it.
 */
void *zcomp_stream_own(struct zcomp_strm *strm);

/**
 * zcomp_submit() - compress by a managed stream, without waiting
 * @req: filled by the caller (dst inside strm->buffer); lives, and is untouched by the caller,
 *       until @done, which is given it back with dst_len set
 *
 * The source stays readable and unchanged until @done: strm->local_copy is there for sources that
 * don't.
 *
 * Return: 0: @done will be called exactly once, from another thread, maybe before this returns.
 *         Otherwise it will not: -EBUSY queue full (counted as fallback_busy), -ESHUTDOWN stopped
 *         or switched off (fallback_shutdown), -EOPNOTSUPP the backend has no submit, or another
 *         error of it (fallback_error).
 */
int zcomp_submit(struct zcomp *comp, struct zcomp_strm *strm, struct zcomp_req *req,
		 zcomp_done_fn done, void *arg) ZT_MUST_CHECK;

/** zcomp_batch_max() - most requests of one submission, 1..ZCOMP_MAX_BATCH */
uint32_t zcomp_batch_max(const struct zcomp *comp);

/**
 * zcomp_submit_batch() - as zcomp_submit(), several by one submission
 * @entries: @nr of them, at most zcomp_batch_max(); each with a managed stream and a request of its
 *           own, as above
 *
 * Where the backend takes no batches, or the sizes of the sources differ, one by one.
 *
 * Return: how many were accepted, from the first on: @done will be called once for each of these.
 *         When that is not all, a reason was counted, as above, for the first that was not.
 */
uint32_t zcomp_submit_batch(struct zcomp *comp, const struct zcomp_batch_entry *entries,
			    uint32_t nr, zcomp_done_fn done) ZT_MUST_CHECK;

/**
 * zcomp_poll() - end up to @max submitted requests that the device has completed, in this thread
 * For a thread that waits: it need not wait for an interrupt. Never waits itself.
 * Context: as done(); not from done(), nor with a lock that done() of any request takes.
 * Return: how many; 0 where the backend has no poll().
 */
uint32_t zcomp_poll(struct zcomp *comp, uint32_t max);

/**
 * zcomp_cancel() - take a submitted request back that no engine has begun
 * @strm: where it was submitted; @done may have put it meanwhile
 * @req: as it was submitted; not used for another request since
 * Context: any thread.
 * Return: true: @done will not come, and the stream is the caller's to put; false: it will, or has.
 */
bool zcomp_cancel(struct zcomp *comp, struct zcomp_strm *strm, struct zcomp_req *req) ZT_MUST_CHECK;

/** zcomp_managed() - whether managed streams are on */
bool zcomp_managed(const struct zcomp *comp);

/** zcomp_get_stat() - counters; while calls run, one may be ahead of another */
void zcomp_get_stat(struct zcomp *comp, struct zcomp_stat *out_stat);

#endif
