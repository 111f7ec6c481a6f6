/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bitmap.h - bits in arrays of 64-bit words: the slots and pages of a zspage. No locks of its own.
 */
#ifndef ZT_ZSMALLOC_BITMAP_H
#define ZT_ZSMALLOC_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

#define BITMAP_WORDS(nr_bits) (((nr_bits) + 63) / 64)

static inline bool bitmap_test(const uint64_t *bits, uint32_t nr)
{
	return bits[nr / 64] >> (nr % 64) & 1;
}

static inline void bitmap_set(uint64_t *bits, uint32_t nr)
{
	bits[nr / 64] |= UINT64_C(1) << (nr % 64);
}

static inline void bitmap_clear(uint64_t *bits, uint32_t nr)
{
	bits[nr / 64] &= ~(UINT64_C(1) << (nr % 64));
}

/* The first bit at or behind @from that is @value; @end when there is none below it. */
static inline uint32_t bitmap_find(const uint64_t *bits, bool value, uint32_t from, uint32_t end)
{
	while (from < end) {
		uint64_t word = (value ? bits[from / 64] : ~bits[from / 64]) >> (from % 64);

		if (word != 0) {
			from += (uint32_t)__builtin_ctzll(word);
			break;
		}
		from = (from / 64 + 1) * 64;
	}
	return from < end ? from : end;
}

/* Whether any bit of @first..@last, both included, is set. */
static inline bool bitmap_any(const uint64_t *bits, uint32_t first, uint32_t last)
{
	return bitmap_find(bits, true, first, last + 1) <= last;
}

#endif
