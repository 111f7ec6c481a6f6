// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hook.c - points in the code at which a test can stop a thread. See hook.h.
 *
 * No locks: the hook is stored before its argument is used, and changed only between tests.
 */
#include "util/hook.h"

#include <stddef.h>

#include "util/compiler.h"

#ifdef ZT_DEBUG

static void (*the_hook)(void *arg, const char *point, uint64_t what);
static void *the_arg;

void zt_hook_set(void (*hook)(void *arg, const char *point, uint64_t what), void *arg)
{
	__atomic_store_n(&the_arg, arg, __ATOMIC_RELAXED);
	__atomic_store_n(&the_hook, hook, __ATOMIC_RELEASE);
}

void zt_hook(const char *point, uint64_t what)
{
	void (*hook)(void *arg, const char *point, uint64_t what) = __atomic_load_n(&the_hook, __ATOMIC_ACQUIRE);

	if (unlikely(hook != NULL))
		hook(__atomic_load_n(&the_arg, __ATOMIC_RELAXED), point, what);
}

static void (*the_looks)(const void *word);

void zt_looks_set(void (*hook)(const void *word))
{
	__atomic_store_n(&the_looks, hook, __ATOMIC_RELEASE);
}

void zt_looks(const void *word)
{
	void (*hook)(const void *word) = __atomic_load_n(&the_looks, __ATOMIC_ACQUIRE);

	if (unlikely(hook != NULL))
		hook(word);
}

#endif
