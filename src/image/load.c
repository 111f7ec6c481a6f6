// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * load.c - an image is read: header and table are checked first, then each block, before anything
 * of it is used.
 *
 * Nothing is believed: sizes are held against the file's before memory is taken for them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "image/image_i.h"
#include "image/io.h"
#include "util/alloc.h"

static int damaged(char text[256], const char *what)
{
	snprintf(text, 256, "%s", what);
	return -EUCLEAN;
}

/* Return: 0; -EUCLEAN: it is shorter. */
static int read_all(int fd, void *data, size_t len, uint64_t at, char text[256])
{
	const int error = image_read(fd, data, len, at);

	if (error == -ENODATA)
		return damaged(text, "the image is cut: bytes are missing");
	if (error)
		snprintf(text, 256, "%s", strerror(-error));
	return error;
}

static int foreign(char text[256], const char *what, uint64_t is, uint64_t want)
{
	snprintf(text, 256, "the image has %s %" PRIu64 ", this program reads %" PRIu64, what, is,
		 want);
	return -EPROTONOSUPPORT;
}

/* What says whether the rest means what it does here; a later version may have another sum. */
static int check_kind(const struct image_header *header, char text[256])
{
	if (header->magic == __builtin_bswap64(IMAGE_MAGIC) ||
	    (header->magic == IMAGE_MAGIC && header->order == __builtin_bswap32(IMAGE_ORDER))) {
		snprintf(text, 256, "the image comes from a machine of another byte order");
		return -EPROTONOSUPPORT;
	}
	if (header->magic != IMAGE_MAGIC)
		return damaged(text, "the file is no image of a ztmpfs");
	if (header->order != IMAGE_ORDER)
		return damaged(text, "the image is damaged: its header makes no sense");
	if (header->version != IMAGE_VERSION)
		return foreign(text, "version", header->version, IMAGE_VERSION);
	return 0;
}

static int check_sum(struct image *image, char text[256])
{
	struct image_header *header = &image->first.header;
	const uint64_t sum = header->sum;
	uint64_t is;

	header->sum = 0;
	is = XXH3_64bits(&image->first, sizeof(image->first));
	header->sum = sum;
	return is == sum ? 0 : damaged(text, "the image is damaged: the sum of its header is wrong");
}

/* Pages from here on are units of a spill file. */
static uint64_t base_of(const struct image_header *header)
{
	return header->reserve >> ZT_PAGE_SHIFT;
}

static int check_header(struct image *image, uint64_t file_size, char text[256])
{
	const struct image_header *header = &image->first.header;
	int error = check_kind(header, text);

	if (!error)
		error = check_sum(image, text);
	if (error)
		return error;
	if (header->page_size != ZT_PAGE_SIZE)
		return foreign(text, "pages of", header->page_size, ZT_PAGE_SIZE);
	if (header->block_pages != IMAGE_BLOCK_PAGES)
		return foreign(text, "blocks of pages:", header->block_pages, IMAGE_BLOCK_PAGES);
	if (header->incompat & ~IMAGE_SPILLED) {
		snprintf(text, 256, "the image has features that this program does not know: %" PRIx64,
			 header->incompat & ~IMAGE_SPILLED);
		return -EPROTONOSUPPORT;
	}
	if (header->size != file_size) {
		snprintf(text, 256, "the image is %s: the file has %" PRIu64 " bytes instead of %" PRIu64,
			 file_size < header->size ? "cut" : "damaged", file_size, header->size);
		return -EUCLEAN;
	}
	if (header->reserve < IMAGE_RESERVE_MIN || header->reserve > IMAGE_RESERVE_MAX ||
	    header->reserve % ZT_PAGE_SIZE || header->nr_pages == 0 ||
	    header->nr_pages > (header->incompat ? UINT32_MAX : base_of(header)) ||
	    header->nr_extents == 0 ||
	    header->nr_extents > header->nr_pages)
		return damaged(text, "the image is damaged: its header makes no sense");
	image->nr_blocks = div_round_up_u64(header->nr_pages, IMAGE_BLOCK_PAGES);
	image->table_size = (header->nr_extents + image->nr_blocks) * sizeof(uint64_t);
	if (header->size != ((1 + header->nr_pages) << ZT_PAGE_SHIFT) + image->table_size)
		return damaged(text, "the image is damaged: its header makes no sense");
	return 0;
}

struct image_extent image_extent_at(const struct image *image, uint64_t idx)
{
	struct image_extent extent;

	memcpy(&extent, image->table + idx * sizeof(extent), sizeof(extent));
	return extent;
}

