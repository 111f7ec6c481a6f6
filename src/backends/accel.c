// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * accel.c - the pseudo-accelerator: stands for a compress-only page engine with a deep queue, fast
 * submission and slow completion, and drives any software algorithm inside.
 *
 * It decorates that algorithm. Synchronous streams go straight to it; managed streams, of
 * which there are as many as the queue is deep, go through the queue to the engines. What comes out
 * is the algorithm's own format, so that every synchronous stream decodes it.
 *
 * idle_lock guards the list of idle streams. Only set-up allocates. Get, put and submit do not wait
 * for engines.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/accel.h"
#include "backends/accel_ripe.h"
#include "backends/backends.h"

#define DEFAULT_DEPTH       256u
#define DEFAULT_BATCH       8u
#define MAX_DEFAULT_ENGINES 8

/*
 * The default deadline: so many times what compressing one unit of text took when the device was
 * set up, but no less than what a thread may wait for a CPU on a busy machine.
 */
#define DEADLINE_UNITS  50u
#define MIN_DEADLINE_NS 100000000u

/*
 * An engine is not taken for hung as soon as a request is late: on a machine with far more to do
 * than CPUs a thread gets nothing done for a tenth of a second now and then.
 */
#define HANG_DEADLINES 10u

/* Where the accelerator's streams begin and end tells them from the core's. */
static struct managed_zstrm *strm_to_managed(const struct accel *accel, struct zcomp_strm *strm)
{
	struct managed_zstrm *mstrm = accel_managed(strm);
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

