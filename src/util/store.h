/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store.h - points behind the stores that publish something in the arena, for tests of debug builds.
 *
 * A process that is killed leaves the stores that its threads have executed, in program order. So a
 * test that ends a process behind the n-th store, for every n, has seen all that a kill can leave.
 * Elsewhere a point only keeps the compiler from moving stores across it: the order of the source is
 * the order in which a kill finds them.
 */
#ifndef ZT_UTIL_STORE_H
#define ZT_UTIL_STORE_H

#ifdef ZT_DEBUG

/**
 * zt_stored_set() - have @hook(@arg, point) called behind every such store, in the thread that made
 * it; NULL: none. For tests.
 *
 * Context: while no other thread comes by a point. The hook ends the process or returns; it takes no
 * lock, since all may be held.
 */
void zt_stored_set(void (*hook)(void *arg, const char *point), void *arg);

/* zt_stored() - a store was made; @point: "part: what it was" */
void zt_stored(const char *point);

#else

static inline void zt_stored(const char *point)
{
	(void)point;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

#endif

#endif
