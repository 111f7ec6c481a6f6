/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * borrow.h - an arena whose contents are only read, and stand in the file that it was loaded from: the
 * pages of some runs are not in the memfd.
 *
 * Such an arena says so in its superblock, so that nobody takes what is not there for zeros.
 *
 * Context: one thread, before arena_attach().
 */
#ifndef ZT_ARENA_BORROW_H
#define ZT_ARENA_BORROW_H

#include "arena/arena.h"

/* Pages of a range, a bit each. Zeros: none. */
struct arena_pages {
	uint64_t *bits;
	uint64_t first, nr; /* of the first bit, and bits */
};

/** arena_head_pages() - pages at the beginning of a range of so many bytes that arena_borrow() needs */
uint64_t arena_head_pages(uint64_t reserve);

/**
 * arena_borrow() - the memfd @fd holds the first pages of an arena: it borrows from now on
 * @borrowed: whether pages of runs of this user (arena_run.user) stay outside
 * @text: out on errors: one sentence
 * @out_kept: all other pages of runs, which the memfd is to get; arena_pages_exit() frees it
 * Return: 0; -EUCLEAN it is no arena, or borrows already; -EPROTONOSUPPORT; -ENOMEM; what mmap(2) says.
 */
int arena_borrow(int fd, bool (*borrowed)(uint32_t user), char text[256],
		 struct arena_pages *out_kept) ZT_MUST_CHECK;

/** arena_pages_has() - any @page */
bool arena_pages_has(const struct arena_pages *pages, uint64_t page);

void arena_pages_exit(struct arena_pages *pages);

#endif
