// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pages.c - the pages of an image where they stand: found by their place in the range, and checked by
 * block when they are first used. See pages.h.
 *
 * Locks: none. Two threads may check one block, and come to the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "image/io.h"
#include "image/pages_i.h"
#include "util/alloc.h"
#include "util/log.h"

/* ---- life ---- */

static int map_file(struct image_pages *pages)
{
	const struct image_header *header = image_header(pages->image);
	void *base;

	pages->len = (size_t)(1 + header->nr_pages) << ZT_PAGE_SHIFT;
	base = mmap(NULL, pages->len, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, pages->fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	(void)madvise(base, pages->len, MADV_DONTDUMP); /* or a core is large */
	pages->base = base;
	return 0;
}

static int make_tables(struct image_pages *pages)
{
	const uint64_t nr = image_header(pages->image)->nr_extents;
	uint64_t sum = 0;

	pages->starts = zt_map(nr * sizeof(*pages->starts));
	pages->states = zt_map(pages->image->nr_blocks * sizeof(*pages->states));
	if (!pages->starts || !pages->states)
		return -ENOMEM;
	for (uint64_t i = 0; i < nr; i++) {
		pages->starts[i] = sum;
		sum += image_extent_at(pages->image, i).nr_pages;
	}
	return 0;
}

/* What is read of the file is read behind the guard. */
static int open_all(struct image_pages *pages, int fd, bool again, char text[256])
{
	struct stat st;
	int error;

	snprintf(text, 256, "the image cannot be read");
	pages->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (pages->fd < 0 || fstat(pages->fd, &st) != 0)
		return -errno;
	pages->changed = st.st_ctim;
	error = pages_guard(pages);
	if (error == -ETXTBSY && again) {
		atomic_store(&pages->written, true);
		error = 0;
	}
	if (error == -ETXTBSY)
		snprintf(text, 256, "somebody has it open for writing");
	if (!error)
		error = image_open(pages->fd, text, &pages->image);
	if (error)
		return error;
	error = make_tables(pages);
	return error ? error : map_file(pages);
}

int image_pages_open(int fd, const char *name, bool again, char text[256],
		     struct image_pages **out_pages)
{
	struct image_pages *pages = zt_zalloc(sizeof(*pages));
	int error = -ENOMEM;

	snprintf(text, 256, "the image cannot be read");
	if (!pages)
		return error;
	pages->fd = -1;
	pages->name = name;
	error = open_all(pages, fd, again, text);
	if (error)
		image_pages_close(pages);
	else
		*out_pages = pages;
	return error;
}

void image_pages_close(struct image_pages *pages)
{
	if (!pages)
		return;
	pages_unguard(pages);
	if (pages->base)
		(void)munmap(pages->base, pages->len); /* it is ours */
	if (pages->image) {
		zt_unmap(pages->starts,
			 image_header(pages->image)->nr_extents * sizeof(*pages->starts));
		zt_unmap(pages->states, pages->image->nr_blocks * sizeof(*pages->states));
	}
	image_close(pages->image);
	if (pages->fd >= 0)
		close(pages->fd);
	zt_free(pages);
}

struct image *image_pages_image(struct image_pages *pages)
{
	return pages->image;
}

/* ---- use ---- */

/* The last extent that begins at @page or in front of it. Return: whether there is one. */
static bool find_extent(const struct image *image, uint64_t page, uint64_t *out_idx)
{
	uint64_t from = 0, to = image->first.header.nr_extents;

	while (from < to) {
		const uint64_t mid = from + (to - from) / 2;

		if (image_extent_at(image, mid).page <= page)
			from = mid + 1;
		else
			to = mid;
	}
	*out_idx = from - 1;
	return from > 0;
}

const char *image_pages_find(const struct image_pages *pages, uint64_t at, size_t len)
{
	const uint64_t first = at >> ZT_PAGE_SHIFT, last = (at + len - 1) >> ZT_PAGE_SHIFT;
	struct image_extent extent;
	uint64_t idx;

	if (!find_extent(pages->image, first, &idx))
		return NULL;
	extent = image_extent_at(pages->image, idx);
	if (last >= (uint64_t)extent.page + extent.nr_pages)
		return NULL;
	return pages->base + ((1 + pages->starts[idx] + first - extent.page) << ZT_PAGE_SHIFT) +
	       at % ZT_PAGE_SIZE;
}

/* The blocks that bytes of the mapping lie in. */
static void blocks_of(const struct image_pages *pages, const char *data, size_t len,
		      uint64_t *out_first, uint64_t *out_last)
{
	const uint64_t at = (uint64_t)(data - pages->base) - ZT_PAGE_SIZE;

	*out_first = at / IMAGE_BLOCK_BYTES;
	*out_last = (at + len - 1) / IMAGE_BLOCK_BYTES;
}

static void tell(struct image_pages *pages, const char *what)
{
	if (!atomic_exchange(&pages->told, true))
		zt_log(ZT_LOG_ERR, "%s: %s: what needs it fails with %s", pages->name, what,
		       strerror(EIO));
}

/* It is read here, as a whole. */
static int check_block(struct image_pages *pages, uint64_t block)
{
	const size_t at = ZT_PAGE_SIZE + (size_t)block * IMAGE_BLOCK_BYTES;
	const size_t len = (size_t)min_u64(IMAGE_BLOCK_BYTES, pages->len - at);
	unsigned char was = BLOCK_UNKNOWN;
	bool good;

	if (atomic_load(&pages->states[block]) == BLOCK_GOOD)
		return 0;
	if (atomic_load(&pages->states[block]) == BLOCK_BAD)
		return -EIO;
	(void)madvise(pages->base + at, len, MADV_WILLNEED); /* it only makes haste */
	good = XXH3_64bits(pages->base + at, len) == image_sum_at(pages->image, block);
	/* Unless a page has turned to zeros since. */
	if (good && atomic_compare_exchange_strong(&pages->states[block], &was, BLOCK_GOOD))
		return 0;
	if (good && was == BLOCK_GOOD)
		return 0;
	atomic_store(&pages->states[block], BLOCK_BAD);
	return -EIO;
}

int image_pages_check(struct image_pages *pages, const char *data, size_t len)
{
	uint64_t first, last;
	int error = 0;

	blocks_of(pages, data, len, &first, &last);
	for (uint64_t block = first; block <= last && !error; block++)
		error = check_block(pages, block);
	if (error)
		tell(pages, "a part of the image is not as it was saved, or cannot be read");
	return error;
}

bool image_pages_held(struct image_pages *pages, const char *data, size_t len)
{
	uint64_t first, last;
	bool held = true;

	if (pages_are_written(pages)) {
		tell(pages, "the image was opened for writing, or has changed");
		return false;
	}
	blocks_of(pages, data, len, &first, &last);
	for (uint64_t block = first; block <= last; block++)
		held &= atomic_load(&pages->states[block]) == BLOCK_GOOD;
	if (!held)
		tell(pages, "a part of the image has gone");
	return held;
}
