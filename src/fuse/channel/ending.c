// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ending.c - when the channel ends and why. See ending.h.
 */
#include "fuse/channel/ending.h"

#include "util/clock.h"

void ending_init(struct ending *ending, struct mutex *lock)
{
	ending->lock = lock;
	cond_init(&ending->cond);
}

void ending_exit(struct ending *ending)
{
	cond_exit(&ending->cond);
}

void ending_comes(struct ending *ending, int error)
{
	mutex_lock_counted(ending->lock, ZT_LOCK_TRANSPORT);
	if (!ending->ended)
		ending->error = error;
	ending->ended = true;
	cond_broadcast(&ending->cond);
	mutex_unlock(ending->lock);
}

bool ending_wait(struct ending *ending, uint64_t until_ns)
{
	const struct timespec until = zt_timespec(until_ns);

	mutex_assert_held(ending->lock);
	if (until_ns)
		return cond_wait_until(&ending->cond, ending->lock, &until);
	cond_wait(&ending->cond, ending->lock);
	return true;
}

void ending_wake(struct ending *ending)
{
	mutex_lock_counted(ending->lock, ZT_LOCK_TRANSPORT);
	cond_broadcast(&ending->cond);
	mutex_unlock(ending->lock);
}
