// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * retry.c - another try for requests to which memory was refused, and how long they wait for it; and
 * for those that need what stands in the spill file.
 *
 * Locks: none, and the caller holds none: others have to free memory meanwhile.
 */
#include <errno.h>

#include "arena/snapshot.h"
#include "blkmap/spilled.h"
#include "fs/super_i.h"
#include "util/clock.h"

/* So often a request may wait for an object to go out. */
#define SPILL_TRIES 3u /* before a save is ended for the memory that it has */
#define DISK_TRIES 100u

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
	const uint64_t until = wait_until == NO_WAIT ? 0 : retry->until_ns;
	/* With a spill file memory is always short, and mostly found. */
	const bool first = retry->tries < SPILL_TRIES && super_can_spill(sb);
	/* Nothing is refused for a save: that can be tried again. */
	const bool found = (first && blkmap_reclaim(sb->map, retry->tries, until)) ||
			   arena_snapshot_sacrifice(sb->arena) ||
			   blkmap_reclaim(sb->map, retry->tries, until);

	gate_step_in(&sb->gate, was);
	return found;
}

/* The caller has given up, or the mount ends. */
static bool is_over(void *arg)
{
	const struct super *sb = arg;

	return sb->pause && sb->pause(sb->pause_arg);
}

void super_set_disk_waiters(struct super *sb, unsigned most)
{
	blkmap_spill_waiters(sb->map, most);
}

void super_read_spilled(struct super *sb)
{
	const struct spill_patience patience = { .is_over = is_over, .arg = sb };
	const unsigned was = gate_step_out(&sb->gate);

	if (sb->pause)
		(void)sb->pause(sb->pause_arg); /* others are served meanwhile; it is not for long */
	blkmap_spill_wait(sb->map, &patience);
	gate_step_in(&sb->gate, was);
}

bool super_has_spill(const struct super *sb)
{
	return blkmap_spills(sb->map);
}

bool super_can_spill(const struct super *sb)
{
	return blkmap_spill_left(sb->map) > 0;
}

/*
 * Where objects can go out the deadline is that of the next one: a disk may be slow, and others have
 * had what was freed so far. Not for ever, and not when the mount ends.
 */
static void wait_for_disk(struct super *sb, struct super_retry *inout_retry)
{
	const bool ends = wait_until && wait_until < ZT_NS_PER_S; /* no time: do not wait */

	if (!ends && inout_retry->tries < DISK_TRIES && super_can_spill(sb))
		inout_retry->until_ns =
			max_u64(inout_retry->until_ns, zt_now_ns() + SUPER_WAIT_NS);
}

bool super_retry(struct super *sb, int err, struct super_retry *inout_retry)
{
	if (err == -EREMOTE) {
		super_read_spilled(sb);
		inout_retry->refusals = arena_refusals();
		return true;
	}
	blkmap_spill_done(sb->map);
	if (err != -ENOSPC || arena_refusals() == inout_retry->refusals)
		return false;
	if (inout_retry->until_ns == 0)
		inout_retry->until_ns = wait_until ? wait_until : zt_now_ns() + SUPER_WAIT_NS;
	wait_for_disk(sb, inout_retry);
	(void)zs_trim(sb->inodes, 0); /* a gain, whatever else is found */
	if (!reclaim(sb, inout_retry)) {
		declined |= wait_until == NO_WAIT && blkmap_reclaim_may_help(sb->map);
		return false;
	}
	inout_retry->refusals = arena_refusals();
	inout_retry->tries++;
	return true;
}
