// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * huge.c - clusters that do not compress: which files have proved so, and what their bytes look like.
 *
 *     a try failed NR_PROOF times in a row --> look at each cluster; tried all the same are
 *         clusters whose bytes are not evenly spread,
 *         each PROBE_EVERYth one, for what repeats itself with evenly spread bytes
 *     a try succeeded, or the file was cut to nothing --> try all
 *
 * The proof is volatile, in a small table by the place of the inode: two files that share an entry
 * take it from each other, and are tried again. No locks: entries are read and written whole,
 * relaxed; what is lost by that is a try.
 */
#include <string.h>

#include "blkmap/cluster/huge.h"

#define NR_PROOF    4u
#define PROBE_EVERY 16u

/*
 * Pieces of a cache line, evenly spread: 16 of a cluster of 4 KiB, 64 of 16 KiB and more. A
 * sixteenth of text is seen (the bound below), and less than that would save less than a 32nd.
 */
#define SAMPLE_PIECE      64u
#define SAMPLE_DIVISOR    256u /* a piece for so many bytes */
#define SAMPLE_MAX_PIECES 64u

/*
 * The sum of squares of how often each byte value comes is n^2/256 + n for evenly spread ones, with
 * a deviation of n/11.3. Four times that more are 7.9 bits of entropy in a byte at n = 1024: no
 * codec could save a 32nd by how often bytes come.
 */
static uint32_t even_squares(uint32_t n)
{
	return n * n / 256 + n + n * 4 * 10 / 113;
}

/* An entry: tag of the file << 16 | clusters left alone since the last try << 8 | failures in a row */
#define ENTRY_TAG_SHIFT  16
#define ENTRY_SKIP_SHIFT 8
#define ENTRY_MASK       0xffu

static uint32_t hash_of(const struct codecs *codecs, const struct blkmap_file *file)
{
	return (uint32_t)keyhash_word(&codecs->slots->hash_key, (uintptr_t)file->nr_pages);
}

static atomic_uint *entry_of(struct codecs *codecs, const struct blkmap_file *file)
{
	return &codecs->huge_proofs[hash_of(codecs, file) % HUGE_PROOFS];
}

static uint32_t tag_of(const struct codecs *codecs, const struct blkmap_file *file)
{
	return hash_of(codecs, file) >> 16 | 1; /* not 0, so that no entry at all is nobody's */
}
static_assert(HUGE_PROOFS <= 1u << 16, "place and tag are of different bits");

/* What the file's entry says; 0 when it is another's. */
static uint32_t entry_load(struct codecs *codecs, const struct blkmap_file *file)
{
	uint32_t entry = atomic_load_explicit(entry_of(codecs, file), memory_order_relaxed);

	return entry >> ENTRY_TAG_SHIFT == tag_of(codecs, file) ? entry : 0;
}

static void entry_store(struct codecs *codecs, const struct blkmap_file *file, uint32_t failures,
			uint32_t skipped)
{
	atomic_store_explicit(entry_of(codecs, file),
			      tag_of(codecs, file) << ENTRY_TAG_SHIFT |
				      skipped << ENTRY_SKIP_SHIFT | failures,
			      memory_order_relaxed);
}

bool huge_looks_even(const void *src, uint32_t len)
{
	/* Four, so that equal bytes need not wait for each other. */
	uint16_t counts[4][256] = { 0 };
	uint32_t nr = (uint32_t)min_u64(len / SAMPLE_DIVISOR, SAMPLE_MAX_PIECES), sum = 0;

	if (len < ZT_PAGE_SIZE)
		return false;
	for (uint32_t i = 0; i < nr; i++) {
		const unsigned char *piece =
			(const unsigned char *)src + (uint64_t)(len - SAMPLE_PIECE) * i / (nr - 1);

		for (uint32_t j = 0; j < SAMPLE_PIECE; j += 4) {
			counts[0][piece[j]]++;
			counts[1][piece[j + 1]]++;
			counts[2][piece[j + 2]]++;
			counts[3][piece[j + 3]]++;
		}
	}
	for (unsigned value = 0; value < 256; value++) {
		uint32_t n = (uint32_t)counts[0][value] + counts[1][value] + counts[2][value] +
			     counts[3][value];

		sum += n * n;
	}
	return sum <= even_squares(nr * SAMPLE_PIECE);
}

bool huge_skip(struct codecs *codecs, const struct blkmap_file *file, const void *src, uint32_t len)
{
	uint32_t entry, skipped;

	if (!file->nr_pages)
		return false;
	entry = entry_load(codecs, file);
	skipped = (entry >> ENTRY_SKIP_SHIFT & ENTRY_MASK) + 1;
	if ((entry & ENTRY_MASK) < NR_PROOF || !huge_looks_even(src, len))
		return false;
	/* Counted before the probe ends: of what comes meanwhile nothing else is one. */
	entry_store(codecs, file, NR_PROOF, skipped % PROBE_EVERY);
	if (skipped == PROBE_EVERY)
		return false;
	atomic_fetch_add_explicit(&codecs->huge_pages_skipped,
				  (len + ZT_PAGE_SIZE - 1) >> ZT_PAGE_SHIFT, memory_order_relaxed);
	return true;
}

void huge_note(struct codecs *codecs, const struct blkmap_file *file, bool compressed)
{
	uint32_t entry, failures;

	if (!file->nr_pages)
		return;
	entry = entry_load(codecs, file);
	failures = compressed ? 0 : (uint32_t)min_u64((entry & ENTRY_MASK) + 1, NR_PROOF);
	/* Nothing to be remembered of most files. */
	if (entry || failures)
		entry_store(codecs, file, failures, 0);
}

void huge_forget(struct codecs *codecs, const struct blkmap_file *file)
{
	if (file->nr_pages && entry_load(codecs, file))
		entry_store(codecs, file, 0, 0);
}
