/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * word.h - the 8-byte state word of one cluster (and of one page inside a cluster map).
 *
 *   kind       bits 0..2
 *   HOLE       the whole word is 0: never written, or punched
 *   SAME       one repeated value; every byte of the cluster (page) is present. Bit 3 set: a 4-byte
 *              value in bits 4..35; otherwise an 8-byte one, sign-extended from bits 4..63
 *   ZERO       pages that are present and all zero; bits 3..34: one bit per page
 *   OBJ        an object in the data pool: ref (38 bits), codec (4), length - 1 (17), two flags
 *   MAP        a cluster map in the metadata pool: ref (38 bits)
 *   SHARED     as OBJ, but several slots name the object: ref is that of a share record
 *              (slots.h) in the metadata pool, whose word says where the object is and how it
 *              is coded; length and flags are the slot's own. If the record is a pack's (pack.h)
 *              the object holds several files, and codec says which of them the slot has
 *
 *   SPILLED    as OBJ, but the object stands in the spill file: where ref stands, the number of its
 *              entry (spill/table.h), and a bit that is 0. Only slots have such words, never cluster
 *              maps or records
 *
 * length is how many bytes of the cluster the object stands for: bytes behind it read as zero.
 * CUT says that truncation has shortened it, so that the object decodes to more. SPARSE says that
 * some pages below length are holes: the object begins with 4 bytes, one bit per present page.
 * codec: how the object is stored, and what was tried with it; see below.
 */
#ifndef ZT_BLKMAP_SLOT_WORD_H
#define ZT_BLKMAP_SLOT_WORD_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena/arena.h"
#include "util/sizes.h"
#include "ztmpfs/zcomp.h"

enum slot_kind {
	SLOT_HOLE,
	SLOT_SAME,
	SLOT_ZERO,
	SLOT_OBJ,
	SLOT_MAP,
	SLOT_SHARED,
	SLOT_SPILLED = 7
};
/* 6 is TREE_KIND (tree.h): it stands where a file's only slot would, and leads to many. */

#define SLOT_KIND_BITS    3u
#define SLOT_CODEC_SHIFT  (SLOT_KIND_BITS + ARENA_REF_BITS)
#define SLOT_CODEC_BITS   4u
#define SLOT_LENGTH_SHIFT (SLOT_CODEC_SHIFT + SLOT_CODEC_BITS)
#define SLOT_LENGTH_BITS  17u
#define SLOT_SPARSE       (UINT64_C(1) << 62)
#define SLOT_CUT          (UINT64_C(1) << 63)
static_assert(SLOT_LENGTH_SHIFT + SLOT_LENGTH_BITS == 62, "a slot is 64 bits");
static_assert(ZCOMP_MAX_UNIT == 1u << SLOT_LENGTH_BITS, "a length fits a slot");

/*
 * Codec numbers. Each has a decoder (codecs.c); several may have the same one, since the number
 * also says what was tried: "kept" is what recompression could not make smaller, and leaves alone
 * until it is written again.
 */
#define SLOT_CODEC_RAW       0u
#define SLOT_CODEC_MAIN      1u /* the mount's compress= */
#define SLOT_CODEC_MAIN_KEPT 2u
#define SLOT_CODEC_RAW_KEPT  3u
#define SLOT_CODEC_IDLE      4u /* the mount's recompress= */
#define SLOT_CODEC_FILE      5u /* to 7: algorithms that files ask for by their settings */
#define SLOT_CODEC_NR_FILE   3u
#define SLOT_CODEC_DICT      8u /* to 15: recompress= with a dictionary, by version */
#define SLOT_CODEC_NR_DICT   8u
#define SLOT_NR_CODECS       (1u << SLOT_CODEC_BITS)
static_assert(SLOT_CODEC_DICT + SLOT_CODEC_NR_DICT == SLOT_NR_CODECS, "all numbers have a use");

#define SLOT_REF_MASK    (((UINT64_C(1) << ARENA_REF_BITS) - 1) << SLOT_KIND_BITS)
#define SLOT_CODEC_MASK  (((UINT64_C(1) << SLOT_CODEC_BITS) - 1) << SLOT_CODEC_SHIFT)
#define SLOT_LENGTH_MASK (((UINT64_C(1) << SLOT_LENGTH_BITS) - 1) << SLOT_LENGTH_SHIFT)

/* Bytes in front of a sparse object's data: its page mask. */
#define SLOT_SPARSE_PREFIX 4u

static inline enum slot_kind slot_kind(uint64_t word)
{
	return (enum slot_kind)(word & ((1u << SLOT_KIND_BITS) - 1));
}

static inline ref_t slot_ref(uint64_t word)
{
	return (word & SLOT_REF_MASK) >> SLOT_KIND_BITS;
}

static inline uint64_t slot_with_ref(uint64_t word, ref_t ref)
{
	return (word & ~SLOT_REF_MASK) | ref << SLOT_KIND_BITS;
}

static inline unsigned slot_codec(uint64_t word)
{
	return (word >> SLOT_CODEC_SHIFT) & ((1u << SLOT_CODEC_BITS) - 1);
}

