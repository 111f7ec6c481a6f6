/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * image_i.h - an image that is open: its header and table, checked. For the files of this folder.
 */
#ifndef ZT_IMAGE_IMAGE_I_H
#define ZT_IMAGE_IMAGE_I_H

#include "image/image.h"

struct image {
	int fd;
	union {
		struct image_header header;
		char page[ZT_PAGE_SIZE];
	} first;
	char *table; /* extents, then sums */
	size_t table_size;
	uint64_t nr_blocks;
	char *block; /* IMAGE_BLOCK_BYTES */
	uint64_t out_pages, out_units; /* of a spill file, and how long that must be */
	int spill_fd; /* or -1; not owned */
};

/* image_extent_at(), image_sum_at() - of the table; @idx and @block are in it */
struct image_extent image_extent_at(const struct image *image, uint64_t idx);
uint64_t image_sum_at(const struct image *image, uint64_t block);

#endif
