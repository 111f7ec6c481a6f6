/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pressure.h - a watch over the machine's free memory, for a mount that carries swap.
 *
 * The reserve and the kernel's side of requests want the same free memory. The watch says how much
 * of it the reserve may take (super_swap_grant()), by /proc/zoneinfo:
 *
 *     free above "low"               the reserve is filled
 *     below "low", above "min" / 2   only what a request waits for is taken
 *     below "min", and no request    the kernel's thread that sends requests waits for memory, and
 *     comes for a while              all others for it: the reserve gives a part back, again and
 *                                    again until requests come
 */
#ifndef ZT_DAEMON_PRESSURE_H
#define ZT_DAEMON_PRESSURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena/stock.h"
#include "fs/super.h"
#include "util/compiler.h"

/*
 * Free pages above the marks of the zone that is farthest above its own, since any will do; what a
 * zone keeps for requests that can use no other is not counted as free.
 */
struct pressure_memory {
	int64_t above_low, above_min, above_half; /* half of the minimum */
};

/* One watch; its maker owns it and joins its thread. */
struct pressure {
	struct super *sb;
	int fd; /* /proc/zoneinfo, kept open */
	int home_fd; /* whose spare is kept full (home.h); -1: there is none */
	atomic_bool stop; /* relaxed: looked at every 20 ms at least */
	pthread_t thread; /* "zt-pressure" */
};

/**
 * pressure_start() - begin to watch
 * @sb: outlives it
 * @priority: SCHED_FIFO
 * @home_fd: open until pressure_stop(), or -1
 * Return: 0 or -errno.
 */
int pressure_start(struct pressure *pressure, struct super *sb, int priority, int home_fd) ZT_MUST_CHECK;

/** pressure_stop() - end, and join the thread; once, after pressure_start() */
void pressure_stop(struct pressure *pressure);

/** pressure_parse() - /proc/zoneinfo's text; false when it has no zone with memory */
bool pressure_parse(const char *text, struct pressure_memory *out_memory);

/** pressure_grant() - what the reserve may do; @stuck: no request has come for a while */
struct arena_grant pressure_grant(const struct pressure_memory *memory, bool stuck);

#endif
