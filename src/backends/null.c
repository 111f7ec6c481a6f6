// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * null.c - "compression" that only copies: it measures the cost of everything around a codec.
 */
#include <errno.h>
#include <string.h>

#include "backends/backends.h"

static int null_setup_params(struct zcomp_params *params, struct zcomp_caps *caps)
{
	(void)params;
	(void)caps;
	return 0;
}

static void null_release_params(struct zcomp_params *params)
{
	(void)params;
}

static int null_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	(void)params;
	ctx->context = NULL;
	return 0;
}

static void null_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	(void)params;
	(void)ctx;
}

static int null_copy(struct zcomp_req *req, int error_no_space)
{
	if (req->src_len > req->dst_cap)
		return error_no_space;
	memcpy(req->dst, req->src, req->src_len);
	req->dst_len = req->src_len;
	return 0;
}

static int null_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			 struct zcomp_req *req)
{
	(void)params;
	(void)strm;
	return null_copy(req, -ENOSPC);
}

static int null_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
			   struct zcomp_req *req)
{
	(void)params;
	(void)strm;
	return null_copy(req, -EBADMSG);
}

static int null_decompress_head(const struct zcomp_params *params, struct zcomp_strm *strm,
				struct zcomp_req *req)
{
	struct zcomp_req head = *req;
	int error;

	if (head.src_len > head.dst_cap)
		head.src_len = head.dst_cap;
	error = null_decompress(params, strm, &head);
	if (!error)
		req->dst_len = head.dst_len;
	return error;
}

const struct zcomp_ops backend_null = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = BACKEND_NAME("null"),
	.setup_params = null_setup_params,
	.release_params = null_release_params,
	.create_ctx = null_create_ctx,
	.destroy_ctx = null_destroy_ctx,
	.compress = null_compress,
	.decompress = null_decompress,
	.decompress_head = null_decompress_head,
};

BACKEND_MODULE(backend_null)
