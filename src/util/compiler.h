/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * compiler.h - attributes and the few macros that every layer uses.
 */
#ifndef ZT_UTIL_COMPILER_H
#define ZT_UTIL_COMPILER_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* The result carries an error. A caller that drops it takes it into a variable and says why. */
#define ZT_MUST_CHECK        __attribute__((warn_unused_result))
#define ZT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ZT_NORETURN          __attribute__((noreturn))

/*
 * What a function does to locks, checked by clang (-Wthread-safety): it takes one and returns with
 * it, gives back one that its caller holds, or is called with one held. Other compilers see
 * nothing, nor does a test that breaks the rules on purpose, and defines ZT_LOCKS_UNCHECKED first.
 */
#if defined(__clang__) && !defined(ZT_LOCKS_UNCHECKED)
#define ZT_TSA(x) __attribute__((x))
#else
#define ZT_TSA(x)
#endif
#define ZT_CAPABILITY(name)      ZT_TSA(capability(name))
#define ZT_GUARDED_BY(lock)      ZT_TSA(guarded_by(lock)) /* of a variable that is no member */
#define ZT_ACQUIRE(lock)         ZT_TSA(acquire_capability(lock))
#define ZT_ACQUIRE_SHARED(lock)  ZT_TSA(acquire_shared_capability(lock))
#define ZT_TRY_ACQUIRE(lock)     ZT_TSA(try_acquire_capability(true, lock))
#define ZT_TRY_SHARED(lock)      ZT_TSA(try_acquire_shared_capability(true, lock))
#define ZT_RELEASE(lock)         ZT_TSA(release_capability(lock))
#define ZT_RELEASE_GENERIC(lock) ZT_TSA(release_generic_capability(lock))
#define ZT_REQUIRES(lock)        ZT_TSA(requires_capability(lock))
#define ZT_REQUIRES_SHARED(lock) ZT_TSA(requires_shared_capability(lock))
#define ZT_ASSERTS(lock)         ZT_TSA(assert_capability(lock))
#define ZT_ASSERTS_SHARED(lock)  ZT_TSA(assert_shared_capability(lock))
#define ZT_NO_LOCK_CHECK         ZT_TSA(no_thread_safety_analysis) /* with its reason beside it */

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
