// SPDX-License-Identifier: MIT
/*
 * igzip.c - raw deflate (RFC 1951) for ztmpfs, by ISA-L's igzip: faster than others, and larger.
 *
 * Levels 1 to 4 are the library's 0 to 3, since 0 is no level here. The module "deflate" decodes
 * what this one makes.
 *
 * Locks: none. All state of a call is in its context.
 */
#include <errno.h>
#include <string.h>

#include <isa-l/igzip_lib.h>

#include "ztmpfs/zcomp.h"

#define LEVEL_MAX 4

/* Some 200 KB: the library keeps its windows in them. */
struct context {
	struct isal_zstream deflate;
	struct inflate_state inflate;
	uint8_t level_buf[]; /* of its level */
};

static const uint32_t level_buf_sizes[LEVEL_MAX + 1] = {
	[1] = ISAL_DEF_LVL0_DEFAULT,
	[2] = ISAL_DEF_LVL1_DEFAULT,
	[3] = ISAL_DEF_LVL2_DEFAULT,
	[4] = ISAL_DEF_LVL3_DEFAULT,
};

static size_t context_size(const struct zcomp_params *params)
{
	return sizeof(struct context) + level_buf_sizes[params->level];
}

static int igzip_setup_params(struct zcomp_params *params, struct zcomp_caps *caps)
{
	(void)caps;
	return params->level < 1 || params->level > LEVEL_MAX ? -EINVAL : 0;
}

static void igzip_release_params(struct zcomp_params *params)
{
	(void)params;
}

static int igzip_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	struct context *context = params->host->map(context_size(params));

	if (!context)
		return -ENOMEM;
	ctx->context = context;
	return 0;
}

static void igzip_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	params->host->unmap(ctx->context, context_size(params));
	ctx->context = NULL;
}

/* The library writes nothing behind avail_out, and says so when that was too little. */
static int igzip_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			  struct zcomp_req *req)
{
	struct context *context = strm->ctx.context;
	struct isal_zstream *stream = &context->deflate;
	int error;

	isal_deflate_stateless_init(stream);
	stream->level = (uint32_t)params->level - 1;
	stream->level_buf = context->level_buf;
	stream->level_buf_size = level_buf_sizes[params->level];
	stream->end_of_stream = 1;
	stream->flush = NO_FLUSH;
	stream->next_in = (uint8_t *)req->src;
	stream->avail_in = (uint32_t)req->src_len;
	stream->next_out = req->dst;
	stream->avail_out = (uint32_t)req->dst_cap;
	error = isal_deflate_stateless(stream);
	if (error == STATELESS_OVERFLOW)
		return -ENOSPC;
	if (error != COMP_OK)
		return -EIO;
	req->dst_len = stream->total_out;
	return 0;
}

/* It has to end with the last block, and with the source. */
static int igzip_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
			    struct zcomp_req *req)
{
	struct context *context = strm->ctx.context;
	struct inflate_state *state = &context->inflate;

	(void)params;
	isal_inflate_init(state);
	state->next_in = (uint8_t *)req->src;
	state->avail_in = (uint32_t)req->src_len;
	state->next_out = req->dst;
	state->avail_out = (uint32_t)req->dst_cap;
	if (isal_inflate_stateless(state) != ISAL_DECOMP_OK ||
	    state->block_state != ISAL_BLOCK_FINISH || state->avail_in != 0)
		return -EBADMSG;
	req->dst_len = state->total_out;
	return 0;
}

static const struct zcomp_ops igzip_ops = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = "igzip",
	.level_min = 1,
	.level_max = LEVEL_MAX,
	.level_default = 2,
	.setup_params = igzip_setup_params,
	.release_params = igzip_release_params,
	.create_ctx = igzip_create_ctx,
	.destroy_ctx = igzip_destroy_ctx,
	.compress = igzip_compress,
	.decompress = igzip_decompress,
};

ZCOMP_MODULE(igzip_ops)
