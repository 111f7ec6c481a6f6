/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * channel_i.h - what a channel is made of, for its two ways: /dev/fuse (workers.h) and rings
 * (uring.h). Each part guards its own fields.
 */
#ifndef ZT_FUSE_CHANNEL_CHANNEL_I_H
#define ZT_FUSE_CHANNEL_CHANNEL_I_H

#include "fuse/channel/channel.h"
#include "fuse/channel/duty.h"
#include "fuse/channel/ending.h"
#include "fuse/channel/interrupt.h"
#include "fuse/channel/longline.h"
#include "fuse/channel/pool.h"
#include "fuse/channel/wakeup.h"

struct worker;
struct uring;

struct channel {
	struct channel_params params; /* constant, with ops and arg */
	const struct channel_ops *ops;
	void *arg; /* of ops */
	int fd; /* the kernel's channel, from channel_open() on; the caller's */
	struct shim_terms terms; /* written by INIT, before there are threads; */
	struct channel_terms first; /* the same as messages */
	struct mutex lock; /* innermost; of ending, pool and duty, too */
	struct ending ending;
	struct request_pool pool;
	struct duty duty;
	struct longline longline;
	struct interrupts interrupts;
	/* Workers.c's: */
	struct worker *workers; /* params.nr_threads */
	unsigned nr_workers; /* that run; guarded by lock */
	struct worker *parked; /* without duty or request, last come first; guarded by lock */
	unsigned nr_surprises; /* how often the caretaker took the duty away; guarded by lock */
	int spin_fd; /* the channel, read without waiting; -1: not to be had */
	unsigned nr_clones; /* that are kept; before there are threads */
	struct request *left; /* left.c's, in a list; guarded by lock */
	atomic_bool any_left; /* relaxed: a hint */
	struct wakeup wakeup; /* the caretaker's own while it runs */
	/* Rings: */
	struct uring *uring; /* NULL: none; changed under lock */
	struct uring *stopped_uring; /* for late replies until the end */
	int uring_error; /* why rings cannot be had here, or 0 */
};

#endif
