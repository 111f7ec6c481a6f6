// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * changed.c - which parts of a file others change while its contents are copied. See changed.h.
 *
 * A bit for each part. What a part is grows with the file, so that the bits are no more than fit
 * into 128 KiB, and all of them are looked at in some ten microseconds.
 */
#include "fs/changed.h"

#include <errno.h>

#include "util/alloc.h"

#define NR_PARTS_MAX (1u << 20)
/* Taken at a time: what a round shares. */
#define NR_TAKEN_MAX 4096u
#define WORD_BITS    64u

int changed_begin(struct changed *changed, struct inode_lock *lock, ino_nr ino, uint64_t part,
		  uint64_t size)
{
	unsigned shift = (unsigned)__builtin_ctzll(part);

	while (size >> shift >= NR_PARTS_MAX)
		shift++;
	*changed = (struct changed){
		.next = lock->changed,
		.ino = ino,
		.shift = shift,
		.nr = (uint32_t)(size >> shift) + 1,
	};
	changed->bits = zt_zalloc(div_round_up_u64(changed->nr, WORD_BITS) * sizeof(uint64_t));
	if (!changed->bits)
		return -ENOMEM;
	lock->changed = changed;
	return 0;
}

void changed_end(struct changed *changed, struct inode_lock *lock)
{
	struct changed **link = &lock->changed;

	while (*link != changed)
		link = &(*link)->next;
	*link = changed->next;
	zt_free(changed->bits);
	changed->bits = NULL;
}

static uint32_t part_of(const struct changed *changed, uint64_t off)
{
	return (uint32_t)min_u64(off >> changed->shift, changed->nr - 1);
}

/* Bits of a word from @first on, up to @last. */
static uint64_t mask_of(uint32_t word, uint32_t first, uint32_t last)
{
	uint64_t mask = UINT64_MAX;

	if (word == first / WORD_BITS)
		mask <<= first % WORD_BITS;
	if (word == last / WORD_BITS)
		mask &= UINT64_MAX >> (WORD_BITS - 1 - last % WORD_BITS);
	return mask;
}

void changed_note(const struct inode_lock *lock, ino_nr ino, uint64_t off, uint64_t len)
{
	const uint64_t end = len < CHANGED_ALL - off ? off + len : CHANGED_ALL;

	for (const struct changed *changed = lock->changed; changed && len > 0;
	     changed = changed->next) {
		uint32_t first, last;

		if (changed->ino != ino)
			continue;
		first = part_of(changed, off);
		last = part_of(changed, end - 1);
		/* Relaxed: they are read with the lock held exclusive. */
		for (uint32_t word = first / WORD_BITS; word <= last / WORD_BITS; word++)
			__atomic_fetch_or(&changed->bits[word], mask_of(word, first, last),
					  __ATOMIC_RELAXED);
	}
}

static bool is_set(const struct changed *changed, uint32_t part)
{
	return part < changed->nr && changed->bits[part / WORD_BITS] >> part % WORD_BITS & 1;
}

/* The first one from @from on, or changed.nr. */
static uint32_t find_set(const struct changed *changed, uint32_t from)
{
	while (from < changed->nr) {
		const uint64_t word = changed->bits[from / WORD_BITS] >> from % WORD_BITS;

		if (word)
			return from + (uint32_t)__builtin_ctzll(word);
		from = (from / WORD_BITS + 1) * WORD_BITS;
	}
	return changed->nr;
}

bool changed_take(struct changed *changed, uint64_t *out_off, uint64_t *out_end)
{
	uint32_t first = find_set(changed, changed->at), part;

	if (first == changed->nr) {
		changed->passes++;
		first = find_set(changed, 0);
	}
	if (first == changed->nr)
		return false;
	for (part = first; is_set(changed, part) && part - first < NR_TAKEN_MAX; part++)
		changed->bits[part / WORD_BITS] &= ~(UINT64_C(1) << part % WORD_BITS);
	changed->at = part;
	*out_off = (uint64_t)first << changed->shift;
	*out_end = part == changed->nr ? CHANGED_ALL : (uint64_t)part << changed->shift;
	return true;
}
