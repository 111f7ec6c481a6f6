/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clock.h - the time that only goes forward (CLOCK_MONOTONIC), in nanoseconds.
 */
#ifndef ZT_UTIL_CLOCK_H
#define ZT_UTIL_CLOCK_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

#define ZT_NS_PER_S  UINT64_C(1000000000)
#define ZT_NS_PER_MS (ZT_NS_PER_S / 1000)

/** zt_now_ns() - nanoseconds since some moment before the program began */
static inline uint64_t zt_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * ZT_NS_PER_S + (uint64_t)now.tv_nsec;
}

/** zt_ms_until() - what poll(2) is to wait for to wake not before a moment of zt_now_ns(); 0: it is over */
static inline int zt_ms_until(uint64_t then_ns)
{
	const uint64_t now_ns = zt_now_ns();
	uint64_t ms;

	if (then_ns <= now_ns)
		return 0;
	ms = (then_ns - now_ns) / ZT_NS_PER_MS + 1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/** zt_timespec() - nanoseconds as the C library wants them: a length, or a moment of zt_now_ns() */
static inline struct timespec zt_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / ZT_NS_PER_S),
				  .tv_nsec = (long)(ns % ZT_NS_PER_S) };
}

#endif
