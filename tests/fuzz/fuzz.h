/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz.h - what the fuzz targets share: an input that is taken from its front.
 *
 * A target is one function. With --enable-fuzzing libFuzzer calls it, else replay.c does, with the inputs that are
 * kept in tests/fuzz/corpus, as part of `make check`. A target ends the process when something is wrong.
 */
#ifndef ZT_TESTS_FUZZ_FUZZ_H
#define ZT_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is wrong, and the end: libFuzzer keeps the input. */
#define FUZZ_EXPECT(holds, what)                                                                   \
	do {                                                                                       \
		if (!(holds)) {                                                                    \
			fprintf(stderr, "fuzz: %s\n", what);                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct fuzz_input {
	const uint8_t *data;
	size_t left;
};

/* The next byte; 0 behind the end, so that an input that is cut goes on quietly. */
static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->data++;
}

/* The next @len bytes; zeros behind the end. */
static inline void fuzz_bytes(struct fuzz_input *in, void *dst, size_t len)
{
	size_t have = len < in->left ? len : in->left;

	memcpy(dst, in->data, have);
	memset((char *)dst + have, 0, len - have);
	in->data += have;
	in->left -= have;
}

/* All that is left as a text of its own, in memory of exactly its size; the caller frees it. */
static inline char *fuzz_text(struct fuzz_input *in)
{
	char *text = malloc(in->left + 1);

	FUZZ_EXPECT(text, "no memory");
	memcpy(text, in->data, in->left);
	text[in->left] = '\0';
	return text;
}

#endif
