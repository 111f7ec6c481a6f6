// SPDX-License-Identifier: MIT
/*
 * skeleton.c - a complete module for ztmpfs: a run-length coder, and a thread that stands for a
 * device with managed streams.
 *
 * To make your own: copy this folder, and replace
 *   rle_encode(), rle_decode()   by your algorithm
 *   device_*                     by your device's queue, or remove all from "The device" on, if the
 *                                module has none: a table without those members is complete
 *
 * Three lifetimes, as ztmpfs/zcomp.h has them:
 *   struct shared     drv_data: one for all streams; made by setup_params()
 *   struct scratch    the context of one stream; used by one caller at a time
 *   struct zcomp_req  one call
 *
 * Levels: the shortest run that is coded as one, 1 to 9 bytes more than the least.
 *
 * Locks: shared->lock, for the device's queue and its idle streams. Nothing is compressed, and
 * nobody is called back, under it. The host takes no lock around any of these functions.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "ztmpfs/zcomp.h"

/* The algorithm ----------------------------------------------------------- */

/*
 * A control byte c, then: c < 128: c + 1 bytes as they are; otherwise: one byte, to be repeated
 * c - 128 + RUN_MIN times.
 */
#define RUN_MIN     3u
#define RUN_MAX     (RUN_MIN + 127u)
#define LITERAL_MAX 128u

static size_t run_at(const uint8_t *src, const uint8_t *end)
{
	size_t len = 1;

	while (src + len < end && len < RUN_MAX && src[len] == src[0])
		len++;
	return len;
}

/* Never writes beyond @cap. Return: 0 or -ENOSPC, which is no error but says "incompressible". */
static int rle_encode(const uint8_t *src, size_t len, size_t shortest, uint8_t *dst, size_t cap,
		      size_t *out_len)
{
	const uint8_t *end = src + len;
	size_t used = 0;

	while (src < end) {
		size_t literals = 0, run = run_at(src, end);

		if (run >= shortest) {
			if (cap - used < 2)
				return -ENOSPC;
			dst[used++] = (uint8_t)(128 + run - RUN_MIN);
			dst[used++] = *src;
			src += run;
			continue;
		}
		while (src + literals < end && literals < LITERAL_MAX &&
		       run_at(src + literals, end) < shortest)
			literals++;
		if (cap - used < 1 + literals)
			return -ENOSPC;
		dst[used++] = (uint8_t)(literals - 1);
		memcpy(dst + used, src, literals);
		used += literals;
		src += literals;
	}
	*out_len = used;
	return 0;
}

/*
 * @src may be damaged: every length is checked before it is used, on both sides. Return: 0 or
 * -EBADMSG.
 */
static int rle_decode(const uint8_t *src, size_t len, uint8_t *dst, size_t cap, size_t *out_len)
{
	size_t used = 0, at = 0;

	while (at < len) {
		const uint8_t control = src[at++];
		const size_t nr = control < 128 ? control + 1u : control - 128u + RUN_MIN;
		const size_t need = control < 128 ? nr : 1;

		if (len - at < need || cap - used < nr)
			return -EBADMSG;
		if (control < 128)
			memcpy(dst + used, src + at, nr);
		else
			memset(dst + used, src[at], nr);
		at += need;
		used += nr;
	}
	*out_len = used;
	return 0;
}

/* Shared state ------------------------------------------------------------ */

#define NR_MANAGED 64u

/* A stream that this module lends. It is in one place at a time: idle, lent, or queued. */
struct managed {
	struct zcomp_strm strm; /* zeroed once: the host keeps things of its own in it */
	struct managed *next;
	struct zcomp_req *req; /* these three from submit to done */
	zcomp_done_fn done;
	void *arg;
};

struct shared {
	const struct zcomp_params *params; /* as setup_params() was given them */
	size_t shortest; /* run */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct managed *idle;
	struct managed *head, **tail; /* the queue, first in, first out */
	uint64_t nr_queued, queued_max, nr_completed;
	bool stopping;
	bool running; /* the thread exists */
	pthread_t thread;
	struct managed *streams; /* NR_MANAGED */
	char *buffers;
	size_t buffers_size;
};

/* What a stream's calls need for themselves, and nobody else: here only a counter, to show where. */
struct scratch {
	uint64_t nr_calls;
};

static int encode(const struct shared *shared, struct zcomp_req *req)
{
	return rle_encode(req->src, req->src_len, shared->shortest, req->dst, req->dst_cap,
			  &req->dst_len);
}

