/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compiler.h - attributes and the few macros that every layer uses.
 */
#ifndef ZT_UTIL_COMPILER_H
#define ZT_UTIL_COMPILER_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* The result carries an error: who drops it takes it into a variable and says why. */
#define ZT_MUST_CHECK        __attribute__((warn_unused_result))
#define ZT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ZT_NORETURN          __attribute__((noreturn))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/*
 * ZT_ASSERT states an invariant of ours. It is checked in debug builds only; input from outside is
 * never checked with it.
 */
#ifdef ZT_DEBUG
#define ZT_ASSERT(x) assert(x)
#else
#define ZT_ASSERT(x) ((void)sizeof(!(x)))
#endif

#endif
