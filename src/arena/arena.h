/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arena.h - the one memory region that holds everything a mount must remember.
 *
 * The arena is one memfd, mapped shared once at a reserved address range. It hands out page runs:
 * consecutive pages of the range. A run costs nothing until its pages are populated, and populated
 * pages go back to the system with a hole punch, so that what the arena says it holds equals what
 * the memfd holds (fstat().st_blocks).
 *
 * Canonical state (what survives in the memfd): the superblock in page 0, the page map behind it
 * (one word per page that says which run it belongs to, see pagemap.h), and what the users of runs
 * store in them.
 * It holds no pointers and no locks: places are refs. Volatile state (on the heap, rebuilt from the
 * page map): the free runs and the counters.
 *
 * The range is plentiful (a run is placed at a power of two and may waste addresses, never memory).
 *
 * Lock order: arena.lock is the innermost lock of the program; nothing is called under it.
 */
#ifndef ZT_ARENA_ARENA_H
#define ZT_ARENA_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena/backing.h"
#include "util/compiler.h"
#include "util/sizes.h"

/*
 * A ref is a place in the arena: its offset in units of 16 bytes. 0 is the superblock and thus
 * means "nothing" everywhere else. The range is at most 4 TiB, so 38 bits hold every ref.
 */
typedef uint64_t ref_t;
#define ARENA_REF_SHIFT 4
#define ARENA_REF_BITS  38

/* The longest run, in pages: 4 MiB. */
#define ARENA_RUN_MAX_PAGES 1024u

/* Blocks of 1 to ARENA_RUN_MAX_PAGES pages, by powers of two. */
#define ARENA_RUN_ORDERS 11u

/* Refs of neighbouring pages are this far apart. */
#define ARENA_PAGE_REFS ((ref_t)(ZT_PAGE_SIZE >> ARENA_REF_SHIFT))

/*
 * What a run is used for; a rebuild finds the runs of each user by it. 12 bits are the user's own.
 */
enum arena_run_type {
	ARENA_RUN_NONE = 0, /* free */
	ARENA_RUN_ZSPAGE = 1, /* a zspage; the user's bits name pool and class */
	ARENA_RUN_SPILL = 2, /* entries of what is out in a spill file; an arena with ARENA_SPILLS */
};

struct arena; /* one per mount */

struct arena_params {
	enum arena_backing backing;
	/*
	 * Bytes of address range: 8 MiB to 4 TiB, rounded down to 4 MiB; a 1024th of it and at most
	 * 8 MiB are lost to the page map. 0: 1 TiB, or what the machine gives, at least 1 GiB.
	 */
	uint64_t reserve;
	uint64_t limit; /* most bytes to hold: pages, heap, what is set aside; 0: no limit */
	/*
	 * Bytes of memory that are kept ready ahead of need; 0: memory comes when pages are
	 * populated. See stock.c. Wants @reserve, at most 64 GiB.
	 */
	uint64_t stock;
	bool stock_lock; /* lock all of it in memory: CAP_IPC_LOCK */
	int stock_priority; /* SCHED_FIFO for the thread that fills it: CAP_SYS_NICE; 0: none */
	/* With arena_attach(): pages of some runs stand elsewhere, and are the caller's (borrow.h). */
	bool borrows;
};

struct arena_stat {
	uint64_t resident; /* bytes populated now, superblock and page map included */
	uint64_t resident_max; /* the most that ever was */
	uint64_t heap; /* bytes by arena_heap_alloc(), and of tables that grow with the range */
	uint64_t aside; /* bytes by arena_set_aside() */
	uint64_t used; /* the sum of resident, heap and aside: what the limit bounds */
	uint64_t limit; /* bytes, 0: none */
	uint64_t spare; /* of these, kept for threads that may use it: arena_set_spare() */
	uint64_t run_bytes; /* bytes of address range that runs cover */
	uint64_t stock; /* bytes to keep ready; 0: none are */
	uint64_t stock_ready; /* bytes that are ready now */
	uint64_t stock_waits; /* times that somebody had to wait for it, */
	uint64_t stock_timeouts; /* and in vain */
};

