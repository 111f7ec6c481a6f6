// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zstd.c - Zstandard frames without what the slot already knows: no magic number, content size,
 * checksum or dictionary id. That leaves 2 bytes of header, of 6 and more.
 *
 * Shared by all streams: with a dictionary, its digested forms; immutable after set-up. A stream's
 * context is one workspace with a compressor and a decompressor in it, sized for the level and
 * the unit. The library is told to stay inside: no allocation in a call. No locks.
 */
#define ZSTD_STATIC_LINKING_ONLY /* magicless format, static contexts, parameters by size */
#include <errno.h>
#include <stdbool.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "backends/backends.h"

/* -(1 << 17), the library's ZSTD_minCLevel(); and its ZSTD_maxCLevel(). Set-up asks the library itself. */
#define ZSTD_LEVEL_MIN	   (-131072)
#define ZSTD_LEVEL_MAX	   22
#define ZSTD_LEVEL_DEFAULT 1

#define ZSTD_DICT_MAX (1024u * 1024u)

struct zstd_shared {
	ZSTD_CDict *cdict; /* NULL without a dictionary */
	ZSTD_DDict *ddict;
	size_t cctx_size; /* room for each context, in bytes, multiples of 64 */
	size_t dctx_size;
	const struct zcomp_host *host;
	bool out_of_memory; /* tells a failed allocation from a dictionary that the library refuses */
};

struct zstd_ctx {
	ZSTD_CCtx *cctx;
	ZSTD_DCtx *dctx;
	size_t map_size; /* of all, this struct included */
};

static size_t round_up_line(size_t size)
{
	return (size + 63) & ~(size_t)63;
}

/*
 * The library picks its parameters by a table for inputs up to 16 KiB and others above, and neither needs more
 * room than the other at every level: take the largest.
 */
static size_t cctx_size(const struct zcomp_params *params)
{
	const size_t sizes[] = { 4096, 16384, params->unit };
	size_t most = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ZSTD_compressionParameters cparams =
			ZSTD_getCParams(params->level, sizes[i], params->dict_size);
		size_t size = ZSTD_estimateCCtxSize_usingCParams(cparams);

		if (size > most)
			most = size;
	}
	return round_up_line(most);
}

static void *host_alloc(void *opaque, size_t size)
{
	struct zstd_shared *shared = opaque;
	void *ptr = shared->host->alloc(size);

	if (!ptr)
		shared->out_of_memory = true;
	return ptr;
}

static void host_free(void *opaque, void *ptr)
{
	((struct zstd_shared *)opaque)->host->free(ptr);
}

static void zstd_release_params(struct zcomp_params *params)
{
	struct zstd_shared *shared = params->drv_data;

	ZSTD_freeCDict(shared->cdict);
	ZSTD_freeDDict(shared->ddict);
	params->host->free(shared);
	params->drv_data = NULL;
}

static int load_dict(const struct zcomp_params *params, struct zstd_shared *shared)
{
	ZSTD_customMem mem = { host_alloc, host_free, shared };
	ZSTD_compressionParameters cparams =
		ZSTD_getCParams(params->level, params->unit, params->dict_size);

	shared->cdict = ZSTD_createCDict_advanced(params->dict, params->dict_size, ZSTD_dlm_byRef,
						  ZSTD_dct_auto, cparams, mem);
	shared->ddict = ZSTD_createDDict_advanced(params->dict, params->dict_size, ZSTD_dlm_byRef,
						  ZSTD_dct_auto, mem);
	if (shared->cdict && shared->ddict)
		return 0;
	return shared->out_of_memory ? -ENOMEM : -EINVAL;
}

static int zstd_setup_params(struct zcomp_params *params, struct zcomp_caps *caps)
{
	struct zstd_shared *shared;
	int error = 0;

	(void)caps;
	if (params->level < ZSTD_minCLevel() || params->level > ZSTD_maxCLevel())
		return -EINVAL;
	shared = params->host->alloc(sizeof(*shared));
	if (!shared)
		return -ENOMEM;
	shared->host = params->host;
	shared->cctx_size = cctx_size(params);
	shared->dctx_size = round_up_line(ZSTD_estimateDCtxSize());
	params->drv_data = shared;
	if (params->dict)
		error = load_dict(params, shared);
	if (error)
		zstd_release_params(params);
	return error;
}

