// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pressure.c - a watch over the machine's free memory. See pressure.h.
 *
 * Locks: none here. Never allocates: the buffer is static, and /proc/zoneinfo keeps its own as long
 * as it is open. It looks at intervals, since the kernel's own notice (PSI) comes by a thread that
 * waits for memory like all others.
 */
#include "daemon/pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_NS 20000000L
/* So many looks in a row without pressure, and the reserve is filled again: half a second. */
#define CALM_LOOKS 25u

/* The number behind @name, in the zone's text before @end; 0 when there is none. */
static unsigned long number_of(const char *text, const char *end, const char *name)
{
	const char *at = strstr(text, name);

	return at && at < end ? strtoul(at + strlen(name), NULL, 10) : 0;
}

bool pressure_parse(const char *text, struct pressure_zone *out_zone)
{
	struct pressure_zone zone, best = { 0 };
	const char *at = strstr(text, "Node ");

	while (at) {
		const char *next = strstr(at + 1, "Node ");
		const char *end = next ? next : at + strlen(at);

		zone.free = number_of(at, end, "pages free ");
		zone.min = number_of(at, end, "\n        min ");
		zone.high = number_of(at, end, "\n        high ");
		zone.managed = number_of(at, end, "\n        managed ");
		if (zone.managed > best.managed)
			best = zone;
		at = next;
	}
	if (best.managed == 0)
		return false;
	*out_zone = best;
	return true;
}

bool pressure_next(const struct pressure_zone *zone, bool eased)
{
	/* Near the minimum; then until all is well again. */
	return zone->free < (eased ? zone->high : zone->min + zone->min / 4);
}

static bool look(const struct pressure *pressure, struct pressure_zone *out_zone)
{
	static char text[65536];
	size_t len = 0;
	ssize_t got;

	while (len < sizeof(text) - 1 &&
	       (got = pread(pressure->fd, text + len, sizeof(text) - 1 - len, (off_t)len)) > 0)
		len += (size_t)got;
	text[len] = '\0';
	return pressure_parse(text, out_zone);
}

static void *pressure_thread(void *arg)
{
	const struct timespec interval = { .tv_nsec = INTERVAL_NS };
	struct pressure *pressure = arg;
	struct pressure_zone zone;
	unsigned calm = 0;
	bool eased = false;

	while (!atomic_load_explicit(&pressure->stop, memory_order_relaxed)) {
		if (look(pressure, &zone)) {
			calm = pressure_next(&zone, eased) ? 0 : calm + 1;
			if (calm == 0 || calm >= CALM_LOOKS) {
				eased = calm == 0;
				super_ease_swap(pressure->sb, eased);
			}
		}
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &interval, NULL);
	}
	return NULL;
}

int pressure_start(struct pressure *pressure, struct super *sb, int priority)
{
	struct sched_param param = { .sched_priority = priority };
	struct pressure_zone zone;
	int error;

	*pressure = (struct pressure){ .sb = sb };
	pressure->fd = open("/proc/zoneinfo", O_RDONLY | O_CLOEXEC);
	if (pressure->fd < 0)
		return -errno;
	/* The first look makes the kernel's buffer. */
	error = look(pressure, &zone) ? 0 : EIO;
	if (!error)
		error = pthread_create(&pressure->thread, NULL, pressure_thread, pressure);
	if (error) {
		close(pressure->fd);
		return -error;
	}
	(void)pthread_setname_np(pressure->thread, "zt-pressure");
	error = pthread_setschedparam(pressure->thread, SCHED_FIFO, &param);
	if (error)
		pressure_stop(pressure);
	return -error;
}

void pressure_stop(struct pressure *pressure)
{
	atomic_store_explicit(&pressure->stop, true, memory_order_relaxed);
	(void)pthread_join(pressure->thread, NULL); /* it was made, and is joined once */
	close(pressure->fd);
}
