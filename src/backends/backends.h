/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backends.h - the tables of the built-in backends; each stands in the file of its name.
 *
 * The same sources make modules, with ZCOMP_BUILD_MODULE defined: their names end in "-module", so
 * that they hide nothing that is built in.
 */
#ifndef ZT_BACKENDS_BACKENDS_H
#define ZT_BACKENDS_BACKENDS_H

#include "ztmpfs/zcomp.h"

/* A module that takes others in as parts exports its own table alone. */
#if defined(ZCOMP_BUILD_MODULE) && defined(BACKEND_PARTS)
#define BACKEND_NAME(name) name "-module"
#define BACKEND_MODULE(ops)
#elif defined(ZCOMP_BUILD_MODULE)
#define BACKEND_NAME(name)  name "-module"
#define BACKEND_MODULE(ops) ZCOMP_MODULE(ops)
#else
#define BACKEND_NAME(name) name
#define BACKEND_MODULE(ops)
#endif

extern const struct zcomp_ops backend_auto;
extern const struct zcomp_ops backend_lz4;
extern const struct zcomp_ops backend_lz4hc;
extern const struct zcomp_ops backend_zstd;
extern const struct zcomp_ops backend_null;
extern const struct zcomp_ops backend_accel;

/* What zstd takes, and what has it as a part. */
#define BACKEND_ZSTD_DICT_MAX (1024u * 1024u)

/*
 * A dictionary in zstd's format of what small files of many kinds have in common: words.c. It never
 * changes: mounts and images that were made with it need these bytes.
 */
extern const unsigned char backend_words[];
extern const size_t backend_words_size;

/* Bytes of an error's name. */
#define BACKEND_TRAIN_ERROR 64

/**
 * backend_train_dict() - make a dictionary out of samples
 * @samples: one behind the other; @sizes are theirs, in bytes
 * @segment: bytes of a piece of the dictionary; 0: try several
 * @error_name: out on error: what the trainer calls it
 * Return: 0 (then @out_size bytes are at @dict, at most @capacity), -ENODATA too few samples,
 *         -ENOMEM, -EINVAL.
 */
int backend_train_dict(void *dict, size_t capacity, const void *samples, const size_t *sizes,
		       unsigned nr_samples, unsigned segment, char error_name[BACKEND_TRAIN_ERROR],
		       size_t *out_size);

#endif