/* Parameters stick to a context, so they are set once. */
static int zstd_set_parameters(const struct zcomp_params *params, struct zstd_ctx *zctx)
{
	const struct zstd_shared *shared = params->drv_data;
	const struct {
		ZSTD_cParameter which;
		int value;
	} wanted[] = {
		{ ZSTD_c_compressionLevel, params->level },
		{ ZSTD_c_format, ZSTD_f_zstd1_magicless },
		{ ZSTD_c_contentSizeFlag, 0 },
		{ ZSTD_c_checksumFlag, 0 },
		{ ZSTD_c_dictIDFlag, 0 },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (ZSTD_isError(ZSTD_CCtx_setParameter(zctx->cctx, wanted[i].which, wanted[i].value)))
			return -EINVAL;
	}
	if (ZSTD_isError(ZSTD_DCtx_setParameter(zctx->dctx, ZSTD_d_format, ZSTD_f_zstd1_magicless)))
		return -EINVAL;
	if (shared->cdict && ZSTD_isError(ZSTD_CCtx_refCDict(zctx->cctx, shared->cdict)))
		return -EINVAL;
	if (shared->ddict && ZSTD_isError(ZSTD_DCtx_refDDict(zctx->dctx, shared->ddict)))
		return -EINVAL;
	return 0;
}

static int zstd_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	const struct zstd_shared *shared = params->drv_data;
	size_t head = round_up_line(sizeof(struct zstd_ctx));
	size_t map_size = head + shared->cctx_size + shared->dctx_size;
	struct zstd_ctx *zctx = params->host->map(map_size);
	int error;

	if (!zctx)
		return -ENOMEM;
	zctx->map_size = map_size;
	zctx->cctx = ZSTD_initStaticCCtx((char *)zctx + head, shared->cctx_size);
	zctx->dctx = ZSTD_initStaticDCtx((char *)zctx + head + shared->cctx_size, shared->dctx_size);
	error = zctx->cctx && zctx->dctx ? zstd_set_parameters(params, zctx) : -EINVAL;
	if (error)
		params->host->unmap(zctx, map_size);
	else
		ctx->context = zctx;
	return error;
}

static void zstd_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	struct zstd_ctx *zctx = ctx->context;

	params->host->unmap(zctx, zctx->map_size);
	ctx->context = NULL;
}

static int zstd_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			 struct zcomp_req *req)
{
	struct zstd_ctx *zctx = strm->ctx.context;
	size_t ret;

	(void)params;
	ret = ZSTD_compress2(zctx->cctx, req->dst, req->dst_cap, req->src, req->src_len);
	if (ZSTD_isError(ret))
		return ZSTD_getErrorCode(ret) == ZSTD_error_dstSize_tooSmall ? -ENOSPC : -EIO;
	req->dst_len = ret;
	return 0;
}

static int zstd_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
			   struct zcomp_req *req)
{
	struct zstd_ctx *zctx = strm->ctx.context;
	size_t ret;

	(void)params;
	ret = ZSTD_decompressDCtx(zctx->dctx, req->dst, req->dst_cap, req->src, req->src_len);
	if (ZSTD_isError(ret))
		return -EBADMSG;
	req->dst_len = ret;
	return 0;
}

const struct zcomp_ops backend_zstd = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = "zstd",
	.level_min = ZSTD_LEVEL_MIN,
	.level_max = ZSTD_LEVEL_MAX,
	.level_default = ZSTD_LEVEL_DEFAULT,
	.dict_max = ZSTD_DICT_MAX,
	.setup_params = zstd_setup_params,
	.release_params = zstd_release_params,
	.create_ctx = zstd_create_ctx,
	.destroy_ctx = zstd_destroy_ctx,
	.compress = zstd_compress,
	.decompress = zstd_decompress,
};
