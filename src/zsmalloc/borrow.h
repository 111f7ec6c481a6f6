/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * borrow.h - objects of a pool whose pages are not in the arena (arena/borrow.h): where one may stand,
 * and what its header says.
 *
 * The pool knows nothing of them: none is counted, freed or moved.
 *
 * Context: any thread, no locks.
 */
#ifndef ZT_ZSMALLOC_BORROW_H
#define ZT_ZSMALLOC_BORROW_H

#include "zsmalloc/pool.h"

/** zs_pool_of_user() - the pool that a run is of, by arena_run.user */
uint32_t zs_pool_of_user(uint32_t user);

/** zs_place() - the bytes that an object at @ref may take, with its header; 0: none is there; any @ref */
uint32_t zs_place(struct zs_pool *pool, uint64_t ref);

/** zs_header_size() - the length of an object by its header, in a place of @room bytes; 0: it is none */
uint32_t zs_header_size(uint64_t header, uint32_t room);

#endif
