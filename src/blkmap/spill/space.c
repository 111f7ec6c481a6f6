// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * space.c - which units of the spill file are in use: a bit for each, and a count for each group.
 *
 * Next fit: what is written one after the other stands side by side as long as there is space behind
 * it, and is read in one go.
 *
 * Locks: none; the caller's is held.
 */
#include "blkmap/spill/space.h"

#include <errno.h>
#include <string.h>

#include "util/alloc.h"
#include "util/sizes.h"

static uint64_t nr_words(uint32_t nr_units)
{
	return div_round_up_u64(nr_units, 64);
}

static uint32_t nr_groups(uint32_t nr_units)
{
	return (uint32_t)div_round_up_u64(nr_units, SPACE_GROUP_UNITS);
}

uint64_t space_bytes(uint32_t nr_units)
{
	return nr_words(nr_units) * sizeof(uint64_t) +
	       (uint64_t)nr_groups(nr_units) * (sizeof(uint16_t) + sizeof(uint8_t));
}

int space_init(struct spill_space *space, uint32_t nr_units)
{
	*space = (struct spill_space){ .nr_units = nr_units, .nr_groups = nr_groups(nr_units) };
	space->bits = zt_map(nr_words(nr_units) * sizeof(uint64_t));
	space->used = zt_zalloc(space->nr_groups * sizeof(*space->used));
	space->stale = zt_zalloc(space->nr_groups * sizeof(*space->stale));
	if (space->bits && space->used && space->stale)
		return 0;
	space_exit(space);
	return -ENOMEM;
}

void space_exit(struct spill_space *space)
{
	zt_unmap(space->bits, nr_words(space->nr_units) * sizeof(uint64_t));
	zt_free(space->used);
	zt_free(space->stale);
	*space = (struct spill_space){ .nr_units = 0 };
}

static bool is_used(const struct spill_space *space, uint32_t unit)
{
	return space->bits[unit / 64] >> (unit % 64) & 1;
}

/* The first free unit from @unit on, below @end; @end: none. */
static uint32_t find_free(const struct spill_space *space, uint32_t unit, uint32_t end)
{
	while (unit < end) {
		const uint32_t group = unit / SPACE_GROUP_UNITS;
		uint64_t free;

		if (space->used[group] == SPACE_GROUP_UNITS) {
			unit = (uint32_t)min_u64((uint64_t)(group + 1) * SPACE_GROUP_UNITS, end);
			continue;
		}
		free = ~space->bits[unit / 64] >> (unit % 64);
		if (free)
			return (uint32_t)min_u64((uint64_t)unit + (unsigned)__builtin_ctzll(free),
						 end);
		unit = (uint32_t)min_u64(((uint64_t)unit / 64 + 1) * 64, end);
	}
	return end;
}

/* Free units from @unit on, @most at most, below @end. */
static uint32_t count_free(const struct spill_space *space, uint32_t unit, uint32_t end,
			   uint32_t most)
{
	uint32_t nr = 0;

	while (nr < most && unit + nr < end && !is_used(space, unit + nr))
		nr++;
	return nr;
}

static uint32_t look(const struct spill_space *space, uint32_t from, uint32_t end, uint32_t least,
		     uint32_t most, uint32_t *out_start)
{
	uint32_t unit = find_free(space, from, end), nr = 0;

	while (unit < end) {
		nr = count_free(space, unit, end, most);
		if (nr >= least)
			break;
		unit = find_free(space, unit + nr, end);
		nr = 0;
	}
	*out_start = unit;
	return nr;
}

static void mark(struct spill_space *space, uint32_t start, uint32_t nr, bool used)
{
	for (uint32_t unit = start; unit < start + nr; unit++) {
		const uint64_t bit = UINT64_C(1) << (unit % 64);

		ZT_ASSERT(is_used(space, unit) != used);
		space->bits[unit / 64] ^= bit;
		if (used)
			space->used[unit / SPACE_GROUP_UNITS]++;
		else
			space->used[unit / SPACE_GROUP_UNITS]--;
		space->stale[unit / SPACE_GROUP_UNITS] = true;
	}
}

uint32_t space_take(struct spill_space *space, uint32_t least, uint32_t most, uint32_t *out_start)
{
	uint32_t nr = look(space, space->cursor, space->nr_units, least, most, out_start);

	if (nr == 0) /* once more from the beginning; what spans the cursor counts, too */
		nr = look(space, 0, space->nr_units, least, most, out_start);
	if (nr == 0)
		return 0;
	mark(space, *out_start, nr, true);
	space->nr_used += nr;
	space->cursor = *out_start + nr == space->nr_units ? 0 : *out_start + nr;
	return nr;
}

void space_give(struct spill_space *space, uint32_t start, uint32_t nr)
{
	mark(space, start, nr, false);
	space->nr_used -= nr;
}

bool space_claim(struct spill_space *space, uint32_t start, uint32_t nr)
{
	if (start >= space->nr_units || nr > space->nr_units - start ||
	    count_free(space, start, start + nr, nr) != nr)
		return false;
	mark(space, start, nr, true);
	space->nr_used += nr;
	return true;
}

void space_shun(struct spill_space *space, uint32_t group)
{
	const uint64_t first = (uint64_t)group * SPACE_GROUP_UNITS;
	const uint64_t end = min_u64(first + SPACE_GROUP_UNITS, space->nr_units);

	for (uint64_t unit = first; unit < end; unit++)
		(void)space_claim(space, (uint32_t)unit, 1); /* or it is in use */
}

void space_all_stale(struct spill_space *space)
{
	memset(space->stale, true, space->nr_groups);
}

bool space_next_stale(struct spill_space *space, uint32_t *inout_group)
{
	for (; *inout_group < space->nr_groups; ++*inout_group) {
		if (space->used[*inout_group] == 0 && space->stale[*inout_group]) {
			space->stale[*inout_group] = false;
			return true;
		}
	}
	return false;
}
