// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stock.c - memory of the arena kept ready ahead of need, for a mount that carries swap.
 *
 *     backed, in runs | backed, ready: the stock | not backed
 *                     `-- the grower keeps it filled, and gives back what is too much
 *
 * While the machine is out of memory, no thread that stores a page may ask the kernel for memory:
 * the kernel waits for that page to be stored. So one thread, the grower, backs granules of the
 * range before they are wanted. A run is then nothing but a piece of what is backed; populating it
 * zeroes it, punching it does nothing, and freeing it gives it back to the stock.
 *
 * How much the grower may take is granted from outside (arena_stock_grant()). It must leave memory
 * to the kernel's side of a request. It must not ask the kernel for memory that is not there, since
 * it would then sleep for up to a second. When the kernel's side has none all the same, a part of
 * the stock goes back.
 *
 * The grower runs before other threads (SCHED_FIFO), which also lets it take half of what the
 * kernel keeps from others. It takes memory in small steps, and faults it in without arena.lock. A
 * thread that finds the stock low waits for it, three seconds at most, and then fails.
 *
 * Locks: arena.lock; nothing is called under it. Weakness: a run cannot lie where granules were
 * given back until they are backed again, so runs longer than a granule may have to wait although
 * enough is ready.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "arena/arena.h"
#include "arena/arena_i.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/lock.h"

/* More than that above the target goes back: an eighth of it, and 256 KiB. */
#define SLACK(target) ((target) / 8 + 64)
/* Less is next to nothing: 1 MiB, a quarter of what may be under way at a time. */
#define FLOOR_PAGES 256u
/* So much is not given back: 256 KiB. */
#define KEEP_PAGES 64u
/* A run waits so long for memory. */
#define WAIT_NS (3 * ZT_NS_PER_S)
/* The grower tries again so long after the kernel had nothing. */
#define RETRY_NS (ZT_NS_PER_S / 100)
/* Chunks of the largest range: 64 GiB. */
#define MAX_CHUNKS 16384u
/* 170 bytes a MiB are what zspages take at most. */
#define STOCK_HEAP_MIN   (16 * KIB)
#define STOCK_HEAP_SHARE 4096u

static struct timespec deadline_after(uint64_t ns)
{
	return zt_timespec(zt_now_ns() + ns);
}

static uint64_t ready_pages(const struct stock *stock)
{
	return atomic_load_explicit(&stock->ready, memory_order_relaxed);
}

static uint64_t pages_floor(const struct stock *stock)
{
	return min_u64(stock->target, FLOOR_PAGES);
}

/* Also by a thread that was woken and has not run yet. */
static bool is_waited_for(const struct stock *stock)
{
	return atomic_load_explicit(&stock->waiting, memory_order_relaxed) != 0;
}

/* What the grower may take now. */
static uint64_t *grant_of(struct stock *stock)
{
	bool urgent = ready_pages(stock) < pages_floor(stock) || is_waited_for(stock);

	return urgent ? &stock->grant.urgent : &stock->grant.more;
}

/*
 * Never while somebody waits: what is ready may lie in pieces, and the granule that was just made for
 * the one who waits would go before that thread has run.
 */
static bool may_give_back(const struct stock *stock)
{
	uint64_t ready = ready_pages(stock);

	if (is_waited_for(stock))
		return false;
	if (stock->grant.back >= STOCK_GRANULE_PAGES)
		return ready >= KEEP_PAGES + STOCK_GRANULE_PAGES;
	return ready > stock->target + SLACK(stock->target);
}

/* The lock is held, so that adding is no race. */
static void ready_add(struct stock *stock, int64_t pages)
{
	atomic_fetch_add_explicit(&stock->ready, (uint64_t)pages, memory_order_relaxed);
}

/* ---- what the grower does; the lock is held between the steps, not in them ---- */

static ref_t granule_ref(const struct arena *arena, uint32_t page)
{
	return page_to_ref((uint64_t)arena->first_page + page);
}

static bool may_grow(struct arena *arena)
{
	struct stock *stock = &arena->stock;

	if (ready_pages(stock) >= stock->target && stock->want_order == 0)
		return false;
	return *grant_of(stock) >= STOCK_GRANULE_PAGES;
}

/* Of both, since they are the same memory. */
static void grant_use(struct stock *stock, uint64_t pages)
{
	stock->grant.more -= min_u64(stock->grant.more, pages);
	stock->grant.urgent -= min_u64(stock->grant.urgent, pages);
}

/* A chunk for which there are no granules yet; 0 or -ENOSPC, -ENOMEM. */
static int add_chunk(struct arena *arena) ZT_REQUIRES(&arena->lock)
{
	uint32_t idx = arena->buddy.nr_used;
	int error;

	if (idx == arena->buddy.nr_chunks)
		return -ENOSPC;
	mutex_unlock(&arena->lock);
	error = arena_back_chunk(arena, idx);
	mutex_lock(&arena->lock);
	if (error)
		return error;
	/* Pairs with the load in run.c: a thread that sees the new end may read the new entries. */
	atomic_store_explicit(&arena->map_end, (idx + 1) * BUDDY_CHUNK_PAGES, memory_order_release);
	buddy_grow_taken(&arena->buddy);
	return 0;
}

/*
 * What is ready counts as used. So much of the limit stays for the heap that zspages need, or pages
 * that are ready could not be put to use.
 */
static bool leaves_heap(const struct arena *arena)
{
	uint64_t limit = atomic_load_explicit(&arena->limit, memory_order_relaxed);
	uint64_t used = atomic_load_explicit(&arena->used, memory_order_relaxed);

	return limit == 0 || used + STOCK_GRANULE_PAGES * ZT_PAGE_SIZE + STOCK_HEAP_MIN +
					     limit / STOCK_HEAP_SHARE <=
				     limit;
}

/* Back the lowest granule that is not; 0 or -ENOSPC, -ENOMEM. */
static int grow_step(struct arena *arena) ZT_REQUIRES(&arena->lock)
{
	struct stock *stock = &arena->stock;
	uint32_t chunk = 0, page;
	unsigned bit;
	int error = 0;

	while (chunk < arena->buddy.nr_used && stock->backed[chunk] == UINT64_MAX)
		chunk++;
	if (chunk == arena->buddy.nr_used)
		error = add_chunk(arena);
	if (error)
		return error;
	grant_use(stock, STOCK_GRANULE_PAGES);
	bit = (unsigned)__builtin_ctzll(~stock->backed[chunk]);
	page = chunk * BUDDY_CHUNK_PAGES + bit * STOCK_GRANULE_PAGES;
	mutex_unlock(&arena->lock);
	error = leaves_heap(arena)
			? arena_back(arena, granule_ref(arena, page), STOCK_GRANULE_PAGES)
			: -ENOSPC;
	mutex_lock(&arena->lock);
	if (error)
		return error;
	stock->backed[chunk] |= UINT64_C(1) << bit;
	buddy_free(&arena->buddy, page, STOCK_GRANULE_ORDER);
	ready_add(stock, STOCK_GRANULE_PAGES);
	stock->want_order = 0;
	stock->full = false;
	stock->dry = false;
	cond_broadcast(&stock->more);
	return 0;
}

/* Give a granule back; false when there is nothing to give. */
static bool shrink_step(struct arena *arena) ZT_REQUIRES(&arena->lock)
{
	struct stock *stock = &arena->stock;
	uint32_t page;

	if (!may_give_back(stock) || !buddy_alloc(&arena->buddy, STOCK_GRANULE_ORDER, &page))
		return false;
	stock->grant.back -= min_u64(stock->grant.back, STOCK_GRANULE_PAGES);
	stock->backed[page / BUDDY_CHUNK_PAGES] &=
		~(UINT64_C(1) << (page % BUDDY_CHUNK_PAGES / STOCK_GRANULE_PAGES));
	ready_add(stock, -(int64_t)STOCK_GRANULE_PAGES);
	mutex_unlock(&arena->lock);
	arena_unback(arena, granule_ref(arena, page), STOCK_GRANULE_PAGES);
	mutex_lock(&arena->lock);
	stock->full = false;
	return true;
}

static void *grower_thread(void *arg)
{
	struct arena *arena = arg;
	struct stock *stock = &arena->stock;
	struct timespec until;
	bool grows;
	int error;

	mutex_lock(&arena->lock);
	while (!stock->stop) {
		stock->idle = stock->paused;
		if (stock->paused) {
			cond_broadcast(&stock->more);
			cond_wait(&stock->wanted, &arena->lock);
			continue;
		}
		grows = may_grow(arena);
		error = grows ? grow_step(arena) : 0;
		/* A step releases the lock: a signal that was sent meanwhile reached nobody. */
		if (stock->stop || stock->paused)
			continue;
		if (error == -ENOMEM) {
			until = deadline_after(RETRY_NS);
			(void)cond_wait_until(&stock->wanted, &arena->lock, &until);
		} else if (error) {
			/* Nobody waits for what will not come. */
			stock->full = true;
			cond_broadcast(&stock->more);
			cond_wait(&stock->wanted, &arena->lock);
		} else if (!grows && !shrink_step(arena)) {
			cond_wait(&stock->wanted, &arena->lock);
		}
	}
	mutex_unlock(&arena->lock);
	return NULL;
}

/* ---- what others do; the lock is held ---- */

static bool take_block(struct arena *arena, uint32_t nr_pages, uint32_t *out_page)
{
	unsigned order = buddy_order(nr_pages);
	uint32_t page, end;

	if (!buddy_alloc(&arena->buddy, order, &page))
		return false;
	*out_page = page;
	/* The tail goes back, in blocks as large as their place allows. */
	end = page + (1u << order);
	for (page += nr_pages; page < end; page += 1u << order) {
		order = (unsigned)__builtin_ctz(page);
		buddy_free(&arena->buddy, page, order);
	}
	ready_add(&arena->stock, -(int64_t)nr_pages);
	return true;
}

/* Return: false when the time is over. */
static bool wait_more(struct arena *arena, const struct timespec *until) ZT_REQUIRES(&arena->lock)
{
	struct stock *stock = &arena->stock;
	bool in_time;

	atomic_fetch_add_explicit(&stock->waiting, 1, memory_order_relaxed);
	cond_signal(&stock->wanted);
	in_time = cond_wait_until(&stock->more, &arena->lock, until);
	/* A wish goes with those who had it; a thread that waits on has it anew. */
	if (atomic_fetch_sub_explicit(&stock->waiting, 1, memory_order_relaxed) == 1)
		stock->want_order = 0;
	stock->dry |= !in_time;
	return in_time;
}

int stock_take(struct arena *arena, uint32_t nr_pages, uint32_t *out_page)
{
	struct stock *stock = &arena->stock;
	struct timespec until;
	bool waited = false;

	while (!take_block(arena, nr_pages, out_page)) {
		/*
		 * A thread that takes a run may hold what others want, and most have waited before.
		 * One after the other, for each run, would be minutes.
		 */
		if (stock->full || stock->dry) {
			atomic_fetch_add_explicit(&stock->timeouts, 1, memory_order_relaxed);
			return -ENOSPC;
		}
		if (!waited) {
			waited = true;
			until = deadline_after(WAIT_NS);
			atomic_fetch_add_explicit(&stock->waits, 1, memory_order_relaxed);
		}
		if (ready_pages(stock) >= nr_pages)
			stock->want_order = buddy_order(nr_pages);
		(void)wait_more(arena, &until); /* it says so by stock->dry */
	}
	if (ready_pages(stock) < stock->target)
		cond_signal(&stock->wanted);
	return 0;
}

void stock_give(struct arena *arena, uint32_t page, uint32_t nr_pages)
{
	struct stock *stock = &arena->stock;
	uint32_t end = page + nr_pages;

	/* In blocks as large as place and length allow: a run is cut from a block of its order. */
	while (page < end) {
		unsigned order = buddy_order(end - page);

		while ((page & ((1u << order) - 1)) || page + (1u << order) > end)
			order--;
		buddy_free(&arena->buddy, page, order);
		page += 1u << order;
	}
	ready_add(stock, nr_pages);
	stock->dry = false;
	cond_broadcast(&stock->more);
	if (stock->full || may_give_back(stock))
		cond_signal(&stock->wanted);
}

/* Pages that are waited for in favour of @bytes. */
static uint64_t pages_for(const struct stock *stock, uint64_t bytes)
{
	return min_u64(div_round_up_u64(bytes, ZT_PAGE_SIZE), pages_floor(stock) / 2);
}

bool arena_stock_lacks(const struct arena *arena, uint64_t bytes)
{
	return ready_pages(&arena->stock) < pages_for(&arena->stock, bytes);
}

void arena_stock_wait(struct arena *arena, uint64_t bytes)
{
	struct stock *stock = &arena->stock;
	uint64_t pages = pages_for(stock, bytes);
	struct timespec until;

	if (likely(ready_pages(stock) >= pages))
		return;
	until = deadline_after(WAIT_NS);
	atomic_fetch_add_explicit(&stock->waits, 1, memory_order_relaxed);
	mutex_lock(&arena->lock);
	while (ready_pages(stock) < pages && !stock->full && wait_more(arena, &until))
		;
	mutex_unlock(&arena->lock);
}

void arena_stock_grant(struct arena *arena, const struct arena_grant *grant)
{
	struct stock *stock = &arena->stock;

	if (!arena_is_stocked(arena))
		return;
	mutex_lock(&arena->lock);
	stock->grant = *grant;
	if (may_grow(arena) || may_give_back(stock))
		cond_signal(&stock->wanted);
	mutex_unlock(&arena->lock);
}

bool arena_stock_is_short(const struct arena *arena)
{
	return atomic_load_explicit(&arena->stock.waiting, memory_order_relaxed) != 0;
}

void stock_pause(struct arena *arena, bool paused)
{
	struct stock *stock = &arena->stock;

	if (!stock->has_thread)
		return;
	mutex_lock(&arena->lock);
	stock->paused = paused;
	cond_signal(&stock->wanted);
	while (paused && !stock->idle)
		cond_wait(&stock->more, &arena->lock);
	mutex_unlock(&arena->lock);
}

void stock_retry(struct arena *arena)
{
	mutex_lock(&arena->lock);
	cond_signal(&arena->stock.wanted);
	mutex_unlock(&arena->lock);
}

/* ---- life ---- */

static int start_grower(struct arena *arena)
{
	struct stock *stock = &arena->stock;
	struct sched_param param = { .sched_priority = stock->priority };
	int error = pthread_create(&stock->thread, NULL, grower_thread, arena);

	if (error)
		return -error;
	stock->has_thread = true;
	(void)pthread_setname_np(stock->thread, "zt-grower");
	if (stock->priority)
		error = pthread_setschedparam(stock->thread, SCHED_FIFO, &param);
	return -error;
}

/* Filled, or -ENOSPC when the limit is smaller, -ENOMEM when the machine does not have it. */
static int wait_filled(struct arena *arena)
{
	struct stock *stock = &arena->stock;
	struct timespec until;
	int error;

	until = deadline_after(3 * WAIT_NS);
	mutex_lock(&arena->lock);
	while (ready_pages(stock) < stock->target && !stock->full &&
	       cond_wait_until(&stock->more, &arena->lock, &until))
		;
	if (ready_pages(stock) >= stock->target)
		error = 0;
	else
		error = stock->full ? -ENOSPC : -ENOMEM;
	mutex_unlock(&arena->lock);
	return error;
}

int stock_prepare(struct arena *arena, const struct arena_params *params)
{
	struct stock *stock = &arena->stock;

	if (params->stock == 0)
		return 0;
	if (params->reserve == 0 || arena->buddy.nr_chunks > MAX_CHUNKS)
		return -EINVAL;
	stock->backed = zt_zalloc(arena->buddy.nr_chunks * sizeof(*stock->backed));
	if (!stock->backed)
		return -ENOMEM;
	if (params->stock_lock && mlock2(arena->head.base, arena->reserve, MLOCK_ONFAULT) != 0) {
		int error = -errno;

		zt_free(stock->backed);
		return error;
	}
	buddy_touch(&arena->buddy);
	cond_init(&stock->wanted);
	cond_init(&stock->more);
	/* Where an earlier process has died memory may be short, and what is there must do. */
	if (!arena->attaching.active)
		stock->grant = (struct arena_grant){ .more = UINT64_MAX, .urgent = UINT64_MAX };
	stock->priority = params->stock_priority;
	stock->target = max_u64(div_round_up_u64(params->stock, ZT_PAGE_SIZE), STOCK_GRANULE_PAGES);
	return 0;
}

int stock_start(struct arena *arena, bool fill)
{
	int error;

	if (!arena_is_stocked(arena))
		return 0;
	error = start_grower(arena);
	if (!error && fill)
		error = wait_filled(arena);
	return error;
}

void stock_exit(struct arena *arena)
{
	struct stock *stock = &arena->stock;

	if (stock->target == 0)
		return;
	if (stock->has_thread) {
		mutex_lock(&arena->lock);
		stock->stop = true;
		cond_signal(&stock->wanted);
		mutex_unlock(&arena->lock);
		zt_lock_check(pthread_join(stock->thread, NULL));
	}
	cond_exit(&stock->wanted);
	cond_exit(&stock->more);
	zt_free(stock->backed);
	stock->target = 0;
}
