// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lzo.c - LZO1X for ztmpfs, by liblzo2: what zram calls "lzo".
 *
 * Level 1 is lzo1x-1, which is what zram has. 2 to 4 are the library's lzo1x-1(11), -1(12) and
 * -1(15): the same with a smaller or larger table. 5 is lzo1x-999, slow and small. All of them
 * decode alike. zram's "lzo-rle" is a stream of its own that the library neither writes nor reads.
 *
 * The library does not look where its output ends. So a call whose room is less than the worst case
 * compresses into its context, and copies.
 *
 * Locks: none. All state of a call is in its context.
 */
#include <errno.h>
#include <string.h>

#include <lzo/lzo1x.h>

#include "ztmpfs/zcomp.h"

#define LEVEL_MAX 5

typedef int (*compress_fn)(const lzo_bytep src, lzo_uint src_len, lzo_bytep dst, lzo_uintp dst_len,
			   lzo_voidp work);

static const struct {
	compress_fn compress;
	size_t work; /* bytes */
} levels[LEVEL_MAX + 1] = {
	[1] = { lzo1x_1_compress, LZO1X_1_MEM_COMPRESS },
	[2] = { lzo1x_1_11_compress, LZO1X_1_11_MEM_COMPRESS },
	[3] = { lzo1x_1_12_compress, LZO1X_1_12_MEM_COMPRESS },
	[4] = { lzo1x_1_15_compress, LZO1X_1_15_MEM_COMPRESS },
	[5] = { lzo1x_999_compress, LZO1X_999_MEM_COMPRESS },
};

/* The library's own figure. */
static size_t worst_case(size_t len)
{
	return len + len / 16 + 64 + 3;
}

static size_t context_size(const struct zcomp_params *params)
{
	return levels[params->level].work + worst_case(params->unit);
}

static int lzo_setup_params(struct zcomp_params *params, struct zcomp_caps *caps)
{
	(void)caps;
	if (params->level < 1 || params->level > LEVEL_MAX || lzo_init() != LZO_E_OK)
		return -EINVAL;
	return 0;
}

static void lzo_release_params(struct zcomp_params *params)
{
	(void)params;
}

/* The table, then room for one output. */
static int lzo_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	void *context = NULL;

	if (!params->decode_only) {
		context = params->host->map(context_size(params));
		if (!context)
			return -ENOMEM;
	}
	ctx->context = context;
	return 0;
}

static void lzo_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	if (ctx->context)
		params->host->unmap(ctx->context, context_size(params));
	ctx->context = NULL;
}

static int lzo_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			struct zcomp_req *req)
{
	const bool fits = req->dst_cap >= worst_case(req->src_len);
	char *work = strm->ctx.context;
	void *dst = fits ? req->dst : work + levels[params->level].work;
	lzo_uint len = 0;

	if (levels[params->level].compress(req->src, req->src_len, dst, &len, work) != LZO_E_OK)
		return -EIO;
	if (len > req->dst_cap)
		return -ENOSPC;
	if (!fits)
		memcpy(req->dst, dst, len);
	req->dst_len = len;
	return 0;
}

/* The "safe" one looks where both ends are. */
static int lzo_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
			  struct zcomp_req *req)
{
	lzo_uint len = req->dst_cap;

	(void)params;
	(void)strm;
	if (lzo1x_decompress_safe(req->src, req->src_len, req->dst, &len, NULL) != LZO_E_OK)
		return -EBADMSG;
	req->dst_len = len;
	return 0;
}

static const struct zcomp_ops lzo_ops = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = "lzo",
	.level_min = 1,
	.level_max = LEVEL_MAX,
	.level_default = 1,
	.setup_params = lzo_setup_params,
	.release_params = lzo_release_params,
	.create_ctx = lzo_create_ctx,
	.destroy_ctx = lzo_destroy_ctx,
	.compress = lzo_compress,
	.decompress = lzo_decompress,
};

ZCOMP_MODULE(lzo_ops)
