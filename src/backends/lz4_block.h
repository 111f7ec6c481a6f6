/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lz4_block.h - what the two compressors of the LZ4 block format share: decoder and window.
 */
#ifndef ZT_BACKENDS_LZ4_BLOCK_H
#define ZT_BACKENDS_LZ4_BLOCK_H

#include <errno.h>
#include <limits.h>
#include <lz4.h>

#include "ztmpfs/zcomp.h"

/* Matches reach back 64 KiB, so no more of a dictionary is ever looked at: its last bytes. */
#define LZ4_BLOCK_DICT_MAX 65536u

static inline int lz4_block_size(size_t size)
{
	return size > INT_MAX ? INT_MAX : (int)size;
}

/* The decoder keeps nothing between calls, so the stream's context is not touched. */
static inline int lz4_block_decompress(const struct zcomp_params *params, struct zcomp_strm *strm,
				       struct zcomp_req *req)
{
	int ret;

	(void)strm;
	if (req->src_len > INT_MAX)
		return -EBADMSG;
	ret = LZ4_decompress_safe_usingDict(req->src, req->dst, (int)req->src_len,
					    lz4_block_size(req->dst_cap), params->dict,
					    (int)params->dict_size);
	if (ret < 0)
		return -EBADMSG;
	req->dst_len = (size_t)ret;
	return 0;
}

/* Earlier libraries have no such call for dictionaries. */
#if LZ4_VERSION_NUMBER >= 10904
static inline int lz4_block_decompress_head(const struct zcomp_params *params,
					    struct zcomp_strm *strm, struct zcomp_req *req)
{
	int cap = lz4_block_size(req->dst_cap);
	int ret;

	(void)strm;
	if (req->src_len > INT_MAX)
		return -EBADMSG;
	ret = LZ4_decompress_safe_partial_usingDict(req->src, req->dst, (int)req->src_len, cap, cap,
						    params->dict, (int)params->dict_size);
	if (ret < 0)
		return -EBADMSG;
	req->dst_len = (size_t)ret;
	return 0;
}
#define LZ4_BLOCK_DECOMPRESS_HEAD lz4_block_decompress_head
#else
#define LZ4_BLOCK_DECOMPRESS_HEAD NULL
#endif

#endif
