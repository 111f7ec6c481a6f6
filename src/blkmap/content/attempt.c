// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attempt.c - look under the shared lock, prepare under none, publish if nothing has changed.
 */
#include "blkmap/content/attempt.h"

#include <errno.h>

#include "util/hook.h"

int attempt_publish(const struct cluster *c, const uint64_t *seq,
		    int (*publish)(const struct cluster *c, void *arg), void *arg)
{
	struct slot_lock *lock = c->lock;
	int error;

	write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	error = seq && *seq != lock->seq ? -EAGAIN : publish(c, arg);
	rw_unlock(&lock->lock);
	return error;
}

static int round_free(const struct cluster *c, const struct attempt_ops *ops, void *arg)
{
	struct slot_lock *lock = c->lock;
	uint64_t seq;
	int error;

	read_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	seq = lock->seq;
	error = ops->look(c, arg);
	rw_unlock(&lock->lock);
	if (!error)
		error = ops->prepare(c, arg, false);
	if (error)
		return error;
	zt_hook("attempt: a change is prepared", slot_place(c->slots, c->slot));
	return attempt_publish(c, &seq, ops->publish, arg);
}

static int round_kept(const struct cluster *c, const struct attempt_ops *ops, void *arg)
{
	struct slot_lock *lock = c->lock;
	int error;

	write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	error = ops->look(c, arg);
	if (!error)
		error = ops->prepare(c, arg, true);
	if (!error)
		zt_hook("attempt: a change is prepared under the lock",
			slot_place(c->slots, c->slot));
	if (!error)
		error = ops->publish(c, arg);
	rw_unlock(&lock->lock);
	return error;
}

int attempt_run(const struct cluster *c, const struct attempt_ops *ops, void *arg)
{
	const unsigned rounds = ops->keeps_lock ? ATTEMPTS + 1 : ATTEMPTS;
	int error = -EAGAIN;

	for (unsigned round = 0; round < rounds && error == -EAGAIN; round++) {
		error = round < ATTEMPTS ? round_free(c, ops, arg) : round_kept(c, ops, arg);
		if (ops->end)
			ops->end(c, arg);
	}
	return error == ATTEMPT_DONE ? 0 : error;
}
