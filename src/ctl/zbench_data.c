// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zbench_data.c - samples cut into the units that are compressed. No locks.
 */
#include <errno.h>

#include "ctl/zbench.h"
#include "util/alloc.h"
#include "util/sizes.h"

/* Every n-th of them, the rest is forgotten. */
static void keep_some(struct zbench_units *units, uint32_t max_units)
{
	const size_t nr = units->nr;

	if (max_units == 0 || nr <= max_units)
		return;
	units->nr = 0;
	units->bytes = 0;
	for (size_t i = 0; i < max_units; i++) {
		struct zbench_unit unit = units->units[i * nr / max_units];

		unit.at = units->bytes;
		units->units[units->nr++] = unit;
		units->bytes += unit.len;
	}
}

int zbench_units_make(const struct samples *samples, uint32_t cluster, uint32_t max_units,
		      struct zbench_units *out_units)
{
	struct zbench_units units = { 0 };
	const char *data = samples->data;
	size_t most = 0;

	for (size_t i = 0; i < samples->nr; i++)
		most += div_round_up_u64(samples->sizes[i], cluster);
	units.units = zt_zalloc(most * sizeof(*units.units));
	if (!units.units)
		return -ENOMEM;
	for (size_t i = 0; i < samples->nr; data += samples->sizes[i++]) {
		for (size_t at = 0; at < samples->sizes[i]; at += cluster) {
			const size_t len = min_u64(cluster, samples->sizes[i] - at);

			if (sample_is_same(data + at, len)) {
				units.nr_same++;
				continue;
			}
			units.units[units.nr++] = (struct zbench_unit){ data + at, (uint32_t)len,
									 units.bytes };
			units.bytes += len;
		}
	}
	keep_some(&units, max_units);
	*out_units = units;
	return 0;
}

void zbench_units_free(struct zbench_units *units)
{
	zt_free(units->units);
	units->units = NULL;
}
