/* SPDX-License-Identifier: MIT */
/*
 * zcomp.h - what a compression backend sees of ztmpfs, and nothing else.
 *
 * This is the user-space form of struct zcomp_ops of the zram series "Allow zcomps to manage their
 * own streams". It is under a permissive licence so that anyone may write a codec.
 *
 * Three lifetimes, three types; what may run at the same time follows from the type:
 *   zcomp_params  one per backend in use; immutable after setup_params(), shared by all threads
 *   zcomp_strm    a context and its buffers; used by one caller at a time
 *   zcomp_req     one call
 *
 * Life cycle:
 *   setup_params()
 *     create_ctx() for each of the core's own (per-thread) streams
 *       compress() / decompress() with those contexts, from many threads
 *       get_stream() -> compress() or submit() -> put_stream()      (managed streams, if reported)
 *     stop()              refuses new submissions, delivers every done() still owed
 *     destroy_ctx()
 *   release_params()      joins every thread of the backend before it returns
 *
 * Errors are 0 or -errno. A backend does its own locking: the core takes no lock around these
 * calls.
 */
#ifndef ZTMPFS_ZCOMP_H
#define ZTMPFS_ZCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Raised when a member changes its meaning, or when a struct that backends allocate (zcomp_strm,
 * zcomp_req, zcomp_pending) changes its size. Otherwise new members only come at the end of a
 * struct that the core allocates, and at the end of struct zcomp_ops, where they are optional.
 */
#define ZCOMP_ABI_VERSION 1u

/* The unit of compression: the largest request of a mount; a multiple of 4 KiB. */
#define ZCOMP_MIN_UNIT 4096u
#define ZCOMP_MAX_UNIT (128u * 1024u)

/* Characters of an algorithm's name. */
#define ZCOMP_NAME_MAX 31u

/* The level when the user named none. The core replaces it, so that a backend never sees it. */
#define ZCOMP_LEVEL_DEFAULT INT32_MIN

struct zcomp;
struct zcomp_ops;
struct zcomp_strm;

/*
 * What the host lends to a backend, so that a module imports nothing from the daemon, and so that
 * tests of the host can make any of its allocations fail. All of it may be called from any thread.
 */
struct zcomp_host {
	uint32_t struct_size;
	/* One line for the log of the daemon, without a newline. */
	void (*log)(const char *line);
	/* Zeroed memory, aligned as malloc() aligns it; or NULL. */
	void *(*alloc)(size_t size);
	void (*free)(void *ptr); /* NULL is allowed */
	/* Zeroed whole pages that cost no memory until they are touched; or NULL. For buffers. */
	void *(*map)(size_t size);
	void (*unmap)(void *ptr, size_t size); /* the size that was mapped; NULL is allowed */
};

/*
 * Parameters of the accelerator; other backends ignore them. 0 stands for the default. The first
 * three and the deadline are a driver's; the rest describe the device that is simulated: what it
 * costs, and how many of a million requests meet a fault.
 */
struct zcomp_accel_params {
	uint32_t engines; /* worker threads */
	uint32_t depth; /* requests queued at most; independent of CPUs and threads */
	uint32_t batch; /* requests that an engine takes at once, at most */
	uint32_t deadline_us; /* from submit to completion; then the caller does the work */
	uint32_t submit_ns; /* what submit() costs its caller; 0: nothing */
	uint32_t latency_us; /* from being taken to completion, overlapped; 0: the work alone */
	uint32_t fail_ppm; /* end with an error */
	uint32_t stall_ppm; /* make their engine stop until the device is reset */
	uint32_t reset_ppm; /* make the device reset itself */
	uint32_t kill_ppm; /* make their engine die */
	uint32_t work_ns; /* least time that an engine is busy with each 4 KiB; 0: the work alone */
	uint32_t unit; /* bytes of the largest request that the device takes; 0: any */
	uint32_t poll_us; /* so long a completion waits for poll(); 0: it comes by itself at once */
};

