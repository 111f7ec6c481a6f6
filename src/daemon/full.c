// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * full.c - the thread that has the kernel ask in write(2) when the mount is nearly full. See full.h.
 *
 * Locks: none here. The thread serves no request, so it may wait for some. Where it would wait without
 * end for a daemon that was killed meanwhile, another one does so (apart.h).
 */
#include "daemon/full.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/apart.h"
#include "daemon/mend.h"
#include "daemon/ownmount.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/sizes.h"

/*
 * A 16th of what is left may be dirty. So all that was taken into the kernel's pages fits several
 * times over: beside it is stored what others write meanwhile, and objects cost more than their
 * bytes.
 */
#define DIRTY_PART 16u
/* What may be dirty in the end: less makes writers wait for each other... */
#define LEAST_MOST (8 * MIB)
/* ... and with still less the kernel's own steps are larger. */
#define LEAST_LEAST MIB
/* The limit is near with so many times of that left; it is not any more with twice as much. */
#define NEAR_TIMES 8u
/* Of a limit that is not ours to set: it has been measured that the kernel keeps to it. */
#define NEAR_TIMES_FIXED 4u
/* The kernel goes beyond its limit for a moment when that has just been lowered. */
#define GUARD_TIMES 2u
/* What was freed is looked for so often; what takes space wakes the thread. */
#define LOOK_NS ZT_NS_PER_S

static uint64_t near_at(const struct full *full)
{
	if (full->way == FULL_NOT)
		return 0;
	return full->tunes ? full->least * NEAR_TIMES : full->dirty * NEAR_TIMES_FIXED;
}

static uint64_t power_of_two_below(uint64_t n)
{
	return n ? UINT64_C(1) << (63 - __builtin_clzll(n)) : 0;
}

/* How much may be dirty with so much left. */
static uint64_t dirty_for(const struct full *full, uint64_t left)
{
	const uint64_t part = power_of_two_below(left / DIRTY_PART);

	return max_u64(full->least, min_u64(part, BDI_DIRTY_MOST));
}

/* More only when it is much more: each change has the kernel compute its limits anew. */
static void tune(struct full *full, uint64_t left)
{
	const uint64_t dirty = dirty_for(full, left);

	if (!full->tunes || (dirty >= full->dirty && dirty < full->dirty * 4))
		return;
	if (bdi_set_dirty(&full->mount.bdi, dirty))
		full->dirty = dirty;
}

/* With less left than that there is something to do. */
static uint64_t next_low(const struct full *full)
{
	if (full->near)
		return 0;
	return max_u64(near_at(full),
		       full->tunes && full->dirty > full->least ? full->dirty * DIRTY_PART : 0);
}

static void warn_once(struct full *full, const char *what, int error)
{
	if (!full->warned && error != -ESTALE)
		zt_log(ZT_LOG_WARN, "%s: cannot %s: %s", full->mount.path, what, strerror(-error));
	full->warned = true;
}

static int store_now(void *arg)
{
	const struct full *full = arg;
	int fd = ownmount_open(&full->mount);

	if (fd < 0)
		return fd;
	(void)syncfs(fd); /* what was refused has been noted */
	close(fd);
	return 0;
}

/* All that is dirty now is stored, or refused. */
static void store_delayed(struct full *full)
{
	const int error = apart_run(store_now, full);

	if (error)
		warn_once(full, "open its root folder to have delayed writes stored", error);
}

static int sync_begin(void *arg)
{
	return ownmount_sync(arg, true);
}

static int sync_end(void *arg)
{
	return ownmount_sync(arg, false);
}

static void call_back(void *arg, uint64_t ino)
{
	struct full *full = arg;

	/* The kernel may have forgotten it. */
	(void)fuse_lowlevel_notify_inval_inode(full->front->se, ino, -1, 0);
}

static void hint(_Atomic uint64_t *place, uint64_t value)
{
	atomic_store_explicit(place, value, memory_order_relaxed);
}

static int come_near(struct full *full)
{
	struct ztfuse_full *front = &full->front->full;

	if (full->way == FULL_SYNC) {
		const int error = apart_run(sync_begin, &full->mount);

		if (error)
			return error;
	} else {
		atomic_store_explicit(&front->through, true, memory_order_relaxed);
		super_each_known(full->front->sb, call_back, full);
		/* A write(2) that was under way may still fill pages during the first. */
		store_delayed(full);
	}
	store_delayed(full);
	full_set_safe(front, true);
	return 0;
}

static int go_away(struct full *full)
{
	struct ztfuse_full *front = &full->front->full;

	full_set_safe(front, false);
	if (full->way == FULL_SYNC)
		return apart_run(sync_end, &full->mount);
	atomic_store_explicit(&front->through, false, memory_order_relaxed);
	return 0;
}

