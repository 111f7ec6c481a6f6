/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spin.h - a thread that reads asks for a request again and again for a moment, before it sleeps.
 *
 * Sleeping and being woken costs the daemon and its client some microseconds each, even where the
 * CPU does not halt. While fast wake-ups are asked for (wakeup.h) an idle CPU is kept awake anyway, so
 * the reader may as well look for itself. Where they cannot be asked for, an idle CPU may halt, and it
 * looks for longer. It does so only where the next request mostly comes soon, since others may want the
 * CPU, and never where its client can run on no other CPU than it does.
 *
 * Locks: none.
 */
#ifndef ZT_FUSE_CHANNEL_SPIN_H
#define ZT_FUSE_CHANNEL_SPIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct channel;
struct request;

/* One thread's; zeroed at first. */
struct spin {
	unsigned credit; /* rises when a request comes soon, falls when one does not */
	bool alone; /* it may run on one CPU only */
	unsigned nr_passed; /* times that it did not look for that reason */
};

/** spin_open() - a channel that is read without waiting; -1: there is none, and nobody spins */
int spin_open(int master);

/**
 * spin_receive() - a request that comes within microseconds
 * Return: its length; 0: none, or it would not pay.
 */
ssize_t spin_receive(struct spin *spin, struct channel *ch, struct request *req);

/** spin_learn() - a request was waited for so long, in whatever way */
void spin_learn(struct spin *spin, const struct channel *ch, uint64_t waited_ns);

#endif