uint64_t image_sum_at(const struct image *image, uint64_t block)
{
	uint64_t sum;

	memcpy(&sum, image->table + (image->first.header.nr_extents + block) * sizeof(sum),
	       sizeof(sum));
	return sum;
}

static int check_table(struct image *image, char text[256])
{
	const struct image_header *header = &image->first.header;
	const uint64_t base = base_of(header);
	uint64_t end = 0, nr_pages = 0;

	if (XXH3_64bits(image->table, image->table_size) != header->table_sum)
		return damaged(text, "the image is damaged: the sum of its table is wrong");
	for (uint64_t i = 0; i < header->nr_extents; i++) {
		const struct image_extent extent = image_extent_at(image, i);

		if (extent.nr_pages == 0 || extent.page < end)
			return damaged(text, "the image is damaged: its table makes no sense");
		end = (uint64_t)extent.page + extent.nr_pages;
		nr_pages += extent.nr_pages;
		if (extent.page < base && end > base)
			return damaged(text, "the image is damaged: its table makes no sense");
		if (extent.page >= base)
			image->out_pages += extent.nr_pages;
	}
	if (nr_pages != header->nr_pages || (image->out_pages > 0) != (header->incompat != 0) ||
	    image->out_pages == nr_pages)
		return damaged(text, "the image is damaged: its table makes no sense");
	image->out_units = image->out_pages ? end - base : 0;
	return 0;
}

static int open_all(struct image *image, char text[256])
{
	const struct image_header *header = &image->first.header;
	struct stat st;
	int error;

	if (fstat(image->fd, &st) != 0)
		return -errno;
	if (st.st_size == 0)
		return damaged(text, "the file is empty");
	error = read_all(image->fd, &image->first, sizeof(image->first), 0, text);
	if (!error)
		error = check_header(image, (uint64_t)st.st_size, text);
	if (error)
		return error;
	image->table = zt_map(image->table_size);
	image->block = zt_map(IMAGE_BLOCK_BYTES);
	if (!image->table || !image->block)
		return -ENOMEM;
	error = read_all(image->fd, image->table, image->table_size,
			 (1 + header->nr_pages) << ZT_PAGE_SHIFT, text);
	return error ? error : check_table(image, text);
}

int image_open(int fd, char text[256], struct image **out_image)
{
	struct image *image = zt_zalloc(sizeof(*image));
	int error = -ENOMEM;

	snprintf(text, 256, "the image cannot be read");
	if (!image)
		return error;
	image->fd = fd;
	image->spill_fd = -1;
	error = open_all(image, text);
	if (error)
		image_close(image);
	else
		*out_image = image;
	return error;
}

void image_close(struct image *image)
{
	if (!image)
		return;
	zt_unmap(image->table, image->table_size);
	zt_unmap(image->block, IMAGE_BLOCK_BYTES);
	zt_free(image);
}

const struct image_header *image_header(const struct image *image)
{
	return &image->first.header;
}

void image_spilled(const struct image *image, uint64_t *out_pages, uint64_t *out_units)
{
	*out_pages = image->out_pages;
	*out_units = image->out_units;
}

void image_set_spill(struct image *image, int fd)
{
	image->spill_fd = fd;
}

/* ---- pages ---- */

/* Where the next pages go: an extent, and how many pages of it went already. */
struct place {
	uint64_t extent, done;
};

/* What becomes of them. */
struct sink {
	int memfd; /* -1: they are only looked at */
	int spill_fd; /* for pages of a spill file, or -1 */
	uint64_t base; /* those are from here on; an extent is of the one or of the other */
	image_wanted_fn wanted; /* NULL: all of them */
	void *arg;
};

static bool is_wanted(const struct sink *sink, uint64_t page)
{
	return !sink->wanted || sink->wanted(sink->arg, page);
}

/* The next ones of one extent, at most @most. Return: how many; @place is behind them. */
static uint64_t place_next(const struct image *image, struct place *place, uint64_t most,
			   uint64_t *out_page)
{
	const struct image_extent extent = image_extent_at(image, place->extent);
	const uint64_t nr = min_u64(most, extent.nr_pages - place->done);

	*out_page = extent.page + place->done;
	place->done += nr;
	if (place->done == extent.nr_pages)
		*place = (struct place){ .extent = place->extent + 1 };
	return nr;
}

static bool any_is_wanted(const struct image *image, struct place place, uint64_t nr_pages,
			  const struct sink *sink)
{
	uint64_t page, nr;

	for (; nr_pages > 0; nr_pages -= nr) {
		nr = place_next(image, &place, nr_pages, &page);
		for (uint64_t i = 0; i < nr; i++)
			if (is_wanted(sink, page + i))
				return true;
	}
	return false;
}

