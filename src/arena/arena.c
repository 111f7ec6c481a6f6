// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * arena.c - the memory of the arena: its mapping, and which pages of it exist.
 *
 * Populating and punching take no lock; they move one counter, before the system call when memory
 * is taken and after it when memory is given back, so that the limit is never overrun. Never reads
 * a page that is not populated: the kernel would allocate it behind the counter's back.
 */
#include "arena/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena/arena_i.h"
#include "arena/scratch.h"
#include "util/alloc.h"
#include "util/lock.h"

/* A thread sanitizer's program has 1.5 TiB of addresses in two pieces, and tests map two arenas. */
#ifdef ZT_SANITIZERS
#define RESERVE_DEFAULT (128 * GIB)
#else
#define RESERVE_DEFAULT (1024 * GIB)
#endif
#define RESERVE_DEFAULT_MIN GIB

static _Thread_local bool may_use_spare;
static _Thread_local uint64_t nr_refusals;

static uint64_t spare_of(const struct arena *arena, uint64_t limit)
{
	uint64_t spare = atomic_load_explicit(&arena->spare, memory_order_relaxed);

	return spare < limit ? spare : 0;
}

int arena_charge(struct arena *arena, uint64_t bytes)
{
	uint_fast64_t now = atomic_load_explicit(&arena->used, memory_order_relaxed);
	uint64_t limit = atomic_load_explicit(&arena->limit, memory_order_relaxed);

	if (unlikely(arena->attaching.active))
		limit = 0; /* it is there already */
	else if (!may_use_spare)
		limit -= spare_of(arena, limit);
	do {
		if (limit != 0 && (bytes > limit || now > limit - bytes)) {
			nr_refusals++;
			return -ENOSPC;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&arena->used, &now, now + bytes, memory_order_relaxed, memory_order_relaxed));
	return 0;
}

void arena_uncharge(struct arena *arena, uint64_t bytes)
{
	atomic_fetch_sub_explicit(&arena->used, bytes, memory_order_relaxed);
}

