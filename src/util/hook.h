/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hook.h - named points in the code at which a test can stop a thread, to force a schedule.
 *
 * Debug builds only; elsewhere a point is nothing. A point stands where a lock has just been given
 * up, or is just not held yet, and where it matters what others do meanwhile.
 */
#ifndef ZT_UTIL_HOOK_H
#define ZT_UTIL_HOOK_H

#include <stdint.h>

#ifdef ZT_DEBUG

/**
 * zt_hook_set() - have @hook(@arg, point, what) called at every point, in the thread that comes by;
 * NULL: none. For tests.
 *
 * Context: while no other thread comes by a point.
 */
void zt_hook_set(void (*hook)(void *arg, const char *point, uint64_t what), void *arg);

/* zt_hook() - a thread comes by @point, "file: what has just happened"; @what: to what, or 0 */
void zt_hook(const char *point, uint64_t what);

/* zt_looks_set() - likewise, for every zt_looks() */
void zt_looks_set(void (*hook)(const void *word));

/* zt_looks() - a thread is about to read @word, which others may change meanwhile */
void zt_looks(const void *word);

#else

static inline void zt_hook(const char *point, uint64_t what)
{
	(void)point;
	(void)what;
}

static inline void zt_looks(const void *word)
{
	(void)word;
}

#endif

#endif