/* The most a user may ask of an accelerator. */
#define ZCOMP_ACCEL_MAX_ENGINES     64u
#define ZCOMP_ACCEL_MAX_DEPTH       4096u
#define ZCOMP_ACCEL_MAX_BATCH       256u
#define ZCOMP_ACCEL_MAX_DEADLINE_US 60000000u
#define ZCOMP_ACCEL_MAX_SUBMIT_NS   1000000u
#define ZCOMP_ACCEL_MAX_LATENCY_US  10000000u
#define ZCOMP_ACCEL_MAX_PPM         1000000u
#define ZCOMP_ACCEL_MAX_WORK_NS     100000000u
#define ZCOMP_ACCEL_MAX_POLL_US     10000000u

/*
 * Shared and immutable. The core fills everything but drv_data before setup_params(); the backend
 * may hang its own shared state into drv_data there. Nobody changes anything until
 * release_params().
 */
struct zcomp_params {
	int32_t level; /* in the backend's own scale, level_min..level_max; 0 when it has none */
	uint32_t unit; /* no request is larger than this many bytes uncompressed */
	const void *dict; /* dictionary, or NULL; outlives the backend */
	size_t dict_size; /* 1..ops->dict_max with a dictionary, else 0 */
	const struct zcomp_host *host; /* never NULL */
	/* The table of the algorithm that the accelerator drives; NULL for other backends. */
	const struct zcomp_ops *inner_ops;
	void *drv_data; /* the backend's own */
	/* Nothing will be compressed: contexts and a dictionary's tables may do without. */
	bool decode_only;
	struct zcomp_accel_params accel; /* last: it may grow */
};

/* What setup_params() reports. The core clears it first and decides afterwards what it uses. */
struct zcomp_caps {
	bool zstrm_mgmt; /* get_stream() and put_stream() work */
	const char *degraded; /* why not, though the backend can do it; static text or NULL */
	/*
	 * Most requests of one submit_batch(), up to ZCOMP_MAX_BATCH; 0 and 1: there is none. Only
	 * a table with submit_batch() may write this: an older core has no space for it, and refuses
	 * such a table.
	 */
	uint32_t batch_max;
};

/* The most that caps.batch_max may say; the core takes more for as many. */
#define ZCOMP_MAX_BATCH 64u

/* Scratch of one stream: changed by every call, so never shared. */
struct zcomp_ctx {
	void *context; /* the backend's own */
};

/* One call. */
struct zcomp_req {
	const void *src;
	size_t src_len; /* bytes to read; at least 1 */
	void *dst;
	size_t dst_cap; /* space at dst */
	size_t dst_len; /* out: bytes written, on success only */
	/*
	 * submit() only; NULL when src is the stream's local_copy. Called once per accepted
	 * submit(), from any thread, before or after done(): the device reads src no more. It may
	 * come long after done() said that the request was given up (-ETIMEDOUT, -ECANCELED).
	 */
	void (*unpin)(void *arg);
	void *unpin_arg;
};

/*
 * Delivered exactly once per accepted submit(), from a thread of the backend. @error is 0
 * (req->dst_len is set), -ENOSPC (does not fit dst_cap), or why the caller has to do the work:
 *   -EIO        the engine failed at it
 *   -ETIMEDOUT  the deadline was missed: the request was taken back, or given up
 *   -ECANCELED  the device was reset
 *   -EOWNERDEAD the engine died
 *   -ESHUTDOWN  the backend is stopped, and nobody is left to do it
 * A request that was given up may still be in the device: what comes of it later is dropped, and
 * its stream, though put back, is lent again only when the device has let go of it. May not wait
 * for another done(), and may not call get_stream(); may call put_stream() for its own stream.
 */
typedef void (*zcomp_done_fn)(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error);

/* One request of a batch. */
struct zcomp_batch_entry {
	struct zcomp_strm *strm; /* managed; each has its own */
	struct zcomp_req *req; /* src_len is the batch's unit_size */
	void *arg; /* for done() */
};

/*
 * Requests of one size that a device takes by one submission, and may work on side by side. It is
 * the submission that is one: each ends by itself, so that one that fails takes none along. Only
 * read during submit_batch(). The core allocates it: new members come at its end.
 */
struct zcomp_batch {
	const struct zcomp_batch_entry *entries;
	uint32_t nr; /* 2..caps.batch_max */
	uint32_t unit_size; /* bytes of every source */
	zcomp_done_fn done;
};

/* The core's part of a stream: whose request is in flight. A backend never looks inside. */
struct zcomp_pending {
	struct zcomp_req req; /* what the backend works on */
	struct zcomp_req *caller_req;
	zcomp_done_fn done;
	void *arg;
	uint64_t submitted_ns; /* CLOCK_MONOTONIC */
};

