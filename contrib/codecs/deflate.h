/* SPDX-License-Identifier: MIT */
/*
 * deflate.h - a request compressed and decompressed by libdeflate, for the modules whose format is a
 * raw deflate stream.
 */
#ifndef ZTMPFS_CODECS_DEFLATE_H
#define ZTMPFS_CODECS_DEFLATE_H

#include <errno.h>
#include <libdeflate.h>
#include "ztmpfs/zcomp.h"

/* Return: 0 or -ENOSPC. */
static inline int deflate_encode(struct libdeflate_compressor *compressor, struct zcomp_req *req)
{
	const size_t len = libdeflate_deflate_compress(compressor, req->src, req->src_len, req->dst,
						       req->dst_cap);

	if (len == 0)
		return -ENOSPC;
	req->dst_len = len;
	return 0;
}

/* What follows the last block would be no output of compress(): it is refused. Return: 0 or -EBADMSG. */
static inline int deflate_decode(struct libdeflate_decompressor *decompressor,
				 struct zcomp_req *req)
{
	size_t used, len;

	if (libdeflate_deflate_decompress_ex(decompressor, req->src, req->src_len, req->dst,
					     req->dst_cap, &used, &len) != LIBDEFLATE_SUCCESS ||
	    used != req->src_len)
		return -EBADMSG;
	req->dst_len = len;
	return 0;
}

#endif
