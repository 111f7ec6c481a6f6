// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * retry.c - another try for requests to which memory was refused, and how long they wait for it.
 *
 * Locks: none, and the caller holds none: others have to free memory meanwhile.
 */
#include <errno.h>

#include "arena/snapshot.h"
#include "fs/super_i.h"
#include "util/clock.h"

/* A value of wait_until that says not to wait. */
#define NO_WAIT 1u

/* Of the request that this thread serves; 0: SUPER_WAIT_NS from its first refusal on. */
static _Thread_local uint64_t wait_until;
static _Thread_local bool declined;

void super_wait_never(void)
{
	wait_until = NO_WAIT;
	declined = false;
}

void super_wait_until(uint64_t until_ns)
{
	wait_until = until_ns;
	declined = false;
}

bool super_waits_never(void)
{
	return wait_until == NO_WAIT;
}

bool super_has_declined(void)
{
	return declined;
}

/* What has failed has changed nothing, so others need not wait for this request meanwhile. */
static bool reclaim(struct super *sb, const struct super_retry *retry)
{
	const unsigned was = gate_step_out(&sb->gate);
	/* Nothing is refused for a save: that can be tried again. */
	const bool found = arena_snapshot_sacrifice(sb->arena) ||
			   blkmap_reclaim(sb->map, retry->tries,
					  wait_until == NO_WAIT ? 0 : retry->until_ns);

	gate_step_in(&sb->gate, was);
	return found;
}

bool super_retry(struct super *sb, int err, struct super_retry *inout_retry)
{
	if (err != -ENOSPC || arena_refusals() == inout_retry->refusals)
		return false;
	if (inout_retry->until_ns == 0)
		inout_retry->until_ns = wait_until ? wait_until : zt_now_ns() + SUPER_WAIT_NS;
	(void)zs_trim(sb->inodes, 0); /* a gain, whatever else is found */
	if (!reclaim(sb, inout_retry)) {
		declined |= wait_until == NO_WAIT && blkmap_reclaim_may_help(sb->map);
		return false;
	}
	inout_retry->refusals = arena_refusals();
	inout_retry->tries++;
	return true;
}
