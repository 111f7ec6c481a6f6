// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * accel.c - the pseudo-accelerator: stands for a compress-only page engine with a deep queue, fast
 * submission and slow completion, and drives any software algorithm inside.
 *
 * It decorates that algorithm. Synchronous streams go straight to it; managed streams, of
 * which there are as many as the queue is deep, go through the queue to the engines. What comes out
 * is the algorithm's own format, so that every synchronous stream decodes it.
 *
 * idle_lock covers the list of idle streams. No call but set-up allocates; get, put and submit
 * don't wait for engines.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "backends/accel.h"
#include "backends/backends.h"

#define DEFAULT_DEPTH       256u
#define MAX_DEFAULT_ENGINES 8

/* Where the accelerator's streams begin and end tells them from the core's. */
static struct managed_zstrm *strm_to_managed(const struct accel *accel, struct zcomp_strm *strm)
{
	struct managed_zstrm *mstrm =
		(struct managed_zstrm *)((char *)strm - offsetof(struct managed_zstrm, strm));
	uintptr_t first = (uintptr_t)accel->streams;

	if ((uintptr_t)mstrm < first || (uintptr_t)mstrm >= first + accel->streams_size)
		return NULL;
	return mstrm;
}

/* Parameters ------------------------------------------------------------ */

static uint32_t default_engines(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 1 ? 1 : cpus > MAX_DEFAULT_ENGINES ? MAX_DEFAULT_ENGINES : (uint32_t)cpus;
}

/* Descriptors now, buffers when they are used: pages of a stream never got stay untouched. */
static int make_streams(struct accel *accel)
{
	const struct zcomp_host *host = accel->inner.host;
	size_t unit = accel->inner.unit;
	size_t each = 3 * unit;

	accel->streams_size = accel->nr_streams * sizeof(*accel->streams);
	accel->streams = host->map(accel->streams_size);
	accel->buffers_size = accel->nr_streams * each;
	accel->buffers = host->map(accel->buffers_size);
	if (!accel->streams || !accel->buffers)
		return -ENOMEM;
	for (uint32_t i = accel->nr_streams; i-- > 0;) {
		struct managed_zstrm *mstrm = &accel->streams[i];

		mstrm->strm.buffer = accel->buffers + i * each;
		mstrm->strm.buffer_size = 2 * unit;
		mstrm->strm.local_copy = accel->buffers + i * each + 2 * unit;
		mstrm->strm.local_copy_size = unit;
		mstrm->next = accel->idle;
		accel->idle = mstrm;
	}
	return 0;
}

static void free_device(struct accel *accel)
{
	const struct zcomp_host *host = accel->inner.host;

	host->free(accel->engines);
	host->unmap(accel->streams, accel->streams_size);
	host->unmap(accel->buffers, accel->buffers_size);
	accel->engines = NULL;
	accel->streams = NULL;
	accel->buffers = NULL;
}

static void log_missing_engines(const struct accel *accel, uint32_t wanted)
{
	char line[128];

	snprintf(line, sizeof(line), "accel: %u of %u engines started; going on with them",
		 accel->nr_engines, wanted);
	accel->inner.host->log(line);
}

/* Return: NULL, or why there is no device; then nothing of it is left. */
static const char *make_device(struct accel *accel, const struct zcomp_accel_params *wanted)
{
	uint32_t engines = wanted->engines ? wanted->engines : default_engines();
	const char *reason = "no memory for the accelerator's streams";

	accel->depth = wanted->depth ? wanted->depth : DEFAULT_DEPTH;
	accel->nr_streams = accel->depth + engines;
	accel->engines = accel->inner.host->alloc(engines * sizeof(*accel->engines));
	if (!accel->engines || make_streams(accel))
		goto err_device;
	if (pthread_mutex_init(&accel->idle_lock, NULL) != 0)
		goto err_device;
	if (accel_queue_init(accel))
		goto err_idle_lock;
	accel_engines_start(accel, engines);
	if (accel->nr_engines == 0) {
		reason = "no engine of the accelerator could be started";
		goto err_queue;
	}
	if (accel->nr_engines < engines)
		log_missing_engines(accel, engines);
	return NULL;

err_queue:
	accel_queue_exit(accel);
err_idle_lock:
	pthread_mutex_destroy(&accel->idle_lock);
err_device:
	free_device(accel);
	return reason;
}

static int accel_setup_params(struct zcomp_params *params, struct zcomp_caps *caps)
{
	struct zcomp_caps inner_caps = { .zstrm_mgmt = false };
	struct accel *accel = params->host->map(sizeof(*accel));
	int error;

	if (!accel)
		return -ENOMEM;
	accel->inner = *params;
	accel->inner.inner_ops = NULL;
	accel->inner_ops = params->inner_ops;
	error = accel->inner_ops->setup_params(&accel->inner, &inner_caps);
	if (error) {
		params->host->unmap(accel, sizeof(*accel));
		return error;
	}
	params->drv_data = accel;
	caps->degraded = make_device(accel, &params->accel);
	caps->zstrm_mgmt = !caps->degraded;
	return 0;
}

