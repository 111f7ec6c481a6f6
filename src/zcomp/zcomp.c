// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zcomp.c - a backend set up with its parameters, and the calls into it.
 *
 * The core clears the capabilities, the backend reports them, the core decides; parameters are
 * immutable from then on. No lock of its own: streams.c hands streams out, backends lock for
 * themselves. Nothing that an accelerator refuses or fails becomes an error of zcomp_compress().
 */
#include "zcomp/zcomp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/log.h"
#include "util/sizes.h"
#include "zcomp/device.h"
#include "zcomp/module.h"
#include "zcomp/registry.h"
#include "zcomp/streams.h"

/* Per-thread streams a user may ask for; more would only cost memory. */
#define MAX_STREAMS 1024u

static int check_level(const struct zcomp_ops *ops, int32_t level,
		       char error_text[ZCOMP_ERROR_TEXT])
{
	if (level == ZCOMP_LEVEL_DEFAULT)
		return 0;
	if (ops->level_min == 0 && ops->level_max == 0)
		return zcomp_refuse(error_text, -EINVAL, "compress=%s:%d: %s has no levels",
				    ops->name, level, ops->name);
	if (level < ops->level_min || level > ops->level_max)
		return zcomp_refuse(error_text, -EINVAL,
				    "compress=%s:%d: level out of range %d..%d", ops->name, level,
				    ops->level_min, ops->level_max);
	return 0;
}

static int check_accel(const struct zcomp_accel_params *accel, char error_text[ZCOMP_ERROR_TEXT])
{
	char why[ZCOMP_ERROR_TEXT];

	if (zcomp_accel_check(accel, why) != 0)
		return zcomp_refuse(error_text, -EINVAL, "accel: %.200s", why);
	return 0;
}

static int check_config(const struct zcomp_ops *ops, const struct zcomp_config *config,
			char error_text[ZCOMP_ERROR_TEXT])
{
	if (config->unit < ZCOMP_MIN_UNIT || config->unit > ZCOMP_MAX_UNIT ||
	    config->unit % ZCOMP_MIN_UNIT != 0)
		return zcomp_refuse(error_text, -EINVAL,
				    "unit of %u bytes: allowed: a multiple of %u, %u..%u",
				    config->unit, ZCOMP_MIN_UNIT, ZCOMP_MIN_UNIT, ZCOMP_MAX_UNIT);
	if (config->nr_streams > MAX_STREAMS)
		return zcomp_refuse(error_text, -EINVAL, "streams=%u: out of range 1..%u",
				    config->nr_streams, MAX_STREAMS);
	if (config->accel && check_accel(&config->accel_params, error_text))
		return -EINVAL;
	if (config->dict && ops->dict_max == 0)
		return zcomp_refuse(error_text, -EINVAL, "compress=%s: takes no dictionary",
				    ops->name);
	if (config->dict && (config->dict_size == 0 || config->dict_size > ops->dict_max))
		return zcomp_refuse(error_text, -EINVAL,
				    "compress=%s: dictionary of %zu bytes: out of range 1..%zu",
				    ops->name, config->dict_size, ops->dict_max);
	return check_level(ops, config->level, error_text);
}

/* A backend with a device of its own needs no pretended one around it. */
static bool wants_accel(const struct zcomp_ops *ops, const struct zcomp_config *config)
{
	return config->accel && !(ops->get_stream && ops->put_stream);
}

static void fill_params(struct zcomp *comp, const struct zcomp_config *config)
{
	struct zcomp_params *params = &comp->params;

	params->level = config->level == ZCOMP_LEVEL_DEFAULT ? comp->algorithm->level_default
							     : config->level;
	params->unit = config->unit;
	params->dict = config->dict;
	params->dict_size = config->dict ? config->dict_size : 0;
	params->host = &zcomp_host;
	params->accel = config->accel_params;
	params->decode_only = config->decode_only;
	if (comp->ops != comp->algorithm)
		params->inner_ops = comp->algorithm;
}

/* What the backend reported is a claim: both stream operations must be there. */
static void decide_managed(struct zcomp *comp, const struct zcomp_caps *caps)
{
	const char *name = comp->algorithm->name;

	comp->managed = caps->zstrm_mgmt;
	comp->degraded = caps->degraded;
	if (comp->managed && !(comp->ops->get_stream && comp->ops->put_stream)) {
		comp->managed = false;
		comp->degraded =
			"the backend claims managed streams but lacks get_stream or put_stream";
	}
	comp->batch_max = 1;
	if (comp->managed && comp->ops->submit_batch && caps->batch_max > 1)
		comp->batch_max = (uint32_t)min_u64(caps->batch_max, ZCOMP_MAX_BATCH);
	if (comp->managed)
		comp->degraded = NULL;
	else if (comp->degraded)
		zt_log(ZT_LOG_WARN, "compress=%s: managed streams are off: %s", name,
		       comp->degraded);
}

/* Nobody waits for memory, or calls out, with a stream that only decodes. */
static uint32_t default_streams(bool decode_only)
{
	const uint32_t more = decode_only ? 0 : 2;
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return (uint32_t)(cpus < 1 ? 1 : min_u64((uint64_t)cpus, MAX_STREAMS - more)) + more;
}

