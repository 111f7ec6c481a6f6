// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * train.c - dictionaries out of samples, by zstd's trainer. No locks; it allocates by itself.
 */
#include <errno.h>
#include <stdio.h>
#include <zdict.h>
#include <zstd_errors.h>

#include "backends/backends.h"

int backend_train_dict(void *dict, size_t capacity, const void *samples, const size_t *sizes,
		       unsigned nr_samples, char error_name[BACKEND_TRAIN_ERROR], size_t *out_size)
{
	const size_t res = ZDICT_trainFromBuffer(dict, capacity, samples, sizes, nr_samples);

	if (!ZDICT_isError(res)) {
		*out_size = res;
		return 0;
	}
	snprintf(error_name, BACKEND_TRAIN_ERROR, "%s", ZDICT_getErrorName(res));
	switch (ZSTD_getErrorCode(res)) {
	case ZSTD_error_srcSize_wrong:
	case ZSTD_error_dictionaryCreation_failed:
		return -ENODATA;
	case ZSTD_error_memory_allocation:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
}
