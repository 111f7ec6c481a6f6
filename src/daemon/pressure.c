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

#include "daemon/home.h"
#include "util/clock.h"
#include "util/sizes.h"

/* Between looks: while there is memory, and while there is little. */
#define INTERVAL_NS       20000000u
#define INTERVAL_SHORT_NS 2000000u
/* So many looks without a request while there is little, and it is stuck. */
#define STUCK_LOOKS 5u
/* The kernel's side gets on with that. */
#define KERNEL_PAGES 32
/* What is given back at a time: 256 KiB. */
#define BACK_PAGES 64u
/* So much goes to the spare of a home at a look, if that is free: 256 KiB. */
#define SPARE_PAGES 64u
/*
 * Kept out of what the reserve takes: others take some meanwhile, and one that finds none sleeps.
 */
#define URGENT_MARGIN 8
/* No machine has more pages. */
#define MOST_PAGES (INT64_C(1) << 52)

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Pages, as a number that is safe to reckon with, whatever the text says. */
static int64_t pages_of(const char *text)
{
	int64_t pages = strtol(text, NULL, 10);

	return pages < -MOST_PAGES ? -MOST_PAGES : pages > MOST_PAGES ? MOST_PAGES : pages;
}

/* The number behind @name, in the zone's text before @end; 0 when there is none. */
static int64_t number_of(const char *text, const char *end, const char *name)
{
	const char *at = strstr(text, name);

	return at && at < end ? pages_of(at + strlen(name)) : 0;
}

/* The largest number of "protection: (0, 1, 2)": what allocations for other zones leave here. */
static int64_t protection_of(const char *text, const char *end)
{
	const char *at = strstr(text, "protection: (");
	int64_t most = 0;

	if (!at || at >= end)
		return 0;
	for (at = strchr(at, '('); *at == '(' || *at == ','; at += strcspn(at + 1, ",)") + 1)
		most = larger(most, pages_of(at + 1));
	return most;
}

bool pressure_parse(const char *text, struct pressure_memory *out_memory)
{
	struct pressure_memory most = { INT64_MIN, INT64_MIN, INT64_MIN };
	const char *at = strstr(text, "Node "), *next;
	bool found = false;

	for (; at; at = next) {
		const char *end;
		int64_t spare, min;

		next = strstr(at + 1, "Node ");
		end = next ? next : at + strlen(at);
		/* Kernel objects do not go where everything must be able to move. */
		if (number_of(at, end, "\n        managed ") == 0 ||
		    memmem(at, (size_t)(end - at), " Movable\n", 9))
			continue;
		found = true;
		spare = number_of(at, end, "pages free ") - protection_of(at, end);
		min = number_of(at, end, "\n        min ");
		most.above_min = larger(most.above_min, spare - min);
		most.above_half = larger(most.above_half, spare - min / 2);
		most.above_low =
			larger(most.above_low, spare - number_of(at, end, "\n        low "));
	}
	if (found)
		*out_memory = most;
	return found;
}

struct arena_grant pressure_grant(const struct pressure_memory *memory, bool stuck)
{
	struct arena_grant grant = { 0 };

	if (stuck && memory->above_min < KERNEL_PAGES) {
		grant.back = BACK_PAGES;
		return grant;
	}
	grant.more = (uint64_t)larger(memory->above_low, 0);
	grant.urgent = (uint64_t)larger(memory->above_half - URGENT_MARGIN, 0);
	return grant;
}

static bool look(const struct pressure *pressure, struct pressure_memory *out_memory)
{
	static char text[65536];
	size_t len = 0;
	ssize_t got;

	while (len < sizeof(text) - 1 &&
	       (got = pread(pressure->fd, text + len, sizeof(text) - 1 - len, (off_t)len)) > 0)
		len += (size_t)got;
	text[len] = '\0';
	return pressure_parse(text, out_memory);
}

/* A look may take long where there are many CPUs: never more than a third of the time. */
static void rest(const struct pressure_memory *memory, uint64_t look_ns)
{
	const struct timespec interval = zt_timespec(
		max_u64(memory->above_low < 0 ? INTERVAL_SHORT_NS : INTERVAL_NS, 2 * look_ns));

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &interval, NULL);
}

static void *pressure_thread(void *arg)
{
	struct pressure *pressure = arg;
	struct pressure_memory memory = { 0 };
	uint64_t requests, seen = 0;
	unsigned quiet = 0;
	uint64_t started;

	while (!atomic_load_explicit(&pressure->stop, memory_order_relaxed)) {
		requests = super_requests(pressure->sb);
		/* A write that waits for the reserve is no reason to give it back. */
		if (requests != seen || super_swap_is_short(pressure->sb))
			quiet = 0;
		else if (quiet < STUCK_LOOKS)
			quiet++;
		seen = requests;
		started = zt_now_ns();
		if (look(pressure, &memory)) {
			struct arena_grant grant = pressure_grant(&memory, quiet >= STUCK_LOOKS);

			super_swap_grant(pressure->sb, &grant);
			if (pressure->home_fd >= 0 && memory.above_low > 0)
				home_fill_spare(pressure->home_fd,
						(unsigned)min_u64((uint64_t)memory.above_low / 2,
								  SPARE_PAGES));
		}
		rest(&memory, zt_now_ns() - started);
	}
	return NULL;
}

int pressure_start(struct pressure *pressure, struct super *sb, int priority, int home_fd)
{
	struct sched_param param = { .sched_priority = priority };
	struct pressure_memory memory;
	int error;

	*pressure = (struct pressure){ .sb = sb, .home_fd = home_fd };
	pressure->fd = open("/proc/zoneinfo", O_RDONLY | O_CLOEXEC);
	if (pressure->fd < 0)
		return -errno;
	/* The first look makes the kernel's buffer. */
	error = look(pressure, &memory) ? 0 : EIO;
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
