/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * caretaker.h - what the thread that waits for the channel's end does meanwhile: it looks after the
 * others.
 *
 * Every few milliseconds it takes the duty from workers that are stuck in a request (worker.h), says
 * how fast idle CPUs shall wake up (wakeup.h), and gives back buffers in the pool that are not needed
 * (pool.h). Every second it gives back what idle readers and rings have, and what channel_ops.trim()
 * has. It alone gives memory of buffers back. When nothing is served and all memory is back, it
 * sleeps until a thread serves (ending.h).
 *
 * Locks: the channel's; not held while the kernel is asked for latencies, nor in trim().
 */
#ifndef ZT_FUSE_CHANNEL_CARETAKER_H
#define ZT_FUSE_CHANNEL_CARETAKER_H

struct channel;

/** caretaker_run() - until ending.ended, in the thread that waits for it */
void caretaker_run(struct channel *ch);

#endif
