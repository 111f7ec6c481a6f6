/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spread.h - how times are spread: counted in buckets, told as percentiles.
 *
 * A bucket is a sixteenth of a power of two, so a percentile is true to 6 %. Counters are relaxed
 * atomics: any thread adds, and what orders the end of all of them orders the reading.
 */
#ifndef ZT_CTL_SPREAD_H
#define ZT_CTL_SPREAD_H

#include <stdatomic.h>
#include <stdint.h>

#define SPREAD_BITS       4
#define SPREAD_NR_BUCKETS (64 << SPREAD_BITS)

struct spread {
	atomic_uint_fast64_t buckets[SPREAD_NR_BUCKETS];
};

/** spread_reset() - nothing was counted */
void spread_reset(struct spread *spread);

/** spread_add() - one time more */
void spread_add(struct spread *spread, uint64_t ns);

/** spread_percentile_us() - the time that @share (0 to 1) of all do not exceed; 0 without any */
double spread_percentile_us(const struct spread *spread, double share);

#endif
