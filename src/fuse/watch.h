/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * watch.h - the thread that waits for the transport's end, and looks after the others meanwhile.
 *
 * Every few milliseconds it takes the duty from workers that are stuck in a request (worker.h), says
 * how fast idle CPUs shall wake up (wakeup.h), and gives back spare buffers that are not needed
 * (spare.c). Every second it gives back what idle readers, rings and READs have. It alone gives memory
 * of buffers back. When nothing is served, and all that is back, it sleeps until somebody serves.
 *
 * Locks: transport.lock.
 */
#ifndef ZT_FUSE_WATCH_H
#define ZT_FUSE_WATCH_H

#include "fuse/transport_i.h"

/** watch_until_end() - until transport.ended */
void watch_until_end(struct transport *t);

/** watch_wake() - have it look again; any thread. For watch_note(). */
void watch_wake(struct transport *t);

/** watch_note() - a request is about to be served; its server says so before it looks here */
static inline void watch_note(struct transport *t)
{
	if (atomic_load(&t->watch_sleeps))
		watch_wake(t);
}

#endif