/*
 * Until the kernel asks in write(2), delayed writes are slowed down while what it holds still fits,
 * and others leave that much.
 */
static void guard(const struct full *full, bool can)
{
	const bool unsafe = can && full->way != FULL_NOT && !full->near;

	hint(&full->front->full.leave, unsafe ? full->dirty * GUARD_TIMES : 0);
	hint(&full->front->full.pace_at,
	     unsafe ? max_u64(near_at(full), full->dirty * GUARD_TIMES * 2) : 0);
}

static void look(struct full *full)
{
	const uint64_t left = super_bytes_left(full->front->sb);
	const bool near = left < near_at(full) * (full->near ? 2 : 1) ||
			  (full->way != FULL_NOT && full_expects(&full->front->full));
	int error = 0;

	tune(full, left);
	guard(full, true);
	if (near != full->near || full->resumed) {
		error = near ? come_near(full) : go_away(full);
		if (error)
			warn_once(full, "change how it writes", error);
		else
			full->near = near;
		full->resumed = error != 0;
	}
	/* What cannot be switched is tried again in a while, not at each write. */
	hint(&full->front->full.low, error ? 0 : next_low(full));
	guard(full, !error);
	/* Nobody waits for what does not come. */
	if (error)
		full_set_safe(&full->front->full, false);
}

static bool rests(const struct full *full)
{
	return full->way == FULL_NOT ||
	       (!full->near && (!full->tunes || full->dirty == BDI_DIRTY_MOST));
}

static void *full_thread(void *arg)
{
	struct full *full = arg;
	struct ztfuse_full *front = &full->front->full;
	struct full_refusal refusal;

	atomic_store_explicit(&front->mender, (pid_t)syscall(SYS_gettid), memory_order_relaxed);
	look(full);
	while (full_sleep(front, rests(full) ? 0 : LOOK_NS)) {
		look(full);
		while (full_next(front, &refusal)) {
			mend(full->front, &full->mount, &refusal);
			full_mended(front, &refusal);
		}
	}
	return NULL;
}

static void tell_front(const struct full *full)
{
	struct ztfuse_full *front = &full->front->full;

	/*
	 * A write(2) that is not asked for may be larger than what is left when the limit is near. And how
	 * much can go out is known only when it has: what was delayed may be refused all the same.
	 */
	front->flush = full->way != FULL_SYNC || super_has_spill(full->front->sb);
	hint(&front->near_at, near_at(full));
	hint(&front->low, near_at(full));
	guard(full, true);
}

void full_prepare(struct full *full, struct ztfuse *front, const struct ownmount *mount,
		  uint64_t total)
{
	*full = (struct full){ .front = front, .mount = *mount };
	if (total != UINT64_MAX && ownmount_sync(mount, false) == 0)
		full->way = FULL_SYNC;
	else if (total != UINT64_MAX && mount->bdi.nosuid && front->kills_setid)
		full->way = FULL_THROUGH;
	full->least = min_u64(LEAST_MOST, max_u64(LEAST_LEAST, total / DIRTY_PART / NEAR_TIMES));
	full->dirty = dirty_for(full, total);
	full->tunes = bdi_set_dirty(&mount->bdi, full->dirty);
	if (!full->tunes)
		full->dirty = bdi_get_dirty(&mount->bdi);
	if (!full->tunes && full->dirty == 0)
		full->dirty = BDI_DIRTY_MOST;
	tell_front(full);
}

void full_resume(struct full *full, struct ztfuse *front, const struct full *found)
{
	*full = (struct full){ .front = front,
			       .mount = found->mount,
			       .way = found->way,
			       .least = found->least,
			       .dirty = found->dirty,
			       .tunes = found->tunes,
			       .resumed = found->way != FULL_NOT };
	tell_front(full);
	/* It may have been changed since: the thread's first look sets it. */
	if (full->tunes)
		full->dirty = 0;
}

int full_start(struct full *full)
{
	struct ztfuse_full *front = &full->front->full;
	int error = 0;

	/* The signal thread runs already, and may be told to stop us just now. */
	mutex_lock(&front->lock);
	if (!front->stop) {
		error = -pthread_create(&full->thread, NULL, full_thread, full);
		full->has_thread = error == 0;
		front->runs = full->has_thread;
		if (full->has_thread)
			(void)pthread_setname_np(full->thread, "ztmpfs-full");
	}
	mutex_unlock(&front->lock);
	return error;
}

void full_stop(struct full *full)
{
	struct ztfuse_full *front;
	bool join;

	if (!full->front)
		return;
	front = &full->front->full;
	mutex_lock(&front->lock);
	front->stop = true;
	join = full->has_thread;
	full->has_thread = false;
	cond_signal(&front->wake);
	cond_broadcast(&front->changed);
	mutex_unlock(&front->lock);
	if (join)
		zt_lock_check(pthread_join(full->thread, NULL));
}
