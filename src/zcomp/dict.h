/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dict.h - dictionaries: bytes that a codec knows before it begins.
 */
#ifndef ZT_ZCOMP_DICT_H
#define ZT_ZCOMP_DICT_H

#include <stddef.h>

#include "util/compiler.h"
#include "zcomp/zcomp.h"

/* The trainer's least; every algorithm here takes this much and more. */
#define ZCOMP_DICT_MIN 256u
/* What zstd takes. */
#define ZCOMP_DICT_MAX (1024u * 1024u)
/* What every algorithm here takes. */
#define ZCOMP_DICT_SIZE (64u * 1024u)

/*
 * Bytes of the pieces that a dictionary is put together from, where there is no time to try several. From
 * 200 to 1,024 they make the same of it within 0.3 %, for files of 300 to 1,500 bytes as for
 * clusters of 64 KiB; of the shortest that would be tried, 50, there are at times too few.
 */
#define ZCOMP_DICT_SEGMENT 256u

/**
 * zcomp_dict_train() - make a dictionary out of samples
 * @samples: @nr_samples pieces one behind the other, of @sizes bytes, each as long as a cluster
 * @capacity: bytes at @dict, ZCOMP_DICT_MIN..ZCOMP_DICT_MAX; a hundred times as much of samples is
 *            a good measure
 * @segment: bytes of a piece, 8 to @capacity; 0: several are tried, which takes some times as long
 * @error_text: out on error: one sentence
 * @out_size: bytes written; at most @capacity
 *
 * What it makes is in zstd's format: a head with tables for zstd, then the bytes that occur most,
 * the best ones last. Codecs that know no such format take it as plain bytes.
 *
 * Context: any thread; takes seconds.
 * Return: 0, -ENODATA too few samples or all of them unlike, -ENOMEM, -EINVAL.
 */
int zcomp_dict_train(const void *samples, const size_t *sizes, unsigned nr_samples, void *dict,
		     size_t capacity, unsigned segment, char error_text[ZCOMP_ERROR_TEXT],
		     size_t *out_size) ZT_MUST_CHECK;

/** zcomp_dict_words() - the built-in dictionary, for small files; static, and always the same bytes */
const void *zcomp_dict_words(size_t *out_size);

#endif
