// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * alloc.c - the heap, with a seam for tests that make allocations fail.
 */
#include "util/alloc.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* 0: no failure is asked for. Relaxed: it orders nothing, it only counts. */
static atomic_long fault_countdown;
/* The countdown stops at 1: from there on everything fails. */
static atomic_bool fault_stays;

static _Thread_local uint64_t thread_allocated;

/* Written before there are threads. */
static bool maps_are_heap;

static void fault_start(long n, bool stays)
{
	atomic_store_explicit(&fault_stays, stays, memory_order_relaxed);
	atomic_store_explicit(&fault_countdown, n, memory_order_relaxed);
}

void zt_fault_set(long n)
{
	fault_start(n, false);
}

void zt_fault_set_from(long n)
{
	fault_start(n, true);
}

bool zt_fault_pending(void)
{
	return atomic_load_explicit(&fault_countdown, memory_order_relaxed) > 0;
}

bool zt_fault_hit(void)
{
	long left = atomic_load_explicit(&fault_countdown, memory_order_relaxed);

	if (likely(left <= 0))
		return false;
	if (left == 1 && atomic_load_explicit(&fault_stays, memory_order_relaxed))
		return true;
	return atomic_fetch_sub_explicit(&fault_countdown, 1, memory_order_relaxed) == 1;
}

uint64_t zt_thread_allocated(void)
{
	return thread_allocated;
}

uint64_t zt_private_bytes(void)
{
	unsigned long size, resident, shared;
	FILE *file = fopen("/proc/self/statm", "re");
	int nr;

	if (!file)
		return 0;
	nr = fscanf(file, "%lu %lu %lu", &size, &resident, &shared);
	(void)fclose(file); /* only read */
	if (nr != 3 || shared > resident)
		return 0;
	return (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void *zt_zalloc(size_t size)
{
	if (zt_fault_hit())
		return NULL;
	thread_allocated += size;
	return calloc(1, size);
}

void *zt_grow(void *items, size_t size, size_t first, size_t *inout_most)
{
	const size_t most = *inout_most ? 2 * *inout_most : first;
	void *grown = zt_zalloc(most * size);

	if (!grown)
		return NULL;
	if (*inout_most)
		memcpy(grown, items, *inout_most * size);
	zt_free(items);
	*inout_most = most;
	return grown;
}

void *zt_alloc_aligned(size_t align, size_t size)
{
	void *ptr;

	if (zt_fault_hit() || posix_memalign(&ptr, align, size) != 0)
		return NULL;
	thread_allocated += size;
	return ptr;
}

void zt_map_from_heap(void)
{
	maps_are_heap = true;
}

static void *map_of_heap(size_t size)
{
	void *ptr;

	if (posix_memalign(&ptr, (size_t)sysconf(_SC_PAGESIZE), size) != 0)
		return NULL;
	thread_allocated += size;
	return memset(ptr, 0, size);
}

/* Transparent huge pages would undo it: the first byte of a buffer would cost 2 MiB. */
void *zt_map(size_t size)
{
	void *ptr;

	if (zt_fault_hit())
		return NULL;
	if (maps_are_heap)
		return map_of_heap(size);
	ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		   -1, 0);
	if (ptr == MAP_FAILED)
		return NULL;
	thread_allocated += size;
	/* a hint; kernels without huge pages refuse it */
	(void)madvise(ptr, size, MADV_NOHUGEPAGE);
	/* What requests carry is the contents of files: none of it goes into a core dump. */
	(void)madvise(ptr, size, MADV_DONTDUMP);
	return ptr;
}

void zt_heap_trim(void)
{
	(void)malloc_trim(0); /* says whether there was something */
}

void zt_map_drop(void *ptr, size_t size)
{
	if (maps_are_heap)
		memset(ptr, 0, size);
	else
		(void)madvise(ptr, size, MADV_DONTNEED); /* fails for a wrong range only */
}

/* MADV_POPULATE_WRITE of Linux 5.14, unknown to older headers. */
#define POPULATE_WRITE 23

int zt_populate(void *ptr, size_t size)
{
	return madvise(ptr, size, POPULATE_WRITE) != 0 ? -errno : 0;
}

void zt_unmap(void *ptr, size_t size)
{
	if (ptr && maps_are_heap)
		free(ptr);
	else if (ptr)
		(void)munmap(ptr, size); /* fails for a wrong range only */
}

void zt_free(void *ptr)
{
	free(ptr);
}