/* Neighbours in the range; those that are wanted go out together. */
static int put_run(const struct sink *sink, const char *data, uint64_t page, uint64_t nr_pages)
{
	const bool is_out = page >= sink->base;
	const int fd = is_out ? sink->spill_fd : sink->memfd;
	const uint64_t first = is_out ? page - sink->base : page;
	uint64_t len;
	int error = 0;

	if (fd < 0)
		return 0;
	for (uint64_t done = 0; done < nr_pages && !error; done += len) {
		const bool wanted = is_wanted(sink, page + done);

		len = 1;
		while (done + len < nr_pages && is_wanted(sink, page + done + len) == wanted)
			len++;
		if (wanted)
			error = image_write(fd, data + (done << ZT_PAGE_SHIFT),
					    (size_t)len << ZT_PAGE_SHIFT,
					    (first + done) << ZT_PAGE_SHIFT);
	}
	return error;
}

static int put_pages(const struct image *image, struct place *place, const char *data,
		     uint64_t nr_pages, const struct sink *sink)
{
	uint64_t page, nr;
	int error = 0;

	for (; nr_pages > 0 && !error; nr_pages -= nr, data += nr << ZT_PAGE_SHIFT) {
		nr = place_next(image, place, nr_pages, &page);
		error = put_run(sink, data, page, nr);
	}
	return error;
}

/* Read into image->block, and compared. */
static int read_block(struct image *image, uint64_t block, size_t len, char text[256])
{
	int error = read_all(image->fd, image->block, len,
			     (1 + block * IMAGE_BLOCK_PAGES) << ZT_PAGE_SHIFT, text);

	if (error || XXH3_64bits(image->block, len) == image_sum_at(image, block))
		return error;
	snprintf(text, 256, "the image is damaged: the sum of block %" PRIu64 " is wrong", block);
	return -EUCLEAN;
}

/* Blocks of which nothing is wanted are not read. */
static int each_block(struct image *image, char text[256], const struct sink *sink)
{
	const uint64_t nr_pages = image->first.header.nr_pages;
	struct place place = { 0 };
	int error = 0;

	for (uint64_t i = 0; i < image->nr_blocks && !error; i++) {
		const uint64_t nr = min_u64(nr_pages - i * IMAGE_BLOCK_PAGES, IMAGE_BLOCK_PAGES);
		uint64_t page, passed;

		if (any_is_wanted(image, place, nr, sink)) {
			error = read_block(image, i, (size_t)nr << ZT_PAGE_SHIFT, text);
			if (!error)
				error = put_pages(image, &place, image->block, nr, sink);
			continue;
		}
		for (uint64_t left = nr; left > 0; left -= passed)
			passed = place_next(image, &place, left, &page);
	}
	return error;
}

int image_verify(struct image *image, char text[256])
{
	snprintf(text, 256, "the image cannot be read");
	return each_block(image, text, &(struct sink){ .memfd = -1, .spill_fd = -1 });
}

int image_range(struct image *image, int *out_memfd)
{
	const int memfd = memfd_create(PACKAGE_NAME, MFD_CLOEXEC);
	int error = 0;

	if (memfd < 0)
		return -errno;
	if (ftruncate(memfd, (off_t)image->first.header.reserve) != 0) {
		error = -errno;
		close(memfd);
		return error;
	}
	*out_memfd = memfd;
	return 0;
}

int image_load_some(struct image *image, int memfd, image_wanted_fn wanted, void *arg, char text[256])
{
	snprintf(text, 256, "the image cannot be loaded");
	return each_block(image, text,
			  &(struct sink){ .memfd = memfd,
					  .spill_fd = image->spill_fd,
					  .base = base_of(&image->first.header),
					  .wanted = wanted,
					  .arg = arg });
}

int image_load(struct image *image, char text[256], int *out_memfd)
{
	int memfd, error = image_range(image, &memfd);

	snprintf(text, 256, "the image cannot be loaded");
	if (error)
		return error;
	error = image_load_some(image, memfd, NULL, NULL, text);
	if (error)
		close(memfd);
	else
		*out_memfd = memfd;
	return error;
}

int image_check_rights(int fd, char text[256])
{
	struct stat st;

	snprintf(text, 256, "the image cannot be read");
	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) {
		snprintf(text, 256, "is no regular file");
		return -EINVAL;
	}
	/* With an ACL the group's bits are its mask. */
	if (geteuid() != 0 || (st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH))))
		return 0;
	snprintf(text, 256,
		 "somebody else than root could have written it (it must be root's, and writable for "
		 "nobody else)");
	return -EPERM;
}