/* Whether recompression has made the object of an OBJ word. */
static inline bool slot_is_recompressed(uint64_t word)
{
	return slot_codec(word) == SLOT_CODEC_IDLE || slot_codec(word) >= SLOT_CODEC_DICT;
}

static inline bool slot_is_raw(uint64_t word)
{
	return slot_codec(word) == SLOT_CODEC_RAW || slot_codec(word) == SLOT_CODEC_RAW_KEPT;
}

static inline uint64_t slot_with_codec(uint64_t word, unsigned codec)
{
	uint64_t mask = ((UINT64_C(1) << SLOT_CODEC_BITS) - 1) << SLOT_CODEC_SHIFT;

	return (word & ~mask) | (uint64_t)codec << SLOT_CODEC_SHIFT;
}

static inline uint32_t slot_length(uint64_t word)
{
	return (uint32_t)((word & SLOT_LENGTH_MASK) >> SLOT_LENGTH_SHIFT) + 1;
}

static inline uint64_t slot_with_length(uint64_t word, uint32_t length)
{
	return (word & ~SLOT_LENGTH_MASK) | (uint64_t)(length - 1) << SLOT_LENGTH_SHIFT;
}

static inline uint64_t slot_make_obj(unsigned codec, uint32_t length, bool sparse)
{
	return SLOT_OBJ | (uint64_t)codec << SLOT_CODEC_SHIFT |
	       (uint64_t)(length - 1) << SLOT_LENGTH_SHIFT | (sparse ? SLOT_SPARSE : 0);
}

static inline uint64_t slot_make_map(ref_t ref)
{
	return SLOT_MAP | ref << SLOT_KIND_BITS;
}

/* The word of a slot that shares what @obj (OBJ or SHARED) stands for, by the record @rec. */
static inline uint64_t slot_make_shared(uint64_t obj, ref_t rec)
{
	return slot_with_ref(obj & ~(uint64_t)((1u << SLOT_KIND_BITS) - 1), rec) | SLOT_SHARED;
}

/* The OBJ word that a SHARED one stands for, while its record's word is @obj. */
static inline uint64_t slot_resolve(uint64_t shared, uint64_t obj)
{
	const uint64_t theirs = SLOT_REF_MASK | SLOT_CODEC_MASK;

	return (shared & ~(theirs | ((1u << SLOT_KIND_BITS) - 1))) | (obj & theirs) | SLOT_OBJ;
}

/* The word of a slot whose object, of the OBJ word @obj, is out as @id; and back. */
static inline uint64_t slot_make_spilled(uint64_t obj, uint32_t id)
{
	return slot_with_ref(obj & ~(uint64_t)((1u << SLOT_KIND_BITS) - 1), id) | SLOT_SPILLED;
}

static inline uint32_t slot_spilled_id(uint64_t word)
{
	return (uint32_t)slot_ref(word);
}

/* Without its ref. */
static inline uint64_t slot_unspilled(uint64_t word)
{
	return slot_with_ref(word & ~(uint64_t)((1u << SLOT_KIND_BITS) - 1), 0) | SLOT_OBJ;
}

static inline uint64_t slot_make_zero(uint32_t mask)
{
	return mask ? SLOT_ZERO | (uint64_t)mask << SLOT_KIND_BITS : 0;
}

static inline uint32_t slot_zero_mask(uint64_t word)
{
	return (uint32_t)(word >> SLOT_KIND_BITS);
}

#define SLOT_SAME_SHORT (1u << SLOT_KIND_BITS)
#define SLOT_SAME_SHIFT (SLOT_KIND_BITS + 1)

/* An 8-byte word of two equal halves. */
static inline bool slot_same_is_short(uint64_t value)
{
	return (uint32_t)value == value >> 32;
}

/* Whether a repeated word fits a slot: two equal halves, or 60 bits, sign-extended. */
static inline bool slot_same_fits(uint64_t value)
{
	return slot_same_is_short(value) ||
	       (uint64_t)((int64_t)(value << SLOT_SAME_SHIFT) >> SLOT_SAME_SHIFT) == value;
}

static inline uint64_t slot_make_same(uint64_t value)
{
	if (slot_same_is_short(value))
		return SLOT_SAME | SLOT_SAME_SHORT | (uint64_t)(uint32_t)value << SLOT_SAME_SHIFT;
	return SLOT_SAME | value << SLOT_SAME_SHIFT;
}

static inline uint64_t slot_same_value(uint64_t word)
{
	uint64_t half = (uint32_t)(word >> SLOT_SAME_SHIFT);

	if (word & SLOT_SAME_SHORT)
		return half << 32 | half;
	return (uint64_t)((int64_t)word >> SLOT_SAME_SHIFT);
}

/* Mask of the pages that @length bytes from the front touch. */
static inline uint32_t pages_mask(uint32_t length)
{
	uint32_t nr_pages = (length + ZT_PAGE_SIZE - 1) >> ZT_PAGE_SHIFT;

	return nr_pages >= 32 ? UINT32_MAX : (1u << nr_pages) - 1;
}

/* Mask of the pages that bytes @from to @to touch; @from is inside a cluster. */
static inline uint32_t pages_mask_range(uint32_t from, uint32_t to)
{
	return pages_mask(to) & ~((1u << (from >> ZT_PAGE_SHIFT)) - 1);
}

#endif
