/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sizes.h - the units of this program, and tmpfs's way to write a size.
 */
#ifndef ZT_UTIL_SIZES_H
#define ZT_UTIL_SIZES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"

/* A page is 4 KiB of file content on every machine: it is part of the stored layout. */
#define ZT_PAGE_SHIFT 12
#define ZT_PAGE_SIZE  (1u << ZT_PAGE_SHIFT)

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* Largest offset of a file: 8 EiB - 1, as loff_t has it. */
#define ZT_MAX_FILE_SIZE INT64_MAX

static inline uint64_t round_up_u64(uint64_t x, uint64_t multiple)
{
	return (x + multiple - 1) / multiple * multiple;
}

static inline uint64_t div_round_up_u64(uint64_t x, uint64_t d)
{
	return x / d + (x % d != 0);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/**
 * size_parse() - read a size as tmpfs does
 * @text:      digits with an optional suffix k, m, g, t, p or e (any case, powers of 1024) or %
 * @whole:     what 100% means, in the caller's unit; 0: % is not allowed
 * @out_value: set on success only
 *
 * The whole text must be a size: no blanks, no sign, no rest.
 *
 * Context: any thread; no locks.
 * Return:  0, -EINVAL when it is no such size, -ERANGE when it does not fit 64 bits.
 */
int size_parse(const char *text, uint64_t whole, uint64_t *out_value) ZT_MUST_CHECK;

#endif