/* How the range is cut that is in use so far. */
struct arena_range {
	uint64_t bytes; /* of range in use, runs and free blocks; what is behind was never needed */
	uint64_t run_bytes; /* of these, bytes of the blocks that runs have */
	uint64_t
		free[ARENA_RUN_ORDERS]; /* [i] counts free blocks of 2^i pages: the rest of bytes */
};

/** A run as the page map has it. The superblock and the page map belong to no run. */
struct arena_run {
	ref_t ref; /* its first page */
	uint32_t nr_pages;
	enum arena_run_type type;
	uint32_t user; /* the user's 12 bits */
};

/**
 * arena_create() - make an empty arena
 * @params: copied
 * @out_arena: set on success; the caller ends it with arena_destroy()
 *
 * Return: 0, -ENOMEM, -ENOSPC (limit too small for the arena's own first pages), -EINVAL, or what
 *         memfd_create() and mmap() say; of ARENA_UNSWAPPED -EPERM, or -EINVAL of an older kernel.
 */
int arena_create(const struct arena_params *params, struct arena **out_arena) ZT_MUST_CHECK;

/**
 * arena_lock_memory() - lock what is in the arena, and what will come: it is never swapped out
 * Return: 0; -errno of mlock2(2), -EPERM or -ENOMEM without CAP_IPC_LOCK.
 */
int arena_lock_memory(struct arena *arena) ZT_MUST_CHECK;

/** arena_destroy() - give everything back; NULL is allowed. No other thread may use the arena. */
void arena_destroy(struct arena *arena);

/* The base address never changes while the arena lives; it is the first member for arena_ptr(). */
struct arena_head {
	char *base;
};

/** arena_ptr() - the address of @ref; valid as long as what was allocated there. Lock-free. */
static inline void *arena_ptr(const struct arena *arena, ref_t ref)
{
	return ((const struct arena_head *)arena)->base + (ref << ARENA_REF_SHIFT);
}

/** arena_ref() - the ref of an address inside the arena that is 16-byte aligned. Lock-free. */
static inline ref_t arena_ref(const struct arena *arena, const void *ptr)
{
	return (ref_t)((const char *)ptr - ((const struct arena_head *)arena)->base) >>
	       ARENA_REF_SHIFT;
}

/**
 * arena_run_alloc() - take a run of pages, unpopulated
 * @nr_pages: 1..ARENA_RUN_MAX_PAGES
 * @type: not NONE
 * @user: 12 bits for the user
 *
 * The run's pages read as zero once populated. Touching an unpopulated page populates it behind the
 * arena's back: the user must not.
 *
 * Context: any thread; takes arena.lock; may populate a page of the page map. From an empty stock:
 *          waits for it, three seconds at most.
 * Return:  0, -ENOSPC (range used up, or the limit forbids a page of the page map; stock used up),
 *          -ENOMEM.
 */
int arena_run_alloc(struct arena *arena, uint32_t nr_pages, enum arena_run_type type, uint32_t user,
		    ref_t *out_ref) ZT_MUST_CHECK;

/**
 * arena_run_free() - give a run back
 * @ref: as arena_run_alloc() gave it
 *
 * The user has punched all pages that it populated.
 */
void arena_run_free(struct arena *arena, ref_t ref);

/**
 * arena_run_find() - the run that a place belongs to
 * @ref: any value
 *
 * Context: any thread; lock-free. What it says about a run that may be freed meanwhile means
 *          nothing.
 * Return:  false when no run covers @ref.
 */
bool arena_run_find(const struct arena *arena, ref_t ref, struct arena_run *out_run);

/**
 * arena_populate() - back pages with memory and charge them against the limit
 * @page: ref of a page (page aligned)
 * @nr_pages: that many pages, all of one run, none of them populated
 *
 * Memory is allocated and zeroed by the kernel now, in one call, so that writing to it later cannot
 * fail. The caller sees to it that nobody else populates, punches or touches the same pages
 * meanwhile. In a stocked arena the memory is there already: it is zeroed, and this never fails.
 *
 * Context: any thread; takes no lock.
 * Return:  0; -ENOSPC over the limit; -ENOMEM the machine has no memory. On error none is
 *          populated.
 */
