/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sample.h - pieces of real files, evenly spread, for the subcommands that need data.
 */
#ifndef ZT_CTL_SAMPLE_H
#define ZT_CTL_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"

#define SAMPLE_ERROR_TEXT 512

/* Pieces one behind the other. */
struct samples {
	char *data;
	size_t size; /* bytes of all */
	size_t *sizes; /* bytes of each */
	size_t nr;
	uint64_t nr_files; /* that were found */
	uint64_t found; /* bytes in them */
	uint64_t nr_unread; /* files and folders that could not be read, or were gone */
};

struct sample_params {
	char *const *
		paths; /* files, and folders with all below them on the same filesystem; NULL at the end */
	size_t piece; /* bytes of a piece, but at the ends of files */
	uint64_t limit; /* bytes of all pieces, reached within some pieces; at least one is read */
	bool skip_same; /* leave out pieces of one repeated 8-byte value: nothing compresses them */
};

/**
 * samples_read() - read pieces, evenly spread over all files, in the order of their names
 * @error_text: out on error: one sentence
 *
 * Context: one thread at a time. Return: 0, -ENOENT a path that does not exist, -ENODATA nothing
 * in them, -ENOMEM.
 */
int samples_read(const struct sample_params *params, char error_text[SAMPLE_ERROR_TEXT],
		 struct samples *out_samples) ZT_MUST_CHECK;

/** samples_free() - one that was never filled, but zeroed, is fine */
void samples_free(struct samples *samples);

/** sample_is_same() - whether @len bytes are one repeated 8-byte value */
bool sample_is_same(const char *data, size_t len);

#endif