	accel->found = host->alloc(accel->nr_streams * sizeof(*accel->found));
	accel->streams_size = accel->nr_streams * sizeof(*accel->streams);
	accel->streams = host->map(accel->streams_size);
	accel->buffers_size = accel->nr_streams * each;
	accel->buffers = host->map(accel->buffers_size);
	if (!accel->found || !accel->streams || !accel->buffers)
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
	host->free(accel->found);
	host->unmap(accel->streams, accel->streams_size);
	host->unmap(accel->buffers, accel->buffers_size);
	accel->engines = NULL;
	accel->found = NULL;
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

/* Letters that repeat themselves as those of text do. */
static void fill_sample(char *dst, size_t len)
{
	uint32_t random = 1;

	for (size_t i = 0; i < len; i++) {
		random = random * 1664525u + 1013904223u;
		dst[i] = (char)('a' + (random >> 24) % 26);
		if (i >= 64 && random >> 29)
			dst[i] = dst[i - 1 - (random >> 20) % 64];
	}
}

/* What one unit takes the algorithm inside, at its level, on this machine. No engine runs yet. */
static int measure_unit(struct accel *accel, uint64_t *out_ns)
{
	const struct zcomp_host *host = accel->inner.host;
	size_t unit = accel->inner.unit;
	/* Not in a stream's buffers: what they have touched they keep. */
	char *buffers = host->map(3 * unit);
	struct zcomp_strm strm = { .buffer = buffers, .buffer_size = 2 * unit };
	struct zcomp_req req = { .src_len = unit, .dst = buffers, .dst_cap = 2 * unit };
	uint64_t begin;
	int error;

	if (!buffers)
		return -ENOMEM;
	req.src = strm.local_copy = buffers + 2 * unit;
	strm.local_copy_size = unit;
	error = accel->inner_ops->create_ctx(&accel->inner, &strm.ctx);
	if (!error) {
		fill_sample(strm.local_copy, unit);
		begin = accel_now(accel);
		/* Only its time counts. */
		(void)accel->inner_ops->compress(&accel->inner, &strm, &req);
		*out_ns = accel_now(accel) - begin;
		accel->inner_ops->destroy_ctx(&accel->inner, &strm.ctx);
	}
	host->unmap(buffers, 3 * unit);
	return error;
}

static int set_deadline(struct accel *accel)
{
	uint64_t latency_ns = accel->params.latency_us * UINT64_C(1000);
	uint64_t work_ns = accel_work_ns(accel, accel->inner.unit) * accel->nr_streams;
	uint64_t unit_ns;
	int error;

	if (accel->params.deadline_us) {
		accel->deadline_ns = accel->params.deadline_us * UINT64_C(1000);
		accel->hang_ns = accel->deadline_ns;
		return 0;
	}
	error = measure_unit(accel, &unit_ns);
	if (error)
		return error;
	unit_ns *= DEADLINE_UNITS;
	accel->deadline_ns =
		(unit_ns > MIN_DEADLINE_NS ? unit_ns : MIN_DEADLINE_NS) + 2 * latency_ns +
		work_ns + accel->params.poll_us * UINT64_C(1000);
	accel->hang_ns = HANG_DEADLINES * accel->deadline_ns;
	return 0;
}

static void set_parameters(struct accel *accel, const struct zcomp_accel_params *wanted)
{
	struct zcomp_accel_params *params = &accel->params;

	*params = *wanted;
	if (!params->engines)
		params->engines = default_engines();
	if (!params->depth)
		params->depth = DEFAULT_DEPTH;
	if (!params->batch)
		params->batch = DEFAULT_BATCH;
	accel->nr_streams = params->depth + params->engines;
}

/* Return: NULL, or why there is no device; then nothing of it is left. */
static const char *make_device(struct accel *accel, const struct zcomp_accel_params *wanted)
{
	const char *reason = "no memory for the accelerator's streams";
	uint32_t engines;

	set_parameters(accel, wanted);
	engines = accel->params.engines;
	accel->engines = accel->inner.host->alloc(engines * sizeof(*accel->engines));
	if (!accel->engines || make_streams(accel) || set_deadline(accel))
		goto err_device;
	if (pthread_mutex_init(&accel->idle_lock, NULL) != 0)
		goto err_device;
	if (accel_queue_init(accel))
		goto err_idle_lock;
	if (accel_watch_start(accel)) {
		reason = "the accelerator's watchdog could not be started";
		goto err_queue;
	}
	accel_engines_start(accel, engines);
	if (accel->nr_engines == 0) {
		accel_engines_stop(accel);
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
	caps->batch_max = accel->params.batch; /* an engine takes no more at once */
	return 0;
}

static void accel_stop(const struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;

	if (accel->streams) {
		atomic_store_explicit(&accel->closed, true, memory_order_relaxed);
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

/* Called only where the algorithm has it. */
static int accel_decompress_head(const struct zcomp_params *params, struct zcomp_strm *strm,
				 struct zcomp_req *req)
{
	const struct accel *accel = params->drv_data;

	if (strm_to_managed(accel, strm))
		return -EOPNOTSUPP;
	return accel->inner_ops->decompress_head(&accel->inner, strm, req);
}

/* Managed streams ------------------------------------------------------- */

/* Closed is only a hint: submit refuses a caller that gets a stream all the same. */
static struct zcomp_strm *accel_get_stream(const struct zcomp_params *params)
{
	struct accel *accel = params->drv_data;
	struct managed_zstrm *mstrm;

	if (atomic_load_explicit(&accel->closed, memory_order_relaxed))
		return NULL;
	mstrm = accel_idle_pop(accel);
	return mstrm ? &mstrm->strm : NULL;
}

/* One that an engine still has comes to the idle list when the engine lets go of it. */
static void accel_put_stream(const struct zcomp_params *params, struct zcomp_strm *strm)
{
	struct accel *accel = params->drv_data;
	struct managed_zstrm *mstrm = strm_to_managed(accel, strm);
	uint64_t state = atomic_load_explicit(&mstrm->state, memory_order_acquire);

	if (accel_state_of(state) == ACCEL_GIVEN_UP &&
	    accel_state_move(mstrm, state, ACCEL_RETURNED))
		return;
	accel_idle_push(accel, mstrm);
}

static int accel_submit(const struct zcomp_params *params, struct zcomp_strm *strm,
			struct zcomp_req *req, zcomp_done_fn done, void *arg)
{
	const struct zcomp_batch_entry entry = { .strm = strm, .req = req, .arg = arg };
	int taken = accel_queue_submit(params->drv_data, &entry, 1, done);

	return taken < 0 ? taken : 0;
}

static int accel_submit_batch(const struct zcomp_params *params, const struct zcomp_batch *batch)
{
	return accel_queue_submit(params->drv_data, batch->entries, batch->nr, batch->done);
}

static uint32_t accel_poll(const struct zcomp_params *params, uint32_t max)
{
	struct accel *accel = params->drv_data;

	return accel->params.poll_us ? accel_ripe_poll(accel, max) : 0;
}

static bool accel_cancel(const struct zcomp_params *params, struct zcomp_strm *strm, void *arg)
{
	struct accel *accel = params->drv_data;

	return accel_queue_cancel(accel, strm_to_managed(accel, strm), arg);
}

static int accel_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			  struct zcomp_req *req)
{
	const struct accel *accel = params->drv_data;

	if (strm_to_managed(accel, strm))
		return accel_submit_and_wait(params->drv_data, strm, req);
	return accel->inner_ops->compress(&accel->inner, strm, req);
}

static void accel_get_stat(const struct zcomp_params *params, struct zcomp_backend_stat *out_stat)
{
	struct accel *accel = params->drv_data;

	accel_lock(&accel->queue_lock);
	out_stat->engines = accel->nr_running;
	out_stat->queued_max = accel->in_flight_max;
	memcpy(out_stat->batches, accel->batches, sizeof(out_stat->batches));
	out_stat->degraded = accel->off;
	accel_unlock(&accel->queue_lock);
	out_stat->queued_now = atomic_load_explicit(&accel->in_flight, memory_order_relaxed);
	out_stat->submissions = atomic_load_explicit(&accel->submissions, memory_order_relaxed);
	out_stat->polled = atomic_load_explicit(&accel->polled, memory_order_relaxed);
	out_stat->completed = atomic_load_explicit(&accel->completed, memory_order_relaxed);
	out_stat->late = atomic_load_explicit(&accel->late, memory_order_relaxed);
	out_stat->resets = atomic_load_explicit(&accel->resets, memory_order_relaxed);
	out_stat->restarts = atomic_load_explicit(&accel->restarts, memory_order_relaxed);
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
	.cancel = accel_cancel,
	.decompress_head = accel_decompress_head,
	.submit_batch = accel_submit_batch,
	.poll = accel_poll,
};