int arena_populate(struct arena *arena, ref_t page, uint32_t nr_pages) ZT_MUST_CHECK;

/**
 * arena_punch() - give the memory of pages back to the system
 * All @nr_pages are populated. They read as zero afterwards and are not populated. Cannot fail.
 * A stocked arena keeps the memory until the run is freed.
 * Context: any thread; takes no lock.
 */
void arena_punch(struct arena *arena, ref_t page, uint32_t nr_pages);

/**
 * arena_heap_alloc() - zeroed heap memory that grows with the content, charged against the limit
 * Large pieces are pages of their own, so that freeing them gives them back.
 *
 * Context: any thread; takes no lock.
 * Return:  0; -ENOSPC over the limit; -ENOMEM.
 */
int arena_heap_alloc(struct arena *arena, size_t size, void **out_ptr) ZT_MUST_CHECK;

/** arena_heap_free() - of the same @size; NULL is allowed */
void arena_heap_free(struct arena *arena, void *ptr, size_t size);

/**
 * arena_set_aside() - count bytes that are held elsewhere: streams, buffers, tables of fixed size;
 * or that are kept free for somebody (promise.h)
 * Return: 0; -ENOSPC when the limit leaves no space for them, and nothing is counted then.
 */
int arena_set_aside(struct arena *arena, uint64_t bytes) ZT_MUST_CHECK;

/** arena_unset_aside() - they are gone */
void arena_unset_aside(struct arena *arena, uint64_t bytes);

/** arena_pages() - pages of the range, populated or not: every ref lies in one of them */
uint64_t arena_pages(const struct arena *arena);

/** arena_set_limit() - change the limit; below what is held it only forbids growth */
void arena_set_limit(struct arena *arena, uint64_t limit);

/**
 * arena_set_spare() - keep the last @bytes below the limit for threads that may use them
 * It is for threads that give back more than they take, so that they can begin when all is used up.
 * Ignored as long as the limit is not larger.
 */
void arena_set_spare(struct arena *arena, uint64_t bytes);

/** arena_use_spare() - whether the calling thread may; at first it may not. For all arenas. */
void arena_use_spare(bool may);

/** arena_may_use_spare() - what the calling thread said last */
bool arena_may_use_spare(void);

/**
 * arena_refusals() - how often the limit of any arena refused the calling thread something
 * It tells whether an -ENOSPC comes from there.
 */
uint64_t arena_refusals(void);

/** arena_get_stat() - counters at this moment, without a lock */
void arena_get_stat(const struct arena *arena, struct arena_stat *out_stat);

/** arena_get_range() - counts of this moment. Context: any thread; takes arena.lock for a moment. */
void arena_get_range(struct arena *arena, struct arena_range *out_range);

/**
 * arena_memfd_bytes() - what the kernel says the memfd holds (st_blocks), for checks
 */
uint64_t arena_memfd_bytes(const struct arena *arena);

/**
 * arena_run_next() - walk all live runs in order of their place
 * @inout_cursor: 0 at first; the number of the page from which to look on
 *
 * Context: any thread. While others allocate or free runs, what it says is only a hint.
 * Return: false at the end.
 */
bool arena_run_next(const struct arena *arena, uint64_t *inout_cursor, struct arena_run *out_run);

/**
 * arena_resident_pages() - which pages of a run are populated, as the kernel has it
 * @bitmap: out: one bit per page, (nr_pages + 63) / 64 words
 *
 * Populated pages that were swapped out count too. Touches none of them.
 * Return: 0 or what lseek() says.
 */
int arena_resident_pages(const struct arena *arena, ref_t page, uint32_t nr_pages,
			 uint64_t *bitmap) ZT_MUST_CHECK;

/**
 * arena_super() - 2 KiB in page 0 that belong to the arena's user (the fs layer's super record)
 * Zero at first.
 */
#define ARENA_SUPER_SIZE 2048u
void *arena_super(const struct arena *arena);

/**
 * arena_check() - the walker: rebuild the volatile state from the page map and compare
 *
 * Context: nobody else uses the arena meanwhile.
 * Return: 0, or -EUCLEAN after a line on the log that says what differs.
 */
int arena_check(struct arena *arena) ZT_MUST_CHECK;

#endif
