// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zstd.c - Zstandard frames without what the slot already knows: no magic number, content size,
 * checksum or dictionary id. That leaves 2 bytes of header, of 6 and more.
 *
 * Shared by all streams: with a dictionary, its digested forms; immutable after set-up. A stream's
 * context is one workspace with a compressor and a decompressor in it, sized for the level and
 * the unit. The library is told to stay inside: no allocation in a call. No locks. A decompressor
 * hears of the dictionary with each call, so that one serves all dictionaries.
 */
#define ZSTD_STATIC_LINKING_ONLY /* magicless format, static contexts, parameters by size */
#include <errno.h>
#include <stdbool.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "backends/backends.h"

/* ZSTD_minCLevel() and ZSTD_maxCLevel(), which are no constants; set-up asks the library itself. */
#define ZSTD_LEVEL_MIN     (-131072)
#define ZSTD_LEVEL_MAX     22
#define ZSTD_LEVEL_DEFAULT 1

/* Up to here the library takes the smallest of its tables of parameters. */
#define SMALL_INPUT 16384

#define ROW_HASH_LOG 17u

/* For units of two pages a digested dictionary of few KiB needs no larger table of the fast strategy. */
#define SMALL_UNIT     8192
#define SMALL_HASH_LOG 12u

/* Our frames: no content size, checksum or dictionary id; one byte for the window follows. */
#define FRAME_DESCRIPTOR  0
#define FRAME_HEADER_SIZE 2
#define BLOCK_HEADER_SIZE 3
#define BLOCK_RLE         1

struct zstd_shared {
	size_t cctx_size; /* space for each context, in bytes, multiples of 64 */
	size_t dctx_size;
	/* NULL and 0 without a dictionary; both forms share a workspace. */
	const ZSTD_CDict *cdict;
	const ZSTD_DDict *ddict;
	char *dict_space;
	size_t dict_space_size;
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
 * Parameters of the digested dictionary, which are also those of every call that uses it. The
 * library takes those for inputs as long as dictionary and unit together. With its fast strategy,
 * that is level 1 and below, these look for matches that are too long for pages: then those for
 * small inputs are taken, with a window that reaches back to the dictionary. Headers of C in 4 KiB,
 * level 1, 64 KiB of dictionary: ratio 3.81 instead of 3.65, and 3.30 without a dictionary.
 *
 * The strategies in the middle look matches up in rows of a hash table, and leave chains alone. The
 * library's tables, four times as large, find next to nothing more in so few bytes (64 KiB, level 8,
 * 110 KiB of dictionary: ratio 2.954 and 2.952), and are copied for each unit.
 */
static ZSTD_compressionParameters dict_cparams(const struct zcomp_params *params)
{
	ZSTD_compressionParameters cparams =
		ZSTD_getCParams(params->level, params->unit, params->dict_size);
	const unsigned window_log = cparams.windowLog;

	if (cparams.strategy == ZSTD_fast) {
		cparams = ZSTD_getCParams(params->level, SMALL_INPUT, 0);
		cparams.windowLog = window_log;
		if (params->unit <= SMALL_UNIT && params->dict_size <= SMALL_INPUT + SMALL_UNIT &&
		    cparams.hashLog > SMALL_HASH_LOG)
			cparams.hashLog = SMALL_HASH_LOG;
	}
	if (cparams.strategy >= ZSTD_greedy && cparams.strategy <= ZSTD_lazy2) {
		if (cparams.hashLog > ROW_HASH_LOG)
			cparams.hashLog = ROW_HASH_LOG;
		if (cparams.chainLog > ROW_HASH_LOG - 1)
			cparams.chainLog = ROW_HASH_LOG - 1;
	}
	return cparams;
}

/*
 * The library picks its parameters by one table for inputs up to 16 KiB and by others above, and
 * none needs more space than the others at every level: take the largest.
 */
static size_t cctx_size(const struct zcomp_params *params)
{
	const size_t sizes[] = { params->unit < SMALL_INPUT ? params->unit : SMALL_INPUT,
				 params->unit };
	size_t most = params->dict ? ZSTD_estimateCCtxSize_usingCParams(dict_cparams(params)) : 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ZSTD_compressionParameters cparams =
			ZSTD_getCParams(params->level, sizes[i], params->dict_size);
		size_t size = ZSTD_estimateCCtxSize_usingCParams(cparams);

		if (size > most)
			most = size;
	}
	return round_up_line(most);
}

static void zstd_release_params(struct zcomp_params *params)
{
	struct zstd_shared *shared = params->drv_data;

	params->host->unmap(shared->dict_space, shared->dict_space_size);
	params->host->free(shared);
	params->drv_data = NULL;
}

/*
 * Not by ZSTD_createCDict_advanced(): version 1.5.4 follows a null pointer when its allocation
 * fails. In a workspace that is large enough, only the dictionary itself can be at fault.
 */
