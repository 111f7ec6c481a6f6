/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * format.h - what stands in an image, a file that holds a whole mount.
 *
 *     0         4096 ...                                                     size
 *     | header  | pages of the arena, those that exist | extents | sums of blocks |
 *
 * An extent says which pages of the arena the next ones of the file are; extents ascend. A block is
 * IMAGE_BLOCK_PAGES pages of the file, the last one fewer. The sum of the header covers the sum of
 * extents and sums, and that all blocks: it is the sum of the whole file, each byte of which counts.
 *
 * Pages behind the arena's range are units of a spill file: page reserve / page_size is unit 0. An image
 * that has such says so (IMAGE_SPILLED). Entries in the arena say what is in them; they are in the clear.
 *
 * Numbers are those of the machine that saved; order and page_size say which.
 */
#ifndef ZT_IMAGE_FORMAT_H
#define ZT_IMAGE_FORMAT_H

#include <assert.h>
#include <stdint.h>

#include "util/sizes.h"

#define IMAGE_MAGIC	  UINT64_C(0x656761696d2d747a) /* "zt-image" in memory order */
#define IMAGE_VERSION	  1u
#define IMAGE_ORDER	  UINT32_C(0x01020304)
#define IMAGE_BLOCK_PAGES 64u
#define IMAGE_NAME_MAX	  40u /* bytes of an algorithm's name, NUL included */
#define IMAGE_NR_SETTINGS 3u

/* Bits of incompat. */
#define IMAGE_SPILLED UINT64_C(1) /* pages of a spill file are in it */

/* What a person wants to know of an image, and what a program needs to know before it loads one. */
struct image_facts {
	int64_t saved_ns; /* since 1970 */
	uint64_t inodes; /* files, directories and others, the root included */
	uint64_t content; /* bytes that files contain, in whole pages */
	uint64_t stored; /* bytes of the objects that hold them */
	uint64_t dict_size, dict_sum; /* of dict=, or 0 */
	uint32_t arena_layout, fs_version; /* of what the pages hold */
	char compress[IMAGE_NAME_MAX], recompress[IMAGE_NAME_MAX]; /* algorithms; "": none */
	/* Of files with a setting of their own; "": none. */
	char settings[IMAGE_NR_SETTINGS][IMAGE_NAME_MAX];
	char release[32]; /* of the program that saved */
};
static_assert(sizeof(struct image_facts) == 288, "layout 1 of images");

/* The first page. What is not named here is 0. */
struct image_header {
	uint64_t magic;
	uint32_t version; /* of this layout */
	uint32_t order; /* IMAGE_ORDER as the saver's machine writes it */
	uint32_t page_size, block_pages;
	/* Bits: one of incompat that a program does not know forbids it the image; compat does not. */
	uint64_t compat, incompat;
	uint64_t size; /* bytes of the file */
	uint64_t reserve; /* bytes of the arena's range */
	uint64_t nr_pages; /* that are in the file */
	uint64_t nr_extents;
	uint64_t table_sum; /* of extents and sums of blocks */
	uint64_t sum; /* of the whole first page, with 0 here */
	struct image_facts facts;
};
static_assert(sizeof(struct image_header) <= ZT_PAGE_SIZE, "one page");

struct image_extent {
	uint32_t page, nr_pages; /* of the arena */
};
static_assert(sizeof(struct image_extent) == 8, "layout 1 of images");

/*
 * A process that has what an ended mount held has it in two memfds of these names: the range, and the
 * struct image_facts that an image of it would have.
 */
#define IMAGE_REMAINS_RANGE "ztmpfs"
#define IMAGE_REMAINS_FACTS "ztmpfs-remains"

#define IMAGE_RESERVE_MIN (8 * MIB)
#define IMAGE_RESERVE_MAX (4096 * GIB)

#endif
