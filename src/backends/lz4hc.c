// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lz4hc.c - LZ4 blocks with a slower, better search; what lz4.c decodes, at the same speed.
 *
 * Shared by all streams: with a dictionary, a state that has it loaded; immutable after set-up.
 * A stream's context is the search's tables (256 KiB). No locks, no allocation in a call.
 */
#include <errno.h>
#include <lz4hc.h>
#include <string.h>

#include "backends/backends.h"
#include "backends/lz4_block.h"

static void *lz4hc_alloc_state(const struct zcomp_params *params)
{
	return params->host->map((size_t)LZ4_sizeofStateHC());
}

static void lz4hc_free_state(const struct zcomp_params *params, void *state)
{
	params->host->unmap(state, (size_t)LZ4_sizeofStateHC());
}

/* As in lz4.c: load once, start each call from a copy. */
static int lz4hc_setup_params(struct zcomp_params *params, struct zcomp_caps *caps)
{
	LZ4_streamHC_t *loaded;

	(void)caps;
	if (!params->dict)
		return 0;
	loaded = lz4hc_alloc_state(params);
	if (!loaded)
		return -ENOMEM;
	LZ4_initStreamHC(loaded, (size_t)LZ4_sizeofStateHC());
	LZ4_resetStreamHC_fast(loaded, params->level);
	LZ4_loadDictHC(loaded, params->dict, (int)params->dict_size);
	params->drv_data = loaded;
	return 0;
}

static void lz4hc_release_params(struct zcomp_params *params)
{
	lz4hc_free_state(params, params->drv_data);
	params->drv_data = NULL;
}

static int lz4hc_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	void *state = lz4hc_alloc_state(params);

	if (!state)
		return -ENOMEM;
	ctx->context = state;
	return 0;
}

static void lz4hc_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	lz4hc_free_state(params, ctx->context);
	ctx->context = NULL;
}

static int lz4hc_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			  struct zcomp_req *req)
{
	void *state = strm->ctx.context;
	int dst_cap = lz4_block_size(req->dst_cap);
	int ret;

	if (params->drv_data) {
		memcpy(state, params->drv_data, (size_t)LZ4_sizeofStateHC());
		ret = LZ4_compress_HC_continue(state, req->src, req->dst, (int)req->src_len,
					       dst_cap);
	} else {
		ret = LZ4_compress_HC_extStateHC(state, req->src, req->dst, (int)req->src_len,
						 dst_cap, params->level);
	}
	if (ret <= 0)
		return -ENOSPC;
	req->dst_len = (size_t)ret;
	return 0;
}

const struct zcomp_ops backend_lz4hc = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = BACKEND_NAME("lz4hc"),
	.level_min = 1,
	.level_max = LZ4HC_CLEVEL_MAX,
	.level_default = LZ4HC_CLEVEL_DEFAULT,
	.dict_max = LZ4_BLOCK_DICT_MAX,
	.setup_params = lz4hc_setup_params,
	.release_params = lz4hc_release_params,
	.create_ctx = lz4hc_create_ctx,
	.destroy_ctx = lz4hc_destroy_ctx,
	.compress = lz4hc_compress,
	.decompress = lz4_block_decompress,
	.decompress_head = LZ4_BLOCK_DECOMPRESS_HEAD,
};

BACKEND_MODULE(backend_lz4hc)
