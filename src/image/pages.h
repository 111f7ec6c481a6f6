/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pages.h - the pages of an image where they stand: its file, mapped. Nothing is copied, and nothing is
 * read before it is used.
 *
 *     data = image_pages_find()          where it would be
 *     image_pages_check(data)            read, and as its sum says: by block, once
 *     ... look at data, decode it ...
 *     image_pages_held(data)             it was right all the while; otherwise what was made of it goes
 *
 * A file changes under a mapping. One that is opened for writing is heard of by a lease (fcntl(2)), and
 * the writer waits until then; where there can be no lease, the file's times are looked at after each
 * use. One that is cut, or that the disk cannot read, is a SIGBUS, which is caught: the page is zeros
 * then, and its block is bad. All of it is an error for whoever looks, and a line on the log once.
 *
 * Weakness: a page that the kernel has let go is read again without a check, so a disk that then gives
 * other bytes, or a network filesystem's other machine, is not noticed.
 *
 * Context: any thread but for open and close; no locks.
 */
#ifndef ZT_IMAGE_PAGES_H
#define ZT_IMAGE_PAGES_H

#include "image/image.h"

struct image_pages;

/**
 * image_pages_open() - an image's header and table, and its pages to be read
 * @fd: of a regular file, open for reading alone; stays the caller's
 * @name: of the file, for the log; must outlive the pages
 * @again: another process had it open with this descriptor until now: one that is open for writing is no
 *	   longer read, instead of refused
 * Return: as image_open(); -ETXTBSY somebody has it open for writing. With a sentence.
 */
int image_pages_open(int fd, const char *name, bool again, char text[256],
		     struct image_pages **out_pages) ZT_MUST_CHECK;

/** image_pages_close() - nobody looks any more; NULL is allowed */
void image_pages_close(struct image_pages *pages);

/** image_pages_image() - for image_load_some(); lives as long as the pages */
struct image *image_pages_image(struct image_pages *pages);

/** image_pages_find() - where bytes of the range stand, @at from its beginning; NULL: not in the file */
const char *image_pages_find(const struct image_pages *pages, uint64_t at, size_t len);

/** image_pages_check() - what image_pages_find() gave may be looked at. Return: 0, -EIO. */
int image_pages_check(struct image_pages *pages, const char *data, size_t len) ZT_MUST_CHECK;

/** image_pages_held() - whether it was right until now, after a check */
bool image_pages_held(struct image_pages *pages, const char *data, size_t len);

#endif