/* Whether the streams of another are as good as its own. */
static bool may_borrow(const struct zcomp *comp, const struct zcomp_config *config)
{
	const struct zcomp *lender = config->lender;

	return lender && config->decode_only && lender->params.decode_only &&
	       lender->algorithm == comp->ops && comp->ops->decoders_share &&
	       lender->params.unit >= config->unit && config->own_size == 0;
}

static int make_streams(struct zcomp *comp, const struct zcomp_config *config)
{
	const uint32_t nr = config->nr_streams ? config->nr_streams
						: default_streams(config->decode_only);

	if (may_borrow(comp, config)) {
		streams_borrow(comp, config->lender);
		return 0;
	}
	comp->private_stream = config->private_stream;
	return streams_init(comp, nr + config->private_stream, config->own_size, config->outer);
}

static int setup_error(const struct zcomp *comp, int error, char error_text[ZCOMP_ERROR_TEXT])
{
	const char *name = comp->algorithm->name;

	if (error == -ENOMEM)
		return zcomp_refuse(error_text, error, "compress=%s: out of memory", name);
	return zcomp_refuse(error_text, error,
			    "compress=%s: the backend refuses level %d or its dictionary: %s", name,
			    comp->params.level, strerror(-error));
}

/*
 * Bytes of the streams' buffers that are ever touched. What is built in writes its output, which is
 * one unit at most, and nothing else; what a module does with the rest is not known.
 */
static uint64_t buffers_touched(const struct zcomp *comp, const struct zcomp_config *config)
{
	if (zcomp_find_ops(comp->algorithm->name) != comp->algorithm)
		return comp->buffers_size;
	return config->decode_only ? 0 : comp->buffers_size / 3;
}

int zcomp_create_ops(const struct zcomp_ops *ops, const struct zcomp_config *config,
		     char error_text[ZCOMP_ERROR_TEXT], struct zcomp **out_comp)
{
	struct zcomp_caps caps = { .zstrm_mgmt = false };
	struct zcomp *comp;
	uint64_t before;
	int error;

	error = zcomp_check_ops(ops, error_text);
	if (!error)
		error = check_config(ops, config, error_text);
	if (error)
		return error;
	comp = zt_zalloc(sizeof(*comp));
	if (!comp)
		return zcomp_refuse(error_text, -ENOMEM, "compress=%s: out of memory", ops->name);
	comp->algorithm = ops;
	comp->ops = wants_accel(ops, config) ? zcomp_accel_ops() : ops;
	fill_params(comp, config);
	before = zt_thread_allocated();
	error = comp->ops->setup_params(&comp->params, &caps);
	if (error) {
		setup_error(comp, error, error_text);
		goto err_comp;
	}
	/* Most of what a device sets up are its streams' buffers. */
	comp->memory = min_u64(zt_thread_allocated() - before,
			       comp->ops == comp->algorithm ? UINT64_MAX : MIB);
	before = zt_thread_allocated();
	decide_managed(comp, &caps);
	error = make_streams(comp, config);
	if (error) {
		setup_error(comp, error, error_text);
		goto err_params;
	}
	comp->memory += zt_thread_allocated() - before - comp->buffers_size;
	comp->memory += buffers_touched(comp, config);
	*out_comp = comp;
	return 0;

err_params:
	comp->ops->release_params(&comp->params);
err_comp:
	zt_free(comp);
	return error;
}

int zcomp_create(const struct zcomp_config *config, char error_text[ZCOMP_ERROR_TEXT],
		 struct zcomp **out_comp)
{
	const struct zcomp_ops *ops = zcomp_find_ops(config->name);
	struct zcomp_module *module = NULL;
	struct zcomp *comp;
	int error;

	if (!ops) {
		error = zcomp_module_open(config->name, error_text, &module);
		if (error)
			return error;
		ops = zcomp_module_ops(module);
	}
	error = zcomp_create_ops(ops, config, error_text, &comp);
	if (error) {
		zcomp_module_close(module);
		return error;
	}
	comp->module = module;
	*out_comp = comp;
	return 0;
}

uint64_t zcomp_memory(const struct zcomp *comp)
{
	return comp->memory;
}

void zcomp_stop(struct zcomp *comp)
{
	if (comp->ops->stop)
		comp->ops->stop(&comp->params);
}

void zcomp_destroy(struct zcomp *comp)
{
	struct zcomp_module *module;

	if (!comp)
		return;
	module = comp->module;
	zcomp_stop(comp);
	streams_exit(comp);
	comp->ops->release_params(&comp->params);
	zt_free(comp);
	zcomp_module_close(module);
}

const char *zcomp_name(const struct zcomp *comp)
{
	return comp->algorithm->name;
}

const struct zcomp_params *zcomp_get_params(const struct zcomp *comp)
{
	return &comp->params;
}

bool zcomp_managed(const struct zcomp *comp)
{
	return comp->managed;
}

static int compress_sync(struct zcomp *comp, struct zcomp_strm *strm, struct zcomp_req *req)
{
	int error = comp->ops->compress(&comp->params, strm, req);

	zcomp_count_compressed(comp, false, req, error);
	return error;
}

