// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * train.c - dictionaries out of samples, by zstd's trainer. No locks; it allocates by itself.
 */
#define ZDICT_STATIC_LINKING_ONLY /* the trainer with tables of our size */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zdict.h>
#include <zstd_errors.h>

#include "backends/backends.h"

/*
 * The parameters of ZDICT_trainFromBuffer(), but for tables of 2^18 words instead of 2^20: a mount
 * that trains by itself may hold less than the 16 MiB that those take, and a few MiB of samples need
 * no more.
 */
#define TRAIN_D     8
#define TRAIN_F     18
#define TRAIN_STEPS 4

int backend_train_dict(void *dict, size_t capacity, const void *samples, const size_t *sizes,
		       unsigned nr_samples, unsigned segment, char error_name[BACKEND_TRAIN_ERROR],
		       size_t *out_size)
{
	ZDICT_fastCover_params_t params;
	size_t res;

	memset(&params, 0, sizeof(params));
	params.k = segment;
	params.d = TRAIN_D;
	params.f = TRAIN_F;
	params.steps = TRAIN_STEPS;
	params.accel = 1;
	res = segment ? ZDICT_trainFromBuffer_fastCover(dict, capacity, samples, sizes, nr_samples,
							params)
		      : ZDICT_optimizeTrainFromBuffer_fastCover(dict, capacity, samples, sizes,
								nr_samples, &params);
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