/* Batches of 1, 2..3, 4..7, ... requests; the last bucket takes all that are larger. */
#define ZCOMP_BATCH_BUCKETS 9u

/* What a backend counts of its managed streams. New members come at the end. */
struct zcomp_backend_stat {
	uint32_t struct_size; /* of the core's; the backend fills no more than that */
	uint32_t engines; /* that run now */
	uint64_t queued_now, queued_max; /* requests submitted and not ended */
	uint64_t completed; /* requests ended, in whatever way */
	uint64_t late; /* results that came after their request had been given up */
	uint64_t resets; /* of the device */
	uint64_t restarts; /* of engines that had died */
	uint64_t batches[ZCOMP_BATCH_BUCKETS]; /* taken by an engine, by size */
	/* Why managed streams were switched off while in use; static text, NULL: they work. */
	const char *degraded;
	uint64_t submissions; /* accepted, of single requests and of batches */
	uint64_t polled; /* requests whose done() came from poll() */
};

/*
 * One plain stream. The core wraps it as a per-thread stream (with a lock), a backend as a managed
 * one (without). buffer takes compressed output and may be used by nobody else while the stream is
 * held: buffer_size >= 2 * unit. local_copy holds the input when it must outlive the caller's
 * buffer, or staged data: local_copy_size >= unit. The core checks both whenever it hands a stream
 * out.
 *
 * A backend may write to all of both during any call on the stream, but not where req->src points,
 * and behind the output, which stands at req->dst. The core keeps nothing there from one call to
 * the next, and neither may a backend: the stream's next holder writes there, too.
 */
struct zcomp_strm {
	void *buffer;
	size_t buffer_size;
	void *local_copy;
	size_t local_copy_size;
	struct zcomp_ctx ctx;
	/*
	 * The core's, written when the stream is handed out and on submit: put is routed by the
	 * stream itself. A backend zeroes them once, when it makes the stream.
	 */
	bool zcomp_managed;
	struct zcomp *comp;
	struct zcomp_pending pending;
};

/*
 * Tables of other sizes than the core's: a smaller one lacks the members at its end, which count as
 * NULL; it must reach to decompress at least. A larger one is taken as long as what the core does
 * not know of it is zero.
 */
struct zcomp_ops {
	uint32_t abi_version; /* ZCOMP_ABI_VERSION */
	uint32_t struct_size; /* sizeof(struct zcomp_ops) as the backend was compiled */
	/*
	 * 1 to ZCOMP_NAME_MAX characters of a-z, 0-9, '.', '_', '-'; the first a letter or digit.
	 */
	const char *name;

	/* The core refuses other levels and fills in the default. All 0: there are none. */
	int32_t level_min;
	int32_t level_max;
	int32_t level_default;
	uint32_t reserved; /* 0 */
	size_t dict_max; /* largest dictionary in bytes, 0: it takes none */

	/*
	 * Check the parameters and prepare what all streams share.
	 * Return: 0, -EINVAL for a level or dictionary that does not work, -ENOMEM. An accelerator
	 * that cannot start its engines returns 0 with zstrm_mgmt false and a reason in degraded.
	 */
	int (*setup_params)(struct zcomp_params *params, struct zcomp_caps *caps);
	/* Called once if and only if setup_params() succeeded, after all contexts are gone. */
	void (*release_params)(struct zcomp_params *params);

	/* Context of one stream of the core. Return: 0 or -ENOMEM (then ctx is left alone). */
	int (*create_ctx)(const struct zcomp_params *params, struct zcomp_ctx *ctx);
	void (*destroy_ctx)(const struct zcomp_params *params, struct zcomp_ctx *ctx);

	/*
	 * Both work on any stream, synchronously. The output of compress() on any stream of a
	 * backend is decoded by decompress() on any other one. dst need not lie in strm->buffer.
	 *
	 * compress:   0; -ENOSPC when the output does not fit dst_cap (the data then counts as
	 *             incompressible); other errors make the caller fall back.
	 * decompress: src is exactly what compress() wrote. 0, or -EBADMSG for damaged input:
	 *             never reads outside src, never writes outside dst. A managed stream of a
	 *             device that only compresses may say -EOPNOTSUPP.
	 */
	int (*compress)(const struct zcomp_params *params, struct zcomp_strm *strm,
			struct zcomp_req *req);
	int (*decompress)(const struct zcomp_params *params, struct zcomp_strm *strm,
			  struct zcomp_req *req);

