// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * store.c - points behind the stores that publish something in the arena. See store.h.
 *
 * No locks: the hook is stored after its argument, and changed only between tests.
 */
#include "util/store.h"

#include <stddef.h>

#include "util/compiler.h"

#ifdef ZT_DEBUG

static void (*the_hook)(void *arg, const char *point);
static void *the_arg;

void zt_stored_set(void (*hook)(void *arg, const char *point), void *arg)
{
	__atomic_store_n(&the_arg, arg, __ATOMIC_RELAXED);
	__atomic_store_n(&the_hook, hook, __ATOMIC_RELEASE);
}

void zt_stored(const char *point)
{
	void (*hook)(void *arg, const char *point) = __atomic_load_n(&the_hook, __ATOMIC_ACQUIRE);

	if (unlikely(hook != NULL))
		hook(__atomic_load_n(&the_arg, __ATOMIC_RELAXED), point);
}

#endif
