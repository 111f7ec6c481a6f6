// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dict.c - dictionaries: bytes that a codec knows before it begins. No locks.
 */
#include "zcomp/dict.h"

#include <errno.h>
#include <stdio.h>

#include "backends/backends.h"

int zcomp_dict_train(const void *samples, const size_t *sizes, unsigned nr_samples, void *dict,
		     size_t capacity, unsigned segment, char error_text[ZCOMP_ERROR_TEXT],
		     size_t *out_size)
{
	char name[BACKEND_TRAIN_ERROR];
	int error;

	if (capacity < ZCOMP_DICT_MIN || capacity > ZCOMP_DICT_MAX) {
		snprintf(error_text, ZCOMP_ERROR_TEXT,
			 "dictionary of %zu bytes: out of range %u..%u", capacity, ZCOMP_DICT_MIN,
			 ZCOMP_DICT_MAX);
		return -EINVAL;
	}
	error = backend_train_dict(dict, capacity, samples, sizes, nr_samples, segment, name,
				   out_size);
	if (error)
		snprintf(error_text, ZCOMP_ERROR_TEXT,
			 "no dictionary out of %u samples: %s; more and larger files may help",
			 nr_samples, name);
	return error;
}

const void *zcomp_dict_words(size_t *out_size)
{
	*out_size = backend_words_size;
	return backend_words;
}
