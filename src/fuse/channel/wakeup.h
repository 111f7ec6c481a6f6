/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * wakeup.h - idle CPUs that wake up at once, while small requests come one upon another.
 *
 * A small request costs two wake-ups, of the daemon and of its client, and mostly on a CPU that has
 * nothing else to do. What such a wake-up takes is up to the kernel's power management: where an idle
 * CPU of a virtual machine halts, it takes the host's time, too, and many times as long as the
 * request. PM QoS (/dev/cpu_dma_latency, see the kernel's
 * Documentation/power/pm_qos_interface.rst) lets a process say what it can bear, for as long as it
 * has the file open. That costs power, so it is asked for while it pays, and no longer.
 *
 * Locks: none; for the caretaker's thread (caretaker.h).
 */
#ifndef ZT_FUSE_CHANNEL_WAKEUP_H
#define ZT_FUSE_CHANNEL_WAKEUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wakeup {
	int fd; /* where the number of us is written; -1: nowhere. Belongs to the channel's maker */
	int32_t latency_us; /* what is asked for */
	/* Changed by the caretaker; relaxed: others take them as hints. */
	atomic_bool rapid; /* small requests come one upon another */
	atomic_bool asked; /* and the kernel was asked */
	unsigned nr_slow; /* looks in a row that would not have begun it */
	uint64_t looked_at_ns;
};

/** wakeup_look() - every few ms: @nr_requests have been served since the last call */
void wakeup_look(struct wakeup *w, uint64_t now_ns, unsigned nr_requests);

/** wakeup_end() - nothing comes, and nothing is asked for any more */
void wakeup_end(struct wakeup *w);

#endif
