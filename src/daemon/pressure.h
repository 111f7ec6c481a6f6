/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pressure.h - a watch over the machine's free memory, for a mount that carries swap.
 *
 * The kernel's side of a request needs a little memory, too. When free memory is below the minimum
 * that the kernel keeps for emergencies, the thread that sends requests to the daemon waits for
 * memory that only its own request would free, while the daemon sits on its reserve. So the watch
 * has most of the reserve given back then, and filled again afterwards.
 */
#ifndef ZT_DAEMON_PRESSURE_H
#define ZT_DAEMON_PRESSURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "fs/super.h"
#include "util/compiler.h"

/* The largest zone of memory, in pages of the system. */
struct pressure_zone {
	unsigned long free, min, high, managed;
};

/* One watch; its maker owns it and joins its thread. */
struct pressure {
	struct super *sb;
	int fd; /* /proc/zoneinfo, kept open */
	atomic_bool stop; /* relaxed: looked at every 20 ms */
	pthread_t thread; /* "zt-pressure" */
};

/**
 * pressure_start() - begin to watch
 * @sb: outlives it
 * @priority: SCHED_FIFO
 * Return: 0 or -errno.
 */
int pressure_start(struct pressure *pressure, struct super *sb, int priority) ZT_MUST_CHECK;

/** pressure_stop() - end, and join the thread; once, after pressure_start() */
void pressure_stop(struct pressure *pressure);

/** pressure_parse() - the largest zone of /proc/zoneinfo's text; false when there is none */
bool pressure_parse(const char *text, struct pressure_zone *out_zone);

/** pressure_next() - whether the reserve is to be eased, by the zone and by whether it is now */
bool pressure_next(const struct pressure_zone *zone, bool eased);

#endif
