/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * at_point.h - something that another thread does when a point (util/hook.h) is first reached. Debug
 * builds only, as points are.
 */
#ifndef ZT_TESTS_BLKMAP_AT_POINT_H
#define ZT_TESTS_BLKMAP_AT_POINT_H

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "blkmap/spilled.h"
#include "tests/lib/zt_check.h"
#include "util/hook.h"

#ifdef ZT_DEBUG

static struct blkmap *wanted_map;
static const char *wanted_point;
static void (*wanted_act)(void);
static atomic_uint nr_arrivals; /* since at_point() */

static inline void *act_thread(void *arg)
{
	(void)arg;
	wanted_act();
	blkmap_spill_done(wanted_map); /* as each thread that reads has to */
	return NULL;
}

static inline void at_hook(void *arg, const char *point, uint64_t what)
{
	pthread_t thread;

	(void)arg;
	(void)what;
	if (strcmp(point, wanted_point) != 0 || atomic_fetch_add(&nr_arrivals, 1) != 0)
		return;
	ck_assert_int_eq(pthread_create(&thread, NULL, act_thread, NULL), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/* Have @act done with @map, and wait for it, when @point is reached next. */
static inline void at_point(struct blkmap *map, const char *point, void (*act)(void))
{
	wanted_map = map;
	wanted_point = point;
	wanted_act = act;
	atomic_store(&nr_arrivals, 0);
	zt_hook_set(at_hook, NULL);
}

#endif /* ZT_DEBUG */

#endif