/* The device --------------------------------------------------------------- */

static struct managed *managed_of(struct zcomp_strm *strm)
{
	return (struct managed *)((char *)strm - offsetof(struct managed, strm));
}

static bool is_managed(const struct shared *shared, const struct zcomp_strm *strm)
{
	const uintptr_t first = (uintptr_t)shared->streams;

	return (uintptr_t)strm >= first &&
	       (uintptr_t)strm < first + NR_MANAGED * sizeof(struct managed);
}

/*
 * Takes one request after another. After done() the stream is its caller's: nothing of it may be
 * touched. unpin() says that the source is read no more; here that is so when the work is done.
 */
static void *device_main(void *arg)
{
	struct shared *shared = arg;

	pthread_mutex_lock(&shared->lock);
	for (;;) {
		struct managed *managed = shared->head;
		void (*unpin)(void *);
		void *unpin_arg;
		int error;

		if (!managed && shared->stopping)
			break;
		if (!managed) {
			pthread_cond_wait(&shared->work, &shared->lock);
			continue;
		}
		shared->head = managed->next;
		if (!shared->head)
			shared->tail = &shared->head;
		pthread_mutex_unlock(&shared->lock);

		unpin = managed->req->unpin;
		unpin_arg = managed->req->unpin_arg;
		error = encode(shared, managed->req);
		if (unpin)
			unpin(unpin_arg);

		pthread_mutex_lock(&shared->lock);
		shared->nr_queued--;
		shared->nr_completed++;
		pthread_mutex_unlock(&shared->lock);
		managed->done(managed->arg, &managed->strm, managed->req, error);
		pthread_mutex_lock(&shared->lock);
	}
	pthread_mutex_unlock(&shared->lock);
	return NULL;
}

/* Neither waits nor allocates; NULL is a normal answer, and the caller then does the work itself. */
static struct zcomp_strm *skeleton_get_stream(const struct zcomp_params *params)
{
	struct shared *shared = params->drv_data;
	struct managed *managed;

	pthread_mutex_lock(&shared->lock);
	managed = shared->stopping ? NULL : shared->idle;
	if (managed)
		shared->idle = managed->next;
	pthread_mutex_unlock(&shared->lock);
	return managed ? &managed->strm : NULL;
}

static void skeleton_put_stream(const struct zcomp_params *params, struct zcomp_strm *strm)
{
	struct shared *shared = params->drv_data;

	pthread_mutex_lock(&shared->lock);
	managed_of(strm)->next = shared->idle;
	shared->idle = managed_of(strm);
	pthread_mutex_unlock(&shared->lock);
}

/* As deep as there are streams, so the queue is never full. */
static int skeleton_submit(const struct zcomp_params *params, struct zcomp_strm *strm,
			   struct zcomp_req *req, zcomp_done_fn done, void *arg)
{
	struct shared *shared = params->drv_data;
	struct managed *managed = managed_of(strm);
	int error = -ESHUTDOWN;

	managed->req = req;
	managed->done = done;
	managed->arg = arg;
	managed->next = NULL;
	pthread_mutex_lock(&shared->lock);
	if (!shared->stopping) {
		*shared->tail = managed;
		shared->tail = &managed->next;
		if (++shared->nr_queued > shared->queued_max)
			shared->queued_max = shared->nr_queued;
		pthread_cond_signal(&shared->work);
		error = 0;
	}
	pthread_mutex_unlock(&shared->lock);
	return error;
}

/*
 * From here on nothing is accepted; returns when all that was accepted has been delivered. The
 * thread must be gone before release_params() returns: the code that it runs may be unloaded then.
 */
static void skeleton_stop(const struct zcomp_params *params)
{
	struct shared *shared = params->drv_data;

	pthread_mutex_lock(&shared->lock);
	shared->stopping = true;
	pthread_cond_signal(&shared->work);
	pthread_mutex_unlock(&shared->lock);
	if (shared->running)
		pthread_join(shared->thread, NULL);
	shared->running = false;
}

static void skeleton_get_stat(const struct zcomp_params *params, struct zcomp_backend_stat *out)
{
	struct shared *shared = params->drv_data;

	pthread_mutex_lock(&shared->lock);
	out->engines = shared->running;
	out->queued_now = shared->nr_queued;
	out->queued_max = shared->queued_max;
	out->completed = shared->nr_completed;
	pthread_mutex_unlock(&shared->lock);
}