void arena_count_resident(struct arena *arena, int64_t bytes)
{
	uint_fast64_t max = atomic_load_explicit(&arena->resident_max, memory_order_relaxed), now;

	now = atomic_fetch_add_explicit(&arena->resident, (uint64_t)bytes, memory_order_relaxed) +
	      (uint64_t)bytes;
	while (now > max &&
	       !atomic_compare_exchange_weak_explicit(&arena->resident_max, &max, now,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

static int resident_add(struct arena *arena, uint64_t bytes)
{
	int error = arena_charge(arena, bytes);

	if (!error)
		arena_count_resident(arena, (int64_t)bytes);
	return error;
}

static void resident_sub(struct arena *arena, uint64_t bytes)
{
	atomic_fetch_sub_explicit(&arena->resident, bytes, memory_order_relaxed);
	arena_uncharge(arena, bytes);
}

/* Pages come or go: with the gate, which the caller gives back when they have. */
static void snapshot_told(struct arena *arena, ref_t page, uint32_t nr_pages, bool come)
	ZT_ACQUIRE_SHARED(&arena->snapshot_gate)
{
	read_lock(&arena->snapshot_gate);
	if (unlikely(arena->snapshot))
		arena->snapshot_tell(arena, page, nr_pages, come);
}

static void punch(struct arena *arena, ref_t page, uint32_t nr_pages)
{
	off_t off = (off_t)(page << ARENA_REF_SHIFT);

	snapshot_told(arena, page, nr_pages, false);
	/* Interrupted at most: the range is ours and memfds know holes. */
	while (fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off,
			 (off_t)nr_pages << ZT_PAGE_SHIFT) != 0) {
		if (errno != EINTR)
			abort();
	}
	rw_unlock(&arena->snapshot_gate);
}

void arena_forget_page(struct arena *arena, ref_t page)
{
	punch(arena, page, 1);
}

/* What MADV_POPULATE_WRITE does, for kernels before 5.14. */
static int populate_by_file(struct arena *arena, ref_t page, uint32_t nr_pages)
{
	int error;

	do {
		error = fallocate(arena->fd, FALLOC_FL_KEEP_SIZE, (off_t)(page << ARENA_REF_SHIFT),
				  (off_t)nr_pages << ZT_PAGE_SHIFT);
	} while (error != 0 && errno == EINTR);
	if (error != 0)
		return -ENOMEM;
	/* The first write is what makes an allocated page count as data for lseek(). */
	for (uint32_t i = 0; i < nr_pages; i++)
		*(volatile char *)arena_ptr(arena, page + page_to_ref(i)) = 0;
	return 0;
}

static int populate(struct arena *arena, ref_t page, uint32_t nr_pages)
{
#if HAVE_DECL_MADV_POPULATE_WRITE
	int error;

	do {
		error = madvise(arena_ptr(arena, page), (size_t)nr_pages << ZT_PAGE_SHIFT,
				MADV_POPULATE_WRITE);
	} while (error != 0 && (errno == EINTR || errno == EAGAIN));
	if (error == 0)
		return 0;
	if (errno != EINVAL)
		return -ENOMEM;
#endif
	return populate_by_file(arena, page, nr_pages);
}

int arena_populate_pages(struct arena *arena, ref_t page, uint32_t nr_pages)
{
	int error;

	snapshot_told(arena, page, nr_pages, true);
	error = populate(arena, page, nr_pages);
	rw_unlock(&arena->snapshot_gate);
	if (error)
		punch(arena, page, nr_pages);
	return error;
}

void arena_punch_pages(struct arena *arena, ref_t page, uint32_t nr_pages)
{
	punch(arena, page, nr_pages);
}

int arena_back(struct arena *arena, ref_t page, uint32_t nr_pages)
{
	uint64_t bytes = (uint64_t)nr_pages << ZT_PAGE_SHIFT;
	int error = resident_add(arena, bytes);

	if (error)
		return error;
	error = arena_populate_pages(arena, page, nr_pages);
	if (error)
		resident_sub(arena, bytes);
	return error;
}

int arena_back_chunk(struct arena *arena, uint32_t idx)
{
	int error = arena_charge(arena, CHUNK_HEAP);

	if (error)
		return error;
	error = arena_back(arena, page_to_ref(1 + (uint64_t)idx), 1);
	if (error)
		arena_uncharge(arena, CHUNK_HEAP);
	else
		atomic_fetch_add_explicit(&arena->heap, CHUNK_HEAP, memory_order_relaxed);
	return error;
}

void arena_unback(struct arena *arena, ref_t page, uint32_t nr_pages)
{
	punch(arena, page, nr_pages);
	resident_sub(arena, (uint64_t)nr_pages << ZT_PAGE_SHIFT);
}

bool arena_is_stocked(const struct arena *arena)
{
	return arena->stock.target != 0;
}

int arena_populate(struct arena *arena, ref_t page, uint32_t nr_pages)
{
	ZT_ASSERT(page % ARENA_PAGE_REFS == 0 && nr_pages > 0);
	if (zt_fault_hit())
		return -ENOMEM;
	if (!arena_is_stocked(arena))
		return arena_back(arena, page, nr_pages);
	memset(arena_ptr(arena, page), 0, (size_t)nr_pages << ZT_PAGE_SHIFT);
	return 0;
}

void arena_punch(struct arena *arena, ref_t page, uint32_t nr_pages)
{
	ZT_ASSERT(page % ARENA_PAGE_REFS == 0 && nr_pages > 0);
	if (!arena_is_stocked(arena))
		arena_unback(arena, page, nr_pages);
}

int arena_map(struct arena *arena, uint64_t reserve)
{
	void *base = mmap(NULL, reserve, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
			  arena->fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	/*
	 * Huge pages would break the page-exact counters. A core dump would read, and thus
	 * allocate, the whole range. Where an advice is not known, there is nothing to advise
	 * against.
	 */
	(void)madvise(base, reserve, MADV_NOHUGEPAGE);
	(void)madvise(base, reserve, MADV_DONTDUMP);
	arena->head.base = base;
	arena->reserve = reserve;
	return 0;
}

void arena_unmap(struct arena *arena)
{
	if (munmap(arena->head.base, arena->reserve) != 0)
		abort();
}

/* Map @reserve bytes of the memfd; -ENOMEM when the machine does not give so much address range. */
static int map_reserve(struct arena *arena, uint64_t reserve)
{
	if (ftruncate(arena->fd, (off_t)reserve) != 0)
		return -errno;
	return arena_map(arena, reserve);
}

static int map_open(struct arena *arena, enum arena_backing backing, uint64_t reserve)
{
	uint64_t least = reserve ? reserve : RESERVE_DEFAULT_MIN;
	int error;

	if (!reserve)
		reserve = RESERVE_DEFAULT;
	arena->fd = arena_make_file(backing);
	if (arena->fd < 0)
		return arena->fd;
	for (;;) {
		error = map_reserve(arena, reserve);
		if (!error)
			return 0;
		if (reserve / 2 < least)
			break;
		reserve /= 2;
	}
	close(arena->fd);
	return error;
}

static void map_close(struct arena *arena)
{
	arena_unmap(arena);
	close(arena->fd);
}

int arena_tables_init(struct arena *arena)
{
	uint64_t nr_chunks = arena->reserve / CHUNK_BYTES;
	int error;

	arena->map = arena_ptr(arena, page_to_ref(1));
	error = buddy_init(&arena->buddy,
			   (uint32_t)nr_chunks - arena->first_page / BUDDY_CHUNK_PAGES);
	if (!error)
		mutex_init(&arena->lock, ZT_RANK_ARENA);
	if (!error)
		rwlock_init(&arena->snapshot_gate, ZT_RANK_SNAPSHOT_GATE);
	return error;
}

void arena_tables_exit(struct arena *arena)
{
	rwlock_exit(&arena->snapshot_gate);
	mutex_exit(&arena->lock);
	buddy_exit(&arena->buddy);
}

int arena_create(const struct arena_params *params, struct arena **out_arena)
{
	uint64_t reserve = params->reserve / CHUNK_BYTES * CHUNK_BYTES;
	struct arena *arena;
	uint64_t nr_chunks;
	int error;

	if (params->reserve != 0 && (reserve < RESERVE_MIN || reserve > RESERVE_MAX))
		return -EINVAL;
	arena = zt_zalloc(sizeof(*arena));
	if (!arena)
		return -ENOMEM;
	arena->limit = params->limit;
	error = map_open(arena, params->backing, reserve);
	if (error)
		goto err_free;
	nr_chunks = arena->reserve / CHUNK_BYTES;
	arena->first_page =
		(uint32_t)(div_round_up_u64(1 + nr_chunks + ARENA_SCRATCH_PAGES, BUDDY_CHUNK_PAGES) *
			   BUDDY_CHUNK_PAGES);
	error = arena_tables_init(arena);
	if (error)
		goto err_unmap;
	error = zt_fault_hit() ? -ENOMEM : arena_back(arena, 0, 1);
	if (!error)
		error = stock_prepare(arena, params);
	if (!error)
		error = stock_start(arena, true);
	if (error)
		goto err_stock;
	error = arena_superblock_make(arena);
	if (error)
		goto err_stock;
	*out_arena = arena;
	return 0;

err_stock:
	stock_exit(arena);
	arena_tables_exit(arena);
err_unmap:
	map_close(arena);
err_free:
	zt_free(arena);
	return error;
}

int arena_lock_memory(struct arena *arena)
{
	/* Page by page as they come: the range is larger than memory. */
	return mlock2(arena->head.base, arena->reserve, MLOCK_ONFAULT) == 0 ? 0 : -errno;
}

void arena_detach(struct arena *arena, int *out_fd)
{
	ZT_ASSERT(!arena->snapshot);
	stock_exit(arena);
	/* Whatever was charged has been given back, but for what chunks cost. */
	ZT_ASSERT(arena->aside == 0);
	ZT_ASSERT(arena->heap == arena->map_end / BUDDY_CHUNK_PAGES * CHUNK_HEAP);
	zt_unmap(arena->attaching.resident, arena->attaching.nr_words * sizeof(uint64_t));
	arena_tables_exit(arena);
	arena_unmap(arena);
	if (out_fd)
		*out_fd = arena->fd;
	else
		close(arena->fd);
	zt_free(arena);
}

/* With its last descriptor the memfd goes as a whole. */
void arena_destroy(struct arena *arena)
{
	if (arena)
		arena_detach(arena, NULL);
}

void arena_set_limit(struct arena *arena, uint64_t limit)
{
	atomic_store_explicit(&arena->limit, limit, memory_order_relaxed);
	if (arena_is_stocked(arena))
		stock_retry(arena);
}

void arena_set_spare(struct arena *arena, uint64_t bytes)
{
	atomic_store_explicit(&arena->spare, bytes, memory_order_relaxed);
}

void arena_use_spare(bool may)
{
	may_use_spare = may;
}

bool arena_may_use_spare(void)
{
	return may_use_spare;
}

uint64_t arena_refusals(void)
{
	return nr_refusals;
}

void arena_get_stat(const struct arena *arena, struct arena_stat *out_stat)
{
	out_stat->resident = atomic_load_explicit(&arena->resident, memory_order_relaxed);
	out_stat->resident_max = atomic_load_explicit(&arena->resident_max, memory_order_relaxed);
	out_stat->heap = atomic_load_explicit(&arena->heap, memory_order_relaxed);
	out_stat->aside = atomic_load_explicit(&arena->aside, memory_order_relaxed);
	out_stat->used = atomic_load_explicit(&arena->used, memory_order_relaxed);
	out_stat->limit = atomic_load_explicit(&arena->limit, memory_order_relaxed);
	out_stat->spare = spare_of(arena, out_stat->limit);
	out_stat->run_bytes = atomic_load_explicit(&arena->run_bytes, memory_order_relaxed);
	out_stat->stock = arena->stock.target << ZT_PAGE_SHIFT;
	out_stat->stock_ready = atomic_load_explicit(&arena->stock.ready, memory_order_relaxed)
				<< ZT_PAGE_SHIFT;
	out_stat->stock_waits = atomic_load_explicit(&arena->stock.waits, memory_order_relaxed);
	out_stat->stock_timeouts =
		atomic_load_explicit(&arena->stock.timeouts, memory_order_relaxed);
}

void arena_get_range(struct arena *arena, struct arena_range *out_range)
{
	mutex_lock(&arena->lock);
	out_range->bytes = arena->buddy.nr_used * CHUNK_BYTES;
	out_range->run_bytes = atomic_load_explicit(&arena->run_bytes, memory_order_relaxed);
	memcpy(out_range->free, arena->buddy.nr_free, sizeof(out_range->free));
	mutex_unlock(&arena->lock);
}

uint64_t arena_memfd_bytes(const struct arena *arena)
{
	struct stat st;

	if (fstat(arena->fd, &st) != 0)
		abort();
	return (uint64_t)st.st_blocks * 512;
}

void *arena_super(const struct arena *arena)
{
	return arena->head.base + ARENA_SUPER_OFFSET;
}

int arena_resident_pages(const struct arena *arena, ref_t page, uint32_t nr_pages, uint64_t *bitmap)
{
	off_t start = (off_t)(page << ARENA_REF_SHIFT);
	off_t end = start + ((off_t)nr_pages << ZT_PAGE_SHIFT);
	off_t data = start, hole = start;

	memset(bitmap, 0, (nr_pages + 63) / 64 * sizeof(*bitmap));
	for (;;) {
		data = lseek(arena->fd, hole, SEEK_DATA);
		if (data < 0 && errno != ENXIO)
			return -errno;
		if (data < 0 || data >= end)
			return 0;
		hole = lseek(arena->fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		if (hole > end)
			hole = end;
		for (off_t i = data - start; i < hole - start; i += ZT_PAGE_SIZE) {
			uint64_t idx = (uint64_t)i >> ZT_PAGE_SHIFT;

			bitmap[idx / 64] |= UINT64_C(1) << (idx % 64);
		}
		if (hole == end)
			return 0;
	}
}
