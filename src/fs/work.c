// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * work.c - the pause between two rounds of a request that takes long. See work.h.
 *
 * Takes no lock; it may wait for the gate to open.
 */
#include "fs/work.h"

#include <errno.h>
#include <time.h>

/* So often the others are waited for between two rounds, and how long each time. */
#define YIELD_TRIES 50u
#define YIELD_NS    20000

/*
 * A lock that is let go and taken again at once is never got by those that sleep for it: it takes
 * them some ten microseconds to wake up.
 */
static void let_others(struct super *sb, ino_nr ino)
{
	const struct timespec a_while = { .tv_nsec = YIELD_NS };
	atomic_uint *nr_waiting = &inode_lock_of(sb, ino)->nr_waiting;

	for (unsigned i = 0; i < YIELD_TRIES; i++) {
		if (atomic_load_explicit(nr_waiting, memory_order_relaxed) == 0)
			return;
		(void)nanosleep(&a_while, NULL); /* however long it was */
	}
}

int work_pause(struct work *work, ino_nr ino)
{
	struct super *sb = work->sb;

	if (sb->pause && sb->pause(sb->pause_arg))
		return -EINTR;
	gate_give_way(&sb->gate);
	let_others(sb, ino);
	return -EAGAIN;
}
