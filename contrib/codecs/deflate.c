// SPDX-License-Identifier: MIT
/*
 * deflate.c - raw deflate (RFC 1951) for ztmpfs, by libdeflate: what zram calls "deflate".
 *
 * Levels are libdeflate's, 1 to 12. What other devices and libraries make of deflate is decoded,
 * too: this is the software side of devices that only compress.
 *
 * Locks: none. All state of a call is in its context.
 */
#include <errno.h>


#include "deflate.h"

struct context {
	struct libdeflate_compressor *compressor; /* NULL where nothing is compressed */
	struct libdeflate_decompressor *decompressor;
};

static int deflate_setup_params(struct zcomp_params *params, struct zcomp_caps *caps)
{
	(void)params;
	(void)caps;
	return 0;
}

static void deflate_release_params(struct zcomp_params *params)
{
	(void)params;
}

static void free_context(const struct zcomp_params *params, struct context *context)
{
	if (context->compressor)
		libdeflate_free_compressor(context->compressor);
	if (context->decompressor)
		libdeflate_free_decompressor(context->decompressor);
	params->host->free(context);
}

static int deflate_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	struct context *context = params->host->alloc(sizeof(*context));

	if (!context)
		return -ENOMEM;
	context->decompressor = libdeflate_alloc_decompressor();
	if (!params->decode_only)
		context->compressor = libdeflate_alloc_compressor(params->level);
	if (!context->decompressor || (!context->compressor && !params->decode_only)) {
		free_context(params, context);
		return -ENOMEM;
	}
	ctx->context = context;
	return 0;
}

static void deflate_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	free_context(params, ctx->context);
	ctx->context = NULL;
}

static int deflate_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			    struct zcomp_req *req)
{
	const struct context *context = strm->ctx.context;

	(void)params;
	return deflate_encode(context->compressor, req);
}

static int deflate_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
			      struct zcomp_req *req)
{
	const struct context *context = strm->ctx.context;

	(void)params;
	return deflate_decode(context->decompressor, req);
}

static const struct zcomp_ops deflate_ops = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = "deflate",
	.level_min = 1,
	.level_max = 12,
	.level_default = 1,
	.setup_params = deflate_setup_params,
	.release_params = deflate_release_params,
	.create_ctx = deflate_create_ctx,
	.destroy_ctx = deflate_destroy_ctx,
	.compress = deflate_compress,
	.decompress = deflate_decompress,
};

ZCOMP_MODULE(deflate_ops)
