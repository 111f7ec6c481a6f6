// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * auto.c - LZ4, but Zstandard where there is little: a small file, or the end of a larger one.
 *
 * What a request costs beside its bytes hides what Zstandard takes longer for so few, and in so few
 * it saves most: LZ4 finds little to repeat, and entropy coding does not need it. Whole pages are
 * LZ4's: they come one by one when files are written at random, where each microsecond counts.
 *
 * An object tells by its first byte which of the two it is. All frames of zstd.c begin with 0. No
 * block of LZ4 does: its first byte counts literals in its upper half, and a block without a
 * dictionary begins with at least one, since there is nothing yet that a match could repeat. So a
 * dictionary is for Zstandard alone, where it helps most: what is little repeats little of itself.
 *
 * Shared by all streams: what the two others share, and their parameters; immutable after set-up. A
 * stream's context is one of each. No locks; no allocation in a call.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "backends/backends.h"

#define PAGE 4096u

/* Up to so many bytes are little, unless they are whole pages. */
#define LITTLE_MAX (2 * PAGE)

#define ZSTD_LEVEL 1

/* Of zstd.c; see there. */
#define ZSTD_FIRST_BYTE 0

struct auto_shared {
	struct zcomp_params lz4, zstd;
};

struct auto_ctx {
	struct zcomp_ctx lz4, zstd;
};

static bool is_little(size_t len)
{
	return len <= LITTLE_MAX && len % PAGE != 0;
}

static void auto_release_params(struct zcomp_params *params)
{
	struct auto_shared *shared = params->drv_data;

	backend_zstd.release_params(&shared->zstd);
	backend_lz4.release_params(&shared->lz4);
	params->host->free(shared);
	params->drv_data = NULL;
}

static int auto_setup_params(struct zcomp_params *params, struct zcomp_caps *caps)
{
	struct auto_shared *shared = params->host->alloc(sizeof(*shared));
	int error;

	if (!shared)
		return -ENOMEM;
	shared->lz4 = *params;
	shared->lz4.dict = NULL;
	shared->lz4.dict_size = 0;
	shared->zstd = *params;
	shared->zstd.level = ZSTD_LEVEL;
	if (shared->zstd.unit > LITTLE_MAX)
		shared->zstd.unit = LITTLE_MAX;
	error = backend_lz4.setup_params(&shared->lz4, caps);
	if (error)
		goto err_free;
	error = backend_zstd.setup_params(&shared->zstd, caps);
	if (error)
		goto err_lz4;
	params->drv_data = shared;
	return 0;

err_lz4:
	backend_lz4.release_params(&shared->lz4);
err_free:
	params->host->free(shared);
	return error;
}

static int auto_create_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	const struct auto_shared *shared = params->drv_data;
	struct auto_ctx *both = params->host->alloc(sizeof(*both));
	int error;

	if (!both)
		return -ENOMEM;
	error = backend_lz4.create_ctx(&shared->lz4, &both->lz4);
	if (error)
		goto err_free;
	error = backend_zstd.create_ctx(&shared->zstd, &both->zstd);
	if (error)
		goto err_lz4;
	ctx->context = both;
	return 0;

err_lz4:
	backend_lz4.destroy_ctx(&shared->lz4, &both->lz4);
err_free:
	params->host->free(both);
	return error;
}

static void auto_destroy_ctx(const struct zcomp_params *params, struct zcomp_ctx *ctx)
{
	const struct auto_shared *shared = params->drv_data;
	struct auto_ctx *both = ctx->context;

	backend_zstd.destroy_ctx(&shared->zstd, &both->zstd);
	backend_lz4.destroy_ctx(&shared->lz4, &both->lz4);
	params->host->free(both);
	ctx->context = NULL;
}

/* The stream as one of the two sees it, with the context of that. */
static struct zcomp_strm part_of(const struct zcomp_strm *strm, struct zcomp_ctx ctx)
{
	return (struct zcomp_strm){
		.buffer = strm->buffer,
		.buffer_size = strm->buffer_size,
		.local_copy = strm->local_copy,
		.local_copy_size = strm->local_copy_size,
		.ctx = ctx,
	};
}

static int auto_compress(const struct zcomp_params *params, struct zcomp_strm *strm,
			 struct zcomp_req *req)
{
	const struct auto_shared *shared = params->drv_data;
	const struct auto_ctx *both = strm->ctx.context;
	struct zcomp_strm part;

	if (is_little(req->src_len)) {
		part = part_of(strm, both->zstd);
		return backend_zstd.compress(&shared->zstd, &part, req);
	}
	part = part_of(strm, both->lz4);
	return backend_lz4.compress(&shared->lz4, &part, req);
}

static bool is_zstd(const struct zcomp_req *req)
{
	return *(const unsigned char *)req->src == ZSTD_FIRST_BYTE;
}

static int auto_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
			   struct zcomp_req *req)
{
	const struct auto_shared *shared = params->drv_data;
	const struct auto_ctx *both = strm->ctx.context;
	struct zcomp_strm part;

	if (is_zstd(req)) {
		part = part_of(strm, both->zstd);
		return backend_zstd.decompress(&shared->zstd, &part, req);
	}
	part = part_of(strm, both->lz4);
	return backend_lz4.decompress(&shared->lz4, &part, req);
}

/* A frame is decoded whole, beside the place where only its beginning is wanted. */
static int whole_head(const struct zcomp_params *params, struct zcomp_strm *strm,
		     struct zcomp_req *req)
{
	struct zcomp_req whole = {
		.src = req->src,
		.src_len = req->src_len,
		.dst = strm->local_copy,
		.dst_cap = strm->local_copy_size,
	};
	int error = auto_decompress(params, strm, &whole);

	if (error)
		return error;
	req->dst_len = whole.dst_len < req->dst_cap ? whole.dst_len : req->dst_cap;
	memcpy(req->dst, whole.dst, req->dst_len);
	return 0;
}

static int auto_decompress_head(const struct zcomp_params *params, struct zcomp_strm *strm,
				struct zcomp_req *req)
{
	const struct auto_shared *shared = params->drv_data;
	const struct auto_ctx *both = strm->ctx.context;
	struct zcomp_strm part;

	/* Older libraries of LZ4 cannot stop early either. */
	if (is_zstd(req) || !backend_lz4.decompress_head)
		return whole_head(params, strm, req);
	part = part_of(strm, both->lz4);
	return backend_lz4.decompress_head(&shared->lz4, &part, req);
}

const struct zcomp_ops backend_auto = {
	.abi_version = ZCOMP_ABI_VERSION,
	.struct_size = sizeof(struct zcomp_ops),
	.name = BACKEND_NAME("auto"),
	.level_min = 1,
	.level_max = 65537,
	.level_default = 1,
	.dict_max = BACKEND_ZSTD_DICT_MAX,
	.setup_params = auto_setup_params,
	.release_params = auto_release_params,
	.create_ctx = auto_create_ctx,
	.destroy_ctx = auto_destroy_ctx,
	.compress = auto_compress,
	.decompress = auto_decompress,
	.decompress_head = auto_decompress_head,
};

#ifdef ZCOMP_BUILD_MODULE
ZCOMP_MODULE(backend_auto)
#endif
