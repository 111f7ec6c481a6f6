/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * round.h - how long a piece of work may go on at a time.
 *
 * Work whose length a caller chooses (a range of a file, all of a file) is done in rounds: the
 * lower layer does unit after unit and asks zt_round_spent() after each; when the round is over it
 * returns -EAGAIN. The upper layer then releases its locks, looks whether the caller still wants
 * the work, and goes on with the next round.
 *
 * No locks: a round is its thread's own.
 */
#ifndef ZT_UTIL_ROUND_H
#define ZT_UTIL_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

/* Units between two looks at the clock, which takes as long as one of the cheapest. */
#define ZT_ROUND_UNITS 16u

struct zt_round {
	uint64_t until_ns; /* zt_now_ns() at which it is over */
	uint64_t at; /* where the work goes on, for what cannot see that by itself */
	unsigned units; /* since the last look at the clock */
};

/** zt_round_begin() - the next round, of @ns; at stays */
static inline void zt_round_begin(struct zt_round *round, uint64_t ns)
{
	round->until_ns = zt_now_ns() + ns;
	round->units = 0;
}

/**
 * zt_round_spent() - whether the round is over, after work of @units more
 * @round: NULL: there is no end
 * @units: 1 for what takes about 100 ns; ZT_ROUND_UNITS for what takes microseconds
 */
static inline bool zt_round_spent(struct zt_round *round, unsigned units)
{
	if (!round)
		return false;
	round->units += units;
	if (round->units < ZT_ROUND_UNITS)
		return false;
	round->units = 0;
	return zt_now_ns() >= round->until_ns;
}

#endif