/*
 * Buffers at least twice the unit, since output may grow, and a local copy of one unit. map() gives
 * pages that cost nothing until they are used. Signals are the program's: the thread takes none.
 */
static const char *device_start(struct shared *shared)
{
	const struct zcomp_params *params = shared->params;
	const size_t unit = params->unit;
	sigset_t all, old;
	int error;

	shared->streams = params->host->alloc(NR_MANAGED * sizeof(*shared->streams));
	shared->buffers_size = NR_MANAGED * 3 * unit;
	shared->buffers = params->host->map(shared->buffers_size);
	if (!shared->streams || !shared->buffers)
		return "no memory for the streams of the device";
	for (uint32_t i = 0; i < NR_MANAGED; i++) {
		struct managed *managed = &shared->streams[i];

		managed->strm.buffer = shared->buffers + i * 3 * unit;
		managed->strm.buffer_size = 2 * unit;
		managed->strm.local_copy = shared->buffers + i * 3 * unit + 2 * unit;
		managed->strm.local_copy_size = unit;
		managed->next = shared->idle;
		shared->idle = managed;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&shared->thread, NULL, device_main, shared);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	shared->running = error == 0;
	return error ? "no thread for the device" : NULL;
}

static void device_end(struct shared *shared)
{
	shared->params->host->free(shared->streams);
	shared->params->host->unmap(shared->buffers, shared->buffers_size);
	shared->streams = NULL;
	shared->buffers = NULL;
	shared->idle = NULL;
}

/* Set-up and end ------------------------------------------------------------ */

/*
 * A device that cannot be started is no error: synchronous streams work without it, and the reason
 * stands in "ztmpfsctl stat".
 */
static int skeleton_setup_params(struct zcomp_params *params, struct zcomp_caps *caps)
{
	struct shared *shared = params->host->alloc(sizeof(*shared));

	if (!shared)
		return -ENOMEM;
	shared->params = params;
	shared->shortest = RUN_MIN + (size_t)params->level;
	shared->tail = &shared->head;
	if (pthread_mutex_init(&shared->lock, NULL) != 0)
		goto err_shared;
	if (pthread_cond_init(&shared->work, NULL) != 0)
		goto err_lock;
	params->drv_data = shared;
	caps->degraded = device_start(shared);
	caps->zstrm_mgmt = !caps->degraded;
	if (caps->degraded)
		device_end(shared);
	return 0;

err_lock:
	pthread_mutex_destroy(&shared->lock);
err_shared:
	params->host->free(shared);
	return -ENOMEM;
}

static void skeleton_release_params(struct zcomp_params *params)
{
	struct shared *shared = params->drv_data;

	skeleton_stop(params); /* not yet, when the host could not go on after setup_params() */
	device_end(shared);
	pthread_cond_destroy(&shared->work);
	pthread_mutex_destroy(&shared->lock);
	params->host->free(shared);
	params->drv_data = NULL;
}

static int skeleton_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	struct scratch *scratch = params->host->alloc(sizeof(*scratch));

	if (!scratch)
		return -ENOMEM;
	ctx->context = scratch;
	return 0;
}

static void skeleton_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	params->host->free(ctx->context);
	ctx->context = NULL;
}

/* Calls --------------------------------------------------------------------- */

/*
 * Synchronous, on any stream; no allocation, no waiting. A managed stream without submit() would be
 * used through this too: then the device would be waited for here.
 */
static int skeleton_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			     struct zcomp_req *req)
{
	const struct shared *shared = params->drv_data;

	if (!is_managed(shared, strm))
		((struct scratch *)strm->ctx.context)->nr_calls++;
	return encode(shared, req);
}

static int skeleton_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
			       struct zcomp_req *req)
{
	(void)params;
	(void)strm;
	return rle_decode(req->src, req->src_len, req->dst, req->dst_cap, &req->dst_len);
}

static const struct zcomp_ops skeleton_ops = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = "skeleton", /* as in the file's name */
	.level_min = 1,
	.level_max = 9,
	.level_default = 1,
	.setup_params = skeleton_setup_params,
	.release_params = skeleton_release_params,
	.create_ctx = skeleton_create_ctx,
	.destroy_ctx = skeleton_destroy_ctx,
	.compress = skeleton_compress,
	.decompress = skeleton_decompress,
	.get_stream = skeleton_get_stream,
	.put_stream = skeleton_put_stream,
	.submit = skeleton_submit,
	.stop = skeleton_stop,
	.get_stat = skeleton_get_stat,
};

ZCOMP_MODULE(skeleton_ops)