	/*
	 * Managed streams; both or none. get_stream() neither allocates nor blocks; NULL is a
	 * normal answer. It prepares strm->ctx. put_stream() never fails.
	 */
	struct zcomp_strm *(*get_stream)(const struct zcomp_params *params);
	void (*put_stream)(const struct zcomp_params *params, struct zcomp_strm *strm);

	/*
	 * Optional, for managed streams only: queue a compression and return at once. req and what
	 * it points to stay untouched by the caller until done() is called. 0: accepted, done()
	 * will come exactly once. -EBUSY (queue full), -ESHUTDOWN (stopping, or switched off) or
	 * another error: not accepted, done() will not come, the caller falls back.
	 */
	int (*submit)(const struct zcomp_params *params, struct zcomp_strm *strm,
		      struct zcomp_req *req, zcomp_done_fn done, void *arg);

	/*
	 * Needed by a backend that has submit(): from now on get_stream() says NULL and submit()
	 * -ESHUTDOWN; returns when every done() owed has returned. Contexts still exist, so done()
	 * may use synchronous streams. May be called twice.
	 */
	void (*stop)(const struct zcomp_params *params);

	/* Optional: what is counted of managed streams. Any thread; zeroed by the core. */
	void (*get_stat)(const struct zcomp_params *params, struct zcomp_backend_stat *out_stat);

	/*
	 * Optional, with submit(): take the request back that was submitted with @arg, if no engine
	 * has begun it. True: it never was submitted, neither done() nor unpin() will come, the
	 * stream is the caller's to put. False: done() will come, or has; the stream may even carry
	 * another request already. Any thread.
	 */
	bool (*cancel)(const struct zcomp_params *params, struct zcomp_strm *strm, void *arg);

	/*
	 * Optional: as decompress(), but it ends where dst does: dst_len is the smaller of dst_cap
	 * and what decompress() gives. It is asked for where little of a large unit is wanted, so
	 * it should cost in proportion. Damage behind the end may stay unseen; what is said there
	 * of memory outside src and dst holds.
	 */
	int (*decompress_head)(const struct zcomp_params *params, struct zcomp_strm *strm,
			       struct zcomp_req *req);

	/*
	 * Optional, with submit(): queue several compressions by one submission; for devices whose
	 * door bell costs more than an entry of their queue. See caps.batch_max.
	 * Return: how many were accepted, from the first on: for each of these holds what submit()
	 * says of 0. Or an error of submit(): none was.
	 */
	int (*submit_batch)(const struct zcomp_params *params, const struct zcomp_batch *batch);

	/*
	 * Optional, with submit(): call done() now, from this thread, for up to @max requests that
	 * the device has completed. Never waits. The core asks where it waits; a thread that is not
	 * asked misses nothing: what nobody polls for comes by an interrupt, as without poll(),
	 * though it may come later. Any thread, also several at a time; not from done().
	 * Return: for how many done() was called.
	 */
	uint32_t (*poll)(const struct zcomp_params *params, uint32_t max);

	/*
	 * Optional, for an algorithm with dictionaries: a context that create_ctx() has made with
	 * decode_only serves decompress() with the params of any other set-up with decode_only. So
	 * decoders that differ by their dictionary alone need no contexts of their own.
	 */
	bool decoders_share;
};

/*
 * A module is a shared object that exports one function: it returns the table, which stays as it is
 * for as long as the module is loaded. See zcomp-module(3). In the module, once:
 *
 *   ZCOMP_MODULE(my_ops)
 */
#define ZCOMP_MODULE_SYMBOL "ztmpfs_zcomp_module"
#define ZCOMP_MODULE(ops)                                                                          \
	__attribute__((visibility("default"))) const struct zcomp_ops *ztmpfs_zcomp_module(void)   \
	{                                                                                          \
		return &(ops);                                                                     \
	}
const struct zcomp_ops *ztmpfs_zcomp_module(void);

#ifdef __cplusplus
}
#endif

#endif