static int load_dict(const struct zcomp_params *params, struct zstd_shared *shared)
{
	ZSTD_compressionParameters cparams = dict_cparams(params);
	size_t cdict_size = params->decode_only
				    ? 0
				    : round_up_line(ZSTD_estimateCDictSize_advanced(
					      params->dict_size, cparams, ZSTD_dlm_byRef));
	size_t ddict_size = ZSTD_estimateDDictSize(params->dict_size, ZSTD_dlm_byRef);

	shared->dict_space_size = cdict_size + ddict_size;
	shared->dict_space = params->host->map(shared->dict_space_size);
	if (!shared->dict_space)
		return -ENOMEM;
	if (cdict_size > 0)
		shared->cdict = ZSTD_initStaticCDict(shared->dict_space, cdict_size, params->dict,
						     params->dict_size, ZSTD_dlm_byRef,
						     ZSTD_dct_auto, cparams);
	shared->ddict =
		ZSTD_initStaticDDict(shared->dict_space + cdict_size, ddict_size, params->dict,
				     params->dict_size, ZSTD_dlm_byRef, ZSTD_dct_auto);
	return (shared->cdict || cdict_size == 0) && shared->ddict ? 0 : -EINVAL;
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
	shared->cctx_size = params->decode_only ? 0 : cctx_size(params);
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

	for (size_t i = 0; zctx->cctx && i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (ZSTD_isError(
			    ZSTD_CCtx_setParameter(zctx->cctx, wanted[i].which, wanted[i].value)))
			return -EINVAL;
	}
	if (ZSTD_isError(ZSTD_DCtx_setParameter(zctx->dctx, ZSTD_d_format, ZSTD_f_zstd1_magicless)))
		return -EINVAL;
	if (shared->cdict && ZSTD_isError(ZSTD_CCtx_refCDict(zctx->cctx, shared->cdict)))
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
	if (!params->decode_only)
		zctx->cctx = ZSTD_initStaticCCtx((char *)zctx + head, shared->cctx_size);
	zctx->dctx =
		ZSTD_initStaticDCtx((char *)zctx + head + shared->cctx_size, shared->dctx_size);
	error = (zctx->cctx || params->decode_only) && zctx->dctx
			? zstd_set_parameters(params, zctx)
			: -EINVAL;
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

/*
 * Whether the frame that begins here is one of ours and ends exactly at the end (RFC 8878, 3.1.1):
 * a descriptor that announces nothing, the window's size, and blocks with 3-byte headers up to the
 * one marked as the last.
 *
 * The library would take trailing bytes for another frame and read 4 of them even when there are
 * fewer, if there is no magic number to look for (seen in 1.5.4). And a damaged descriptor could
 * make it a frame of another kind.
 */
static bool is_whole_frame(const uint8_t *src, size_t len)
{
	size_t at = FRAME_HEADER_SIZE;
	bool last = false;

	if (len < FRAME_HEADER_SIZE || src[0] != FRAME_DESCRIPTOR)
		return false;
	while (!last) {
		uint32_t header, size;

		if (len - at < BLOCK_HEADER_SIZE)
			return false;
		header = src[at] | (uint32_t)src[at + 1] << 8 | (uint32_t)src[at + 2] << 16;
		last = header & 1;
		size = (header >> 1 & 3) == BLOCK_RLE ? 1 : header >> 3;
		at += BLOCK_HEADER_SIZE;
		if (size > len - at)
			return false;
		at += size;
	}
	return at == len;
}

static int zstd_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
			   struct zcomp_req *req)
{
	const struct zstd_shared *shared = params->drv_data;
	struct zstd_ctx *zctx = strm->ctx.context;
	size_t ret;

	if (!is_whole_frame(req->src, req->src_len))
		return -EBADMSG;
	/* The context may have been made for another dictionary. */
	ret = ZSTD_decompress_usingDDict(zctx->dctx, req->dst, req->dst_cap, req->src, req->src_len,
					 shared->ddict);
	if (ZSTD_isError(ret))
		return -EBADMSG;
	req->dst_len = ret;
	return 0;
}

const struct zcomp_ops backend_zstd = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = BACKEND_NAME("zstd"),
	.level_min = ZSTD_LEVEL_MIN,
	.level_max = ZSTD_LEVEL_MAX,
	.level_default = ZSTD_LEVEL_DEFAULT,
	.dict_max = BACKEND_ZSTD_DICT_MAX,
	.setup_params = zstd_setup_params,
	.release_params = zstd_release_params,
	.create_ctx = zstd_create_ctx,
	.destroy_ctx = zstd_destroy_ctx,
	.compress = zstd_compress,
	.decompress = zstd_decompress,
	.decoders_share = true,
};

BACKEND_MODULE(backend_zstd)