static int compress_managed(struct zcomp *comp, struct zcomp_strm *strm, struct zcomp_req *req)
{
	int error = comp->ops->compress(&comp->params, strm, req);
	struct zcomp_strm *own;

	zcomp_count_managed(comp, req, error);
	if (!error || error == -ENOSPC)
		return error;
	own = zcomp_stream_get(comp, ZSTRM_DEFAULT);
	error = compress_sync(comp, own, req);
	zcomp_stream_put(comp, own);
	return error;
}

int zcomp_compress(struct zcomp *comp, struct zcomp_strm *strm, const void *src, size_t src_len,
		   size_t dst_cap, size_t *out_len)
{
	struct zcomp_req req = {
		.src = src,
		.src_len = src_len,
		.dst = strm->buffer,
		.dst_cap = dst_cap,
	};
	int error;

	ZT_ASSERT(src_len > 0 && src_len <= comp->params.unit);
	ZT_ASSERT(dst_cap <= strm->buffer_size);
	if (strm->zcomp_managed)
		error = compress_managed(comp, strm, &req);
	else
		error = compress_sync(comp, strm, &req);
	if (!error)
		*out_len = req.dst_len;
	return error;
}

int zcomp_decompress_head(struct zcomp *comp, struct zcomp_strm *strm, const void *src,
			  size_t src_len, void *dst, size_t dst_cap, size_t want, size_t *out_len)
{
	/* The accelerator's table has whatever the algorithm's has. */
	bool head = want < dst_cap && comp->algorithm->decompress_head;
	struct zcomp_req req = {
		.src = src,
		.src_len = src_len,
		.dst = dst,
		.dst_cap = head ? want : dst_cap,
	};
	int error;

	ZT_ASSERT(!strm->zcomp_managed);
	if (src_len == 0)
		return -EBADMSG;
	if (head)
		error = comp->ops->decompress_head(&comp->params, strm, &req);
	else
		error = comp->ops->decompress(&comp->params, strm, &req);
	zcomp_count(comp, COUNT_DECOMPRESS_CALLS, 1);
	zcomp_count(comp, COUNT_DECOMPRESS_IN, src_len);
	if (error)
		return error;
	zcomp_count(comp, COUNT_DECOMPRESS_OUT, req.dst_len);
	*out_len = req.dst_len;
	return 0;
}

int zcomp_decompress(struct zcomp *comp, struct zcomp_strm *strm, const void *src, size_t src_len,
		     void *dst, size_t dst_cap, size_t *out_len)
{
	return zcomp_decompress_head(comp, strm, src, src_len, dst, dst_cap, dst_cap, out_len);
}

void zcomp_get_stat(struct zcomp *comp, struct zcomp_stat *out_stat)
{
	struct zcomp_stat stat = {
		.compress_calls = zcomp_counter_sum(comp, COUNT_COMPRESS_CALLS),
		.compress_in = zcomp_counter_sum(comp, COUNT_COMPRESS_IN),
		.compress_out = zcomp_counter_sum(comp, COUNT_COMPRESS_OUT),
		.mgmt_calls = zcomp_counter_sum(comp, COUNT_MGMT_CALLS),
		.mgmt_in = zcomp_counter_sum(comp, COUNT_MGMT_IN),
		.mgmt_out = zcomp_counter_sum(comp, COUNT_MGMT_OUT),
		.decompress_calls = zcomp_counter_sum(comp, COUNT_DECOMPRESS_CALLS),
		.decompress_in = zcomp_counter_sum(comp, COUNT_DECOMPRESS_IN),
		.decompress_out = zcomp_counter_sum(comp, COUNT_DECOMPRESS_OUT),
		.fallback_no_stream = zcomp_counter_sum(comp, COUNT_NO_STREAM),
		.fallback_bad_stream = zcomp_counter_sum(comp, COUNT_BAD_STREAM),
		.fallback_busy = zcomp_counter_sum(comp, COUNT_BUSY),
		.fallback_error = zcomp_counter_sum(comp, COUNT_ERROR),
		.fallback_timeout = zcomp_counter_sum(comp, COUNT_TIMEOUT),
		.fallback_reset = zcomp_counter_sum(comp, COUNT_RESET),
		.fallback_dead = zcomp_counter_sum(comp, COUNT_DEAD),
		.fallback_shutdown = zcomp_counter_sum(comp, COUNT_SHUTDOWN),
		.device = { .struct_size = sizeof(stat.device) },
		.nr_streams = comp->nr_streams,
		.managed = comp->managed,
		.degraded = comp->degraded,
	};

	for (unsigned i = 0; i < ZCOMP_LATENCY_BUCKETS; i++)
		stat.mgmt_latency[i] = zcomp_counter_sum(comp, COUNT_LATENCY + i);
	if (comp->managed && comp->ops->get_stat) {
		comp->ops->get_stat(&comp->params, &stat.device);
		if (stat.device.degraded) {
			stat.managed = false;
			stat.degraded = stat.device.degraded;
		}
	}
	*out_stat = stat;
}
