/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * image.h - a whole mount in a file: written page by page, checked, and read back into memory.
 *
 * Knows pages of a sparse range only; what they hold is the matter of those who made them.
 *
 * Context: one thread for each image; no locks. Texts have 256 bytes and hold one sentence without
 * a name in front, on errors only.
 */
#ifndef ZT_IMAGE_IMAGE_H
#define ZT_IMAGE_IMAGE_H

#include <stdbool.h>

#include "image/format.h"
#include "util/compiler.h"

struct image;

/**
 * image_save() - all of a range at once
 * @memfd: the range; nobody writes into it
 * Return: 0, -ENOMEM; what lseek(2), read(2) and write(2) say. Nothing is synced.
 */
int image_save(int fd, int memfd, const struct image_facts *facts) ZT_MUST_CHECK;

struct image_writer;

/**
 * image_writer_create() - for an image whose pages come piece by piece
 * @fd: as image_save()'s; stays the caller's
 * @reserve: bytes of the range that the pages lie in
 * Return: 0 or -ENOMEM. image_writer_destroy() ends it.
 */
int image_writer_create(int fd, uint64_t reserve, struct image_writer **out_writer) ZT_MUST_CHECK;

/**
 * image_writer_put() - the next pages, in the order of the range
 * @nr_pages: a multiple of IMAGE_BLOCK_PAGES, but for the last ones
 * Return: 0, -ENOMEM, -EINVAL more after the last ones; what write(2) says.
 */
int image_writer_put(struct image_writer *writer, const void *data,
		     uint64_t nr_pages) ZT_MUST_CHECK;

/** image_writer_place() - where the next pages belong; before or after them. 0 or -ENOMEM. */
int image_writer_place(struct image_writer *writer, struct image_extent extent) ZT_MUST_CHECK;

/**
 * image_writer_add() - pages at a place of their own, by any numbers; not beside image_writer_put()
 * Return: 0, -ENOMEM; what write(2) says.
 */
int image_writer_add(struct image_writer *writer, const void *data,
		     struct image_extent extent) ZT_MUST_CHECK;

/** image_writer_add_memfd() - all pages that a range has. Return: as image_save(). */
int image_writer_add_memfd(struct image_writer *writer, int memfd) ZT_MUST_CHECK;

/** image_writer_end() - all but the pages. Return: 0, -ENOMEM, -EINVAL there are none; as above. */
int image_writer_end(struct image_writer *writer, const struct image_facts *facts) ZT_MUST_CHECK;

/** image_writer_destroy() - NULL is allowed */
void image_writer_destroy(struct image_writer *writer);

/**
 * image_open() - read and check all but the pages
 * @fd: of a regular file, open for reading; stays the caller's
 * Return: 0; -EUCLEAN no image, cut or damaged; -EPROTONOSUPPORT of another version or machine;
 *         -ENOMEM; what read(2) says.
 */
int image_open(int fd, char text[256], struct image **out_image) ZT_MUST_CHECK;

/** image_close() - NULL is allowed */
void image_close(struct image *image);

/** image_header() - lives as long as the image */
const struct image_header *image_header(const struct image *image);

/**
 * image_spilled() - pages of a spill file that are in it, and how many units that file must have
 * Zeros: none. image_load() writes them to @fd of image_set_spill(), around the cache if that says so;
 * without they are passed over.
 */
void image_spilled(const struct image *image, uint64_t *out_pages, uint64_t *out_units);
void image_set_spill(struct image *image, int fd);

/** image_verify() - read all pages, and compare their sums. Return: 0, -EUCLEAN, as image_open(). */
int image_verify(struct image *image, char text[256]) ZT_MUST_CHECK;

/**
 * image_load() - all pages into a new memfd, at their places; the rest is a hole
 * What is in it has been compared with its sum. Return: as image_verify(); what memfd_create(2) says.
 */
int image_load(struct image *image, char text[256], int *out_memfd) ZT_MUST_CHECK;

/** image_wanted_fn - whether a page of the range is to be loaded */
typedef bool (*image_wanted_fn)(void *arg, uint64_t page);

/** image_range() - a new memfd as long as the range, and empty. Return: 0; what memfd_create(2) says. */
int image_range(struct image *image, int *out_memfd) ZT_MUST_CHECK;

/**
 * image_load_some() - some pages into image_range()'s memfd, at their places
 * @wanted: NULL: all of them
 * What is in blocks with such pages is compared with its sum, and no other block is read.
 * Return: as image_verify(); what write(2) says.
 */
int image_load_some(struct image *image, int memfd, image_wanted_fn wanted, void *arg,
		    char text[256]) ZT_MUST_CHECK;

/**
 * image_check_rights() - who could have written a file that is to be trusted
 * Refuses what is no regular file, and to root what somebody else could write.
 * Return: 0; -EINVAL, -EPERM with a text; what fstat(2) says.
 */
int image_check_rights(int fd, char text[256]) ZT_MUST_CHECK;

#endif
