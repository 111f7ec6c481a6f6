/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * buddy.h - where free page runs are: a buddy allocator over page numbers, volatile.
 *
 * The range is cut into chunks of 1024 pages (4 MiB), the largest block. In each chunk the blocks
 * are the nodes of a binary tree, numbered as in a heap:
 *
 *     node 1                  the whole chunk             order 10
 *     nodes 2, 3              its halves                  order 9
 *     nodes 1024..2047        single pages                order 0
 *
 * A bit per node says that the block is free and its buddy (node ^ 1) is not, or it is the whole
 * chunk: free blocks are always joined. 288 bytes per chunk describe 4 MiB, and memory is touched
 * only for chunks in use, lowest addresses first.
 *
 * No locks: the caller holds arena.lock.
 */
#ifndef ZT_ARENA_BUDDY_H
#define ZT_ARENA_BUDDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"

#define BUDDY_MAX_ORDER   10u
#define BUDDY_CHUNK_PAGES (1u << BUDDY_MAX_ORDER)
#define BUDDY_NR_NODES    (2 * BUDDY_CHUNK_PAGES)

struct buddy_chunk {
	uint64_t free[BUDDY_NR_NODES / 64]; /* bit per node; bit 0 is unused */
	uint16_t nr_free[BUDDY_MAX_ORDER + 1]; /* set bits of each order */
};

struct buddy {
	struct buddy_chunk *chunks; /* nr_chunks of them, of which the first nr_used are in use */
	uint64_t *has[BUDDY_MAX_ORDER + 1]; /* per order, bit per chunk: nr_free is not 0 */
	uint32_t lowest[BUDDY_MAX_ORDER + 1]; /* per order: no chunk below it has a free block */
	uint64_t nr_free[BUDDY_MAX_ORDER + 1]; /* sums of the chunks' */
	uint32_t nr_chunks;
	uint32_t nr_used;
	size_t mapped; /* bytes of the mapping behind chunks and has[] */
};

/** buddy_order() - the smallest block that holds @nr_pages, 1..BUDDY_CHUNK_PAGES */
static inline unsigned buddy_order(uint32_t nr_pages)
{
	return nr_pages <= 1 ? 0 : 32 - (unsigned)__builtin_clz(nr_pages - 1);
}

/**
 * buddy_init() - nothing free, no chunk in use
 * Return: 0 or -ENOMEM.
 */
int buddy_init(struct buddy *buddy, uint32_t nr_chunks) ZT_MUST_CHECK;

/** buddy_exit() - after buddy_init(), whatever is free */
void buddy_exit(struct buddy *buddy);

/** buddy_grow() - put the next chunk in use, all free; nr_used < nr_chunks */
void buddy_grow(struct buddy *buddy);

/** buddy_grow_taken() - put the next chunk in use, nothing of it free */
void buddy_grow_taken(struct buddy *buddy);

/** buddy_free_rest() - free the pages of a chunk just put in use that are not @taken; a bit a page */
void buddy_free_rest(struct buddy *buddy, uint32_t chunk_idx,
		     const uint64_t taken[BUDDY_CHUNK_PAGES / 64]);

/** buddy_touch() - have all memory that growing will need now */
void buddy_touch(struct buddy *buddy);

/** buddy_alloc() - take a block from what is free; false when none is large enough */
bool buddy_alloc(struct buddy *buddy, unsigned order, uint32_t *out_page);

/** buddy_free() - give a block back and join it with its free buddies */
void buddy_free(struct buddy *buddy, uint32_t page, unsigned order);

/**
 * buddy_check() - compare a chunk with what the page map says
 * @taken: bit per page of the chunk: it lies in an allocated block
 * Return: false when they differ.
 */
bool buddy_check(const struct buddy *buddy, uint32_t chunk_idx,
		 const uint64_t taken[BUDDY_CHUNK_PAGES / 64]);

/** buddy_check_sums() - compare the sums with the chunks; false when they differ */
bool buddy_check_sums(const struct buddy *buddy);

#endif
