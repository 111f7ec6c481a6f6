/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * alloc.h - the heap, with a seam for tests that make allocations fail.
 *
 * Every layer allocates through these, so that "the n-th allocation fails" can be tried for every n
 * over whole operations (tests/fs).
 */
#ifndef ZT_UTIL_ALLOC_H
#define ZT_UTIL_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"

/**
 * zt_zalloc() - zeroed memory from the heap
 * Return: memory that zt_free() takes, or NULL.
 */
void *zt_zalloc(size_t size) __attribute__((malloc));

/**
 * zt_grow() - space for one item more in an array that is full when *@inout_most are in it
 * @items: of @size bytes each, of zt_zalloc(); NULL while *@inout_most is 0
 * @first: how many there are to be space for at first; then always twice as many
 * Return: the array that takes its place, or NULL: all is as it was.
 */
void *zt_grow(void *items, size_t size, size_t first, size_t *inout_most);

/**
 * zt_alloc_aligned() - memory aligned to @align, a power of two; not zeroed
 * Return: memory that zt_free() takes, or NULL.
 */
void *zt_alloc_aligned(size_t align, size_t size) __attribute__((malloc));

/**
 * zt_map() - zeroed pages straight from the system; untouched ones cost nothing
 * For buffers that are large and used now and then. Return: memory that zt_unmap() takes, or NULL.
 */
void *zt_map(size_t size);

/**
 * zt_map_from_heap() - have zt_map() take from the heap, which was made large enough and locked before
 * Before anything of zt_map() is there, and before there are threads. For good.
 */
void zt_map_from_heap(void);

/**
 * zt_populate() - have memory for a range, so that nothing of it is paged in later
 * Return: 0; -errno: not all of it; the kernel is older than 5.14, say.
 */
int zt_populate(void *ptr, size_t size);

/** zt_heap_trim() - give the system back what the heap holds without need */
void zt_heap_trim(void);

/** zt_map_drop() - give the memory of a mapping back; it reads as zero again */
void zt_map_drop(void *ptr, size_t size);

/** zt_unmap() - give them back; NULL is allowed */
void zt_unmap(void *ptr, size_t size);

/** zt_free() - give memory back; NULL is allowed */
void zt_free(void *ptr);

/**
 * zt_thread_allocated() - bytes that this thread has ever asked for by the functions above
 * The difference of two calls is what was allocated between them, and not yet what was touched.
 */
uint64_t zt_thread_allocated(void);

/**
 * zt_private_bytes() - memory of this process that nobody shares: heap, buffers, stacks; as the
 * kernel counts it, a system call. 0: it does not say.
 */
uint64_t zt_private_bytes(void);

/**
 * zt_fault_set() - make an allocation fail
 * @n: 1: the next one fails, 2: the one after it ...; 0: none fails
 *
 * Counts heap allocations and growth of the arena (arena_populate()) together, over all threads,
 * and fails exactly one. For tests.
 */
void zt_fault_set(long n);

/**
 * zt_fault_set_from() - make the @n-th allocation and every later one fail, as when memory is
 * used up; 0: none
 */
void zt_fault_set_from(long n);

/**
 * zt_fault_pending() - true while the failure that zt_fault_set() asked for has not happened yet
 */
bool zt_fault_pending(void);

/** zt_fault_hit() - to be asked once by everything that may fail for want of memory */
bool zt_fault_hit(void);

#endif
