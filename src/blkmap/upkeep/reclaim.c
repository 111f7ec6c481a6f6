// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reclaim.c - when memory is refused: cached pages go back, objects are moved together, some go out
 * to the spill file, and in the end everything is recompressed.
 *
 * Locks: none. in_vain_until is a hint.
 */
#include "blkmap/upkeep/upkeep.h"

#include "blkmap/upkeep/recompress.h"
#include "blkmap/upkeep/spiller.h"
#include "util/clock.h"

/* Compaction is worth a try when it may give back so much. */
#define COMPACT_SLACK(bytes) ((bytes) / 128 + 64 * KIB)
/* Most bytes that compaction copies in one round, so that it never runs long. */
#define COMPACT_ROUND (32 * MIB)

/* What is cached in all pools. */
uint64_t trim_pools(struct upkeep *upkeep)
{
	uint64_t freed = zs_trim(upkeep->slots->data, 0) + zs_trim(upkeep->slots->meta, 0);

	return freed + (upkeep->beside ? zs_trim(upkeep->beside, 0) : 0);
}

static bool compaction_is_worth(struct upkeep *upkeep)
{
	struct zs_pool_stat stat;

	zs_pool_get_stat(upkeep->slots->data, &stat);
	return stat.excess > COMPACT_SLACK(stat.object_bytes);
}

uint64_t compact_if_worth(struct upkeep *upkeep)
{
	return compaction_is_worth(upkeep) ? zs_compact(upkeep->slots->data, COMPACT_ROUND) : 0;
}

/* Recompression of everything has found nothing a moment ago. */
static bool has_looked(const struct upkeep *upkeep)
{
	return blkmap_now() < atomic_load_explicit(&upkeep->in_vain_until, memory_order_relaxed);
}

bool upkeep_reclaim_may_help(struct upkeep *upkeep)
{
	return !has_looked(upkeep) || compaction_is_worth(upkeep) ||
	       spiller_may_help(upkeep->spiller);
}

void (*blkmap_reclaim_hook)(void);

bool upkeep_reclaim(struct upkeep *upkeep, unsigned tries, uint64_t until_ns)
{
	uint64_t freed = trim_pools(upkeep);
	bool looked = has_looked(upkeep);

	if (!until_ns)
		return tries == 0 && freed > 0;
	if (blkmap_reclaim_hook)
		blkmap_reclaim_hook();
	freed += looked ? compact_if_worth(upkeep) : zs_compact(upkeep->slots->data, COMPACT_ROUND);
	/* Later on it may only be what the last try has left. */
	if (tries == 0 && freed > 0)
		return true;
	if (zt_now_ns() < until_ns && spiller_relieve(upkeep->spiller, until_ns) > 0) {
		(void)zs_trim(upkeep->slots->data, 0);
		return true;
	}
	if (looked || zt_now_ns() >= until_ns)
		return false;
	if (recomp_relieve(upkeep->recomp, until_ns) == 0) {
		atomic_store_explicit(&upkeep->in_vain_until, blkmap_now() + 1,
				      memory_order_relaxed);
		return false;
	}
	/* There is some memory, whatever these add. */
	(void)zs_trim(upkeep->slots->data, 0);
	(void)zs_compact(upkeep->slots->data, COMPACT_ROUND);
	return true;
}

uint64_t upkeep_trim(struct upkeep *upkeep)
{
	uint64_t freed;

	fold_idle(&upkeep->folder, 0);
	freed = zs_compact(upkeep->slots->data, 0);
	return freed + trim_pools(upkeep);
}