static void accel_stop(const struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;

	if (accel->streams) {
		accel_lock(&accel->idle_lock);
		accel->closed = true;
		accel_unlock(&accel->idle_lock);
		accel_engines_stop(accel);
	}
	if (accel->inner_ops->stop)
		accel->inner_ops->stop(&accel->inner);
}

static void accel_release_params(struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;

	if (accel->streams) {
		accel_engines_stop(accel); /* not yet, when creating the core's streams failed */
		accel_queue_exit(accel);
		pthread_mutex_destroy(&accel->idle_lock);
		free_device(accel);
	}
	accel->inner_ops->release_params(&accel->inner);
	params->host->unmap(accel, sizeof(*accel));
	params->drv_data = NULL;
}

/* Synchronous streams: the algorithm inside ----------------------------- */

static int accel_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	const struct accel *accel = params->drv_data;

	return accel->inner_ops->create_ctx(&accel->inner, ctx);
}

static void accel_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	const struct accel *accel = params->drv_data;

	accel->inner_ops->destroy_ctx(&accel->inner, ctx);
}

static int accel_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
			    struct zcomp_req *req)
{
	const struct accel *accel = params->drv_data;

	if (strm_to_managed(accel, strm))
		return -EOPNOTSUPP; /* a compress-only device */
	return accel->inner_ops->decompress(&accel->inner, strm, req);
}

/* Managed streams ------------------------------------------------------- */

static struct zcomp_strm *accel_get_stream(const struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;
	struct managed_zstrm *mstrm = NULL;

	accel_lock(&accel->idle_lock);
	if (!accel->closed && accel->idle) {
		mstrm = accel->idle;
		accel->idle = mstrm->next;
	}
	accel_unlock(&accel->idle_lock);
	return mstrm ? &mstrm->strm : NULL;
}

static void accel_put_stream(const struct zcomp_params *params, struct zcomp_strm *strm)
{
	struct accel *accel = params->drv_data;
	struct managed_zstrm *mstrm = strm_to_managed(accel, strm);

	accel_lock(&accel->idle_lock);
	mstrm->next = accel->idle;
	accel->idle = mstrm;
	accel_unlock(&accel->idle_lock);
}

static int accel_submit(const struct zcomp_params *params, struct zcomp_strm *strm,
			struct zcomp_req *req, zcomp_done_fn done, void *arg)
{
	struct accel *accel = params->drv_data;

	return accel_queue_submit(accel, strm_to_managed(accel, strm), req, done, arg);
}

/* Somebody who waits for one request, on his own stack. */
struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t finished;
	bool is_finished;
	int error;
};

static void wake_waiter(void *arg, struct zcomp_strm *strm, struct zcomp_req *req, int error)
{
	struct waiter *waiter = arg;

	(void)strm;
	(void)req;
	accel_lock(&waiter->lock);
	waiter->error = error;
	waiter->is_finished = true;
	pthread_cond_signal(&waiter->finished);
	accel_unlock(&waiter->lock);
}

static int submit_and_wait(const struct zcomp_params *params, struct zcomp_strm *strm,
			   struct zcomp_req *req)
{
	struct waiter waiter = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.finished = PTHREAD_COND_INITIALIZER,
	};
	int error = accel_submit(params, strm, req, wake_waiter, &waiter);

	if (!error) {
		accel_lock(&waiter.lock);
		while (!waiter.is_finished)
			pthread_cond_wait(&waiter.finished, &waiter.lock);
		error = waiter.error;
		accel_unlock(&waiter.lock);
	}
	pthread_cond_destroy(&waiter.finished);
	pthread_mutex_destroy(&waiter.lock);
	return error;
}

static int accel_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			  struct zcomp_req *req)
{
	const struct accel *accel = params->drv_data;

	if (strm_to_managed(accel, strm))
		return submit_and_wait(params, strm, req);
	return accel->inner_ops->compress(&accel->inner, strm, req);
}

static void accel_get_stat(const struct zcomp_params *params, struct zcomp_backend_stat *out_stat)
{
	struct accel *accel = params->drv_data;

	accel_lock(&accel->queue_lock);
	out_stat->queued_max = accel->in_flight_max;
	accel_unlock(&accel->queue_lock);
	out_stat->queued_now = atomic_load_explicit(&accel->in_flight, memory_order_relaxed);
	out_stat->completed = atomic_load_explicit(&accel->completed, memory_order_relaxed);
}

const struct zcomp_ops backend_accel = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = "accel",
	.setup_params = accel_setup_params,
	.release_params = accel_release_params,
	.create_ctx = accel_create_ctx,
	.destroy_ctx = accel_destroy_ctx,
	.compress = accel_compress,
	.decompress = accel_decompress,
	.get_stream = accel_get_stream,
	.put_stream = accel_put_stream,
	.submit = accel_submit,
	.stop = accel_stop,
	.get_stat = accel_get_stat,
};
