/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * poison.h - freed rooms of objects, made unlike anything, so that a stale ref is noticed at once.
 *
 * Debug builds fill the bytes behind the header of a room that becomes free. As a slot word the
 * filling is a cluster map far outside of any arena. With the address sanitizer the bytes cannot be
 * touched at all until the room is given out again or its pages are given back. The header stays
 * zero: anyone may read it at any time.
 *
 * Locks: class->lock held.
 */
#ifndef ZT_ZSMALLOC_POISON_H
#define ZT_ZSMALLOC_POISON_H

#include <string.h>

#include "zsmalloc/pool_i.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ZT_ASAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define ZT_ASAN 1
#endif
#ifdef ZT_ASAN
#include <sanitizer/asan_interface.h>
#endif

#define ZS_POISON 0xdc /* as a word: SLOT_MAP, which most that look at a word follow */

/* The room at @ref, of @room bytes with its header, holds no object any more. */
static inline void room_poison(const struct arena *arena, ref_t ref, uint32_t room)
{
#ifdef ZT_DEBUG
	memset(zs_data(arena, ref), ZS_POISON, room - ZS_HDR_SIZE);
#endif
#ifdef ZT_ASAN
	__asan_poison_memory_region(zs_data(arena, ref), room - ZS_HDR_SIZE);
#endif
	(void)arena;
	(void)ref;
	(void)room;
}

/* @len bytes from @ref on may be touched: a room that is given out, or pages that go back. */
static inline void room_unpoison(const struct arena *arena, ref_t ref, uint64_t len)
{
#ifdef ZT_ASAN
	__asan_unpoison_memory_region(arena_ptr(arena, ref), len);
#endif
	(void)arena;
	(void)ref;
	(void)len;
}

#endif
