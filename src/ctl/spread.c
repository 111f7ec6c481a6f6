// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spread.c - how times are spread. See spread.h.
 */
#include "ctl/spread.h"

#include <stddef.h>

static size_t bucket_of(uint64_t ns)
{
	unsigned exponent;

	if (ns < 1u << SPREAD_BITS)
		return (size_t)ns;
	exponent = 63u - (unsigned)__builtin_clzll(ns);
	return ((size_t)(exponent - SPREAD_BITS + 1) << SPREAD_BITS) +
	       ((ns >> (exponent - SPREAD_BITS)) & ((1u << SPREAD_BITS) - 1));
}

/* The lower edge of a bucket. */
static uint64_t bucket_ns(size_t bucket)
{
	const unsigned exponent = (unsigned)(bucket >> SPREAD_BITS);
	const uint64_t rest = bucket & ((1u << SPREAD_BITS) - 1);

	return exponent == 0 ? rest : (rest + (1u << SPREAD_BITS)) << (exponent - 1);
}

void spread_reset(struct spread *spread)
{
	for (size_t i = 0; i < SPREAD_NR_BUCKETS; i++)
		atomic_store_explicit(&spread->buckets[i], 0, memory_order_relaxed);
}

void spread_add(struct spread *spread, uint64_t ns)
{
	atomic_fetch_add_explicit(&spread->buckets[bucket_of(ns)], 1, memory_order_relaxed);
}

double spread_percentile_us(const struct spread *spread, double share)
{
	uint64_t all = 0, seen = 0;
	size_t i;

	for (i = 0; i < SPREAD_NR_BUCKETS; i++)
		all += spread->buckets[i];
	for (i = 0; i < SPREAD_NR_BUCKETS; i++) {
		seen += spread->buckets[i];
		if ((double)seen >= share * (double)all && seen > 0)
			break;
	}
	return (double)bucket_ns(i < SPREAD_NR_BUCKETS ? i : 0) / 1000;
}
