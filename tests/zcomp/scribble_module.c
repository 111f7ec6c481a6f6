// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scribble_module.c - LZ4 that makes use of all that a stream gives to a backend.
 *
 * Before and after each call it writes over the whole of buffer and local_copy, but for the source
 * and the output. A core that keeps anything there gets something else back.
 */
#include <errno.h>
#include <lz4.h>
#include <string.h>

#include "ztmpfs/zcomp.h"

struct range {
	const char *from, *to;
};

/* Overwrite [from, to), but for what @spare[@nr], ..., @spare[1] have of it. */
static void scribble_range(char *from, char *to, const struct range *spare, unsigned nr)
{
	const struct range *kept = &spare[nr];

	if (from >= to)
		return;
	if (nr == 0) {
		memset(from, 0xb5, (size_t)(to - from));
	} else if (kept->to <= from || kept->from >= to) {
		scribble_range(from, to, spare, nr - 1);
	} else {
		scribble_range(from, from + (kept->from > from ? kept->from - from : 0), spare,
			       nr - 1);
		scribble_range(to - (kept->to < to ? to - kept->to : 0), to, spare, nr - 1);
	}
}

static void scribble(struct zcomp_strm *strm, const struct zcomp_req *req, size_t dst_len)
{
	const struct range spare[] = {
		{ NULL, NULL },
		{ req->src, (const char *)req->src + req->src_len },
		{ req->dst, (const char *)req->dst + dst_len },
	};
	char *buffer = strm->buffer, *copy = strm->local_copy;

	scribble_range(buffer, buffer + strm->buffer_size, spare, 2);
	scribble_range(copy, copy + strm->local_copy_size, spare, 2);
}

static int scribble_setup(struct zcomp_params *params, struct zcomp_caps *caps)
{
	(void)params;
	(void)caps;
	return 0;
}

static void scribble_release(struct zcomp_params *params)
{
	(void)params;
}

static int scribble_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	ctx->context = params->host->alloc((size_t)LZ4_sizeofState());
	return ctx->context ? 0 : -ENOMEM;
}

static void scribble_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	params->host->free(ctx->context);
}

static int scribble_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			     struct zcomp_req *req)
{
	int len;

	(void)params;
	scribble(strm, req, 0);
	len = LZ4_compress_fast_extState(strm->ctx.context, req->src, req->dst, (int)req->src_len,
					 (int)req->dst_cap, 1);
	if (len > 0)
		req->dst_len = (size_t)len;
	scribble(strm, req, len > 0 ? req->dst_len : 0);
	return len > 0 ? 0 : -ENOSPC;
}

static int scribble_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
			       struct zcomp_req *req)
{
	int len;

	(void)params;
	scribble(strm, req, 0);
	len = LZ4_decompress_safe(req->src, req->dst, (int)req->src_len, (int)req->dst_cap);
	scribble(strm, req, len > 0 ? (size_t)len : 0);
	if (len < 0)
		return -EBADMSG;
	req->dst_len = (size_t)len;
	return 0;
}

static int scribble_decompress_head(const struct zcomp_params *params, struct zcomp_strm *strm,
				    struct zcomp_req *req)
{
	int len;

	(void)params;
	scribble(strm, req, 0);
	len = LZ4_decompress_safe_partial(req->src, req->dst, (int)req->src_len, (int)req->dst_cap,
					  (int)req->dst_cap);
	scribble(strm, req, len > 0 ? (size_t)len : 0);
	if (len < 0)
		return -EBADMSG;
	req->dst_len = (size_t)len;
	return 0;
}

static const struct zcomp_ops scribble_ops = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = "scribble",
	.setup_params = scribble_setup,
	.release_params = scribble_release,
	.create_ctx = scribble_create_ctx,
	.destroy_ctx = scribble_destroy_ctx,
	.compress = scribble_compress,
	.decompress = scribble_decompress,
	.decompress_head = scribble_decompress_head,
};

ZCOMP_MODULE(scribble_ops)
