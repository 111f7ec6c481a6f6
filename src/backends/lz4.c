// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lz4.c - raw LZ4 blocks; the level is LZ4's acceleration, as in zram.
 *
 * Shared by all streams: with a dictionary, a state that has it loaded; immutable after set-up.
 * A stream's context is LZ4's hash table (16 KiB). No locks, no allocation in a call.
 */
#include <errno.h>
#include <lz4.h>
#include <string.h>

#include "backends/backends.h"
#include "backends/lz4_block.h"

/* LZ4_ACCELERATION_MAX, which the library's header does not show: it takes more for this. */
#define LZ4_LEVEL_MAX 65537

/*
 * Loading a dictionary hashes all of it, far dearer than compressing a page; so it is done once,
 * and each call starts from a copy of the loaded state.
 */
static int lz4_setup_params(struct zcomp_params *params, struct zcomp_caps *caps)
{
	LZ4_stream_t *loaded;

	(void)caps;
	if (!params->dict)
		return 0;
	loaded = params->host->alloc((size_t)LZ4_sizeofState());
	if (!loaded)
		return -ENOMEM;
	LZ4_initStream(loaded, (size_t)LZ4_sizeofState());
	LZ4_loadDict(loaded, params->dict, (int)params->dict_size);
	params->drv_data = loaded;
	return 0;
}

static void lz4_release_params(struct zcomp_params *params)
{
	params->host->free(params->drv_data);
	params->drv_data = NULL;
}

static int lz4_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	void *state = params->host->alloc((size_t)LZ4_sizeofState());

	if (!state)
		return -ENOMEM;
	ctx->context = state;
	return 0;
}

static void lz4_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	params->host->free(ctx->context);
	ctx->context = NULL;
}

static int lz4_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			struct zcomp_req *req)
{
	void *state = strm->ctx.context;
	int dst_cap = lz4_block_size(req->dst_cap);
	int ret;

	if (params->drv_data) {
		memcpy(state, params->drv_data, (size_t)LZ4_sizeofState());
		ret = LZ4_compress_fast_continue(state, req->src, req->dst, (int)req->src_len,
						 dst_cap, params->level);
	} else {
		ret = LZ4_compress_fast_extState(state, req->src, req->dst, (int)req->src_len,
						 dst_cap, params->level);
	}
	if (ret <= 0)
		return -ENOSPC;
	req->dst_len = (size_t)ret;
	return 0;
}

const struct zcomp_ops backend_lz4 = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = BACKEND_NAME("lz4"),
	.level_min = 1,
	.level_max = LZ4_LEVEL_MAX,
	.level_default = 1,
	.dict_max = LZ4_BLOCK_DICT_MAX,
	.setup_params = lz4_setup_params,
	.release_params = lz4_release_params,
	.create_ctx = lz4_create_ctx,
	.destroy_ctx = lz4_destroy_ctx,
	.compress = lz4_compress,
	.decompress = lz4_block_decompress,
	.decompress_head = LZ4_BLOCK_DECOMPRESS_HEAD,
};

BACKEND_MODULE(backend_lz4)
