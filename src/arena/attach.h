/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach.h - an arena that outlives the process that made it: its superblock, and how another
 * process finds everything again.
 *
 * Only the memfd is handed over. A process that attaches reads the superblock, maps the range, and
 * rebuilds from the page map what stands on the heap: free blocks and counters. Users of runs
 * rebuild their own state between arena_attach() and arena_attach_end().
 */
#ifndef ZT_ARENA_ATTACH_H
#define ZT_ARENA_ATTACH_H

#include "arena/arena.h"

/* What the last process left: changed by one store. */
enum arena_state {
	ARENA_CLEAN = 1, /* detached: nothing is half done */
	ARENA_SERVING, /* in use, or killed */
	ARENA_RECOVERING, /* killed, and the one that attached was not through */
};

/* What arena_attach() has put right, in pages. */
struct arena_repairs {
	uint64_t map_entries; /* entries of the page map that belonged to no run */
	uint64_t stray_pages; /* populated, in no run */
	uint64_t empty_runs; /* runs that were taken and never put to use */
};

/**
 * arena_attach() - an arena by its memfd, whatever its last process was doing
 * @params: as for arena_create(), but for reserve, which the superblock says
 * @fd: the arena's on success; the caller's as before on errors
 * @text: out on errors: one sentence
 *
 * Until arena_attach_end() no limit refuses anything, arena_attach_resident() says what is
 * populated, and one thread uses the arena. On errors the memfd is as usable as before.
 * Return: 0; -EUCLEAN it is no arena, or damaged; -EPROTONOSUPPORT another layout, or something in
 * it
 *         that this program does not know; -EINVAL; -ENOMEM; what system calls say.
 */
int arena_attach(const struct arena_params *params, int fd, char text[256],
		 struct arena **out_arena) ZT_MUST_CHECK;

/**
 * arena_probe() - whether arena_attach() would know what it is, while another process uses it
 * @page: filled with the arena's first page; aligned to 8 bytes
 * @out_super: arena_super() of it, in @page
 * Return: 0; as arena_attach(), with a sentence.
 */
int arena_probe(int fd, char page[ZT_PAGE_SIZE], char text[256],
		const void **out_super) ZT_MUST_CHECK;

/**
 * arena_attach_end() - all is rebuilt: the limit holds
 * A stock has what was left in it, and grows as arena_stock_grant() allows.
 * Return: 0; -errno of pthread_create().
 */
int arena_attach_end(struct arena *arena) ZT_MUST_CHECK;

/**
 * arena_attach_resident() - which pages of a run are populated, as they were at arena_attach(); as
 * arena_resident_pages(), without a system call
 */
void arena_attach_resident(const struct arena *arena, ref_t page, uint32_t nr_pages,
			   uint64_t *bitmap);

/** arena_attach_drop() - a run of which no page is populated is given back, and counted */
void arena_attach_drop(struct arena *arena, ref_t ref);

/** arena_get_repairs() - what was put right; zeros for an arena that was made */
void arena_get_repairs(const struct arena *arena, struct arena_repairs *out);

/**
 * arena_detach() - free what is on the heap and unmap; what stands in the memfd stays
 * @out_fd: the memfd, the caller's now; NULL: closed
 * What was charged by arena_heap_alloc() and arena_set_aside() has been given back.
 */
void arena_detach(struct arena *arena, int *out_fd);

/** arena_layout() - the version of all that an arena holds */
uint32_t arena_layout(void);

/** arena_fd() - its memfd, for handing over; stays the arena's */
int arena_fd(const struct arena *arena);

/**
 * arena_set_spills() - from here on, programs that know nothing of spill files refuse it
 * Context: before the memfd is anybody else's, or where the arena says so already.
 */
void arena_set_spills(struct arena *arena);

/** arena_set_state() - one store */
void arena_set_state(struct arena *arena, enum arena_state state);

/** arena_last_state() - what it was when this process got it; ARENA_CLEAN when it made it */
enum arena_state arena_last_state(const struct arena *arena);

/** arena_life() - processes that have had it so far, this one included */
uint32_t arena_life(const struct arena *arena);

/** arena_uuid() - 16 bytes: the same in all lives, another in every arena */
const uint8_t *arena_uuid(const struct arena *arena);

#endif
