// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * account.c - what is counted of words: pages against size=, repeated and huge ones, objects by codec,
 * users of settings.
 *
 * Locks: none. Counters are relaxed atomics, each of which is right by itself. Counts whose zero
 * means that no user is left are lowered with release, and read with acquire.
 */
#include <errno.h>

#include "blkmap/slot/account.h"
#include "blkmap/slot/pack.h"
#include "blkmap/slot/slots.h"

static uint64_t counter(const atomic_uint_fast64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

int pages_charge(struct slots *slots, const struct blkmap_file *file, int64_t delta)
{
	if (delta == 0 || !file->nr_pages)
		return 0;
	/* size= may be changed at any time: each try looks at what it is. */
	if (delta > 0) {
		uint_fast64_t used =
			atomic_load_explicit(&slots->account.nr_pages, memory_order_relaxed);

		do {
			const uint64_t max = counter(&slots->account.max_pages);

			if (max && used + (uint64_t)delta > max)
				return -ENOSPC;
		} while (!atomic_compare_exchange_weak_explicit(
			&slots->account.nr_pages, &used, used + (uint64_t)delta,
			memory_order_relaxed, memory_order_relaxed));
	} else {
		atomic_fetch_add_explicit(&slots->account.nr_pages, (uint64_t)delta,
					  memory_order_relaxed);
	}
	__atomic_fetch_add(file->nr_pages, (uint64_t)delta, __ATOMIC_RELAXED);
	return 0;
}

static void count_add(atomic_uint_fast64_t *counter, uint64_t n, int sign)
{
	atomic_fetch_add_explicit(counter, sign > 0 ? n : -n, memory_order_relaxed);
}

void codec_count(struct slots *slots, uint64_t word, int sign)
{
	if (slot_codec(word) > SLOT_CODEC_MAIN)
		atomic_fetch_add_explicit(&slots->account.codec_objects[slot_codec(word)],
					  (uint64_t)(int64_t)sign, memory_order_release);
}

void slot_count(struct slots *slots, uint64_t word, unsigned order, int sign)
{
	const struct cluster_map *cmap;
	uint64_t n;

	switch (slot_kind(word)) {
	case SLOT_HOLE:
		break;
	case SLOT_SAME:
		count_add(&slots->account.same_pages, 1u << order, sign);
		break;
	case SLOT_ZERO:
		count_add(&slots->account.same_pages,
			  (unsigned)__builtin_popcount(slot_zero_mask(word)), sign);
		break;
	case SLOT_OBJ:
	case SLOT_SPILLED:
		codec_count(slots, word, sign);
		/* fall through */
	case SLOT_SHARED:
		n = (slot_length(word) + ZT_PAGE_SIZE - 1) >> ZT_PAGE_SHIFT;
		if (slot_kind(word) == SLOT_SHARED && pack_of(slots, word)) {
			count_add(&slots->account.packed_pages, n, sign);
			break;
		}
		if (slot_kind(word) == SLOT_SHARED)
			count_add(&slots->account.shared_pages, n, sign);
		if (!slot_is_raw(word))
			break;
		count_add(&slots->account.huge_pages, n, sign);
		if (sign > 0 && slot_kind(word) == SLOT_OBJ && slot_codec(word) == SLOT_CODEC_RAW)
			count_add(&slots->account.huge_pages_since, n, 1);
		break;
	case SLOT_MAP:
		cmap = cluster_map_at(slots, word);
		slot_count(slots, word_get(&cmap->base), order, sign);
		for (unsigned p = 0; p < 1u << order; p++)
			slot_count(slots, word_get(&cmap->pages[p]), 0, sign);
		break;
	}
}

/*
 * The new limit holds before it is looked at what is used: whoever fills pages meanwhile goes by it, but
 * for a charge that is under way, which may end up to its own pages above. When too much is used the
 * old limit comes back, unless another was set meanwhile.
 */
int set_max_pages(struct slots *slots, uint64_t pages, uint64_t *out_old)
{
	uint_fast64_t now = pages;

	*out_old = atomic_exchange(&slots->account.max_pages, pages);
	if (pages == 0 || atomic_load(&slots->account.nr_pages) <= pages)
		return 0;
	(void)atomic_compare_exchange_strong(&slots->account.max_pages, &now, *out_old);
	return -EBUSY;
}

uint64_t pages_left(const struct slots *slots)
{
	const uint64_t used = nr_pages(slots), max = counter(&slots->account.max_pages);

	if (!max)
		return UINT64_MAX;
	return max > used ? max - used : 0;
}

bool limit_is_near(const struct slots *slots, unsigned divisor, uint64_t max)
{
	struct arena_stat arena;

	arena_get_stat(slots->arena, &arena);
	return arena.limit && arena.used + min_u64(arena.limit / divisor, max) > arena.limit;
}

void spare_give_back(struct slots *slots)
{
	struct arena_stat arena;

	arena_get_stat(slots->arena, &arena);
	if (arena.spare && arena.used > arena.limit - arena.spare)
		(void)zs_trim(slots->data, 0); /* nothing cached is as good */
}

void account_get_stat(const struct slots *slots, struct blkmap_stat *out_stat)
{
	const struct account *account = &slots->account;

	out_stat->nr_pages = counter(&account->nr_pages);
	out_stat->max_pages = counter(&account->max_pages);
	out_stat->same_pages = counter(&account->same_pages);
	out_stat->huge_pages = counter(&account->huge_pages);
	out_stat->huge_pages_since = counter(&account->huge_pages_since);
	out_stat->overwrites_in_place = counter(&account->overwrites_in_place);
	out_stat->shared_pages = counter(&account->shared_pages);
	out_stat->packs = counter(&account->packs);
	out_stat->packed_pages = counter(&account->packed_pages);
}
