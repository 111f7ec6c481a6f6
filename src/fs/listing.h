/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * listing.h - what is in an image, name by name, without a mount.
 *
 * All but contents is copied and walked as for a mount that is only read (super_borrow_names()), so what
 * could not be loaded is refused. Names come in the order of their bytes, each directory before what is
 * in it. What it takes grows with inodes and names, and not with what files hold.
 *
 * Context: one thread.
 */
#ifndef ZT_FS_LISTING_H
#define ZT_FS_LISTING_H

#include <stdbool.h>
#include <sys/stat.h>

#include "image/image.h"
#include "util/compiler.h"
#include "ztmpfs/control.h"

struct listing;

/* One name. Texts end with a NUL, and are good until the callback returns. */
struct listed {
	const char *path; /* from the root, without a "/" in front; "." for the root; of any length */
	const char *first; /* a name that the same inode had before; NULL: this is the first */
	const char *target; /* of a symbolic link, else NULL */
	struct stat attr;
	/*
	 * What it takes: stored is what its objects have space for in the image, memory is not known, and
	 * objects that were in a spill file count in out.
	 */
	struct ztmpfs_file_stat usage;
};

/** listing_fn - one name. Return: false: no more. */
typedef bool (*listing_fn)(void *arg, const struct listed *file);

/**
 * listing_open() - copy and walk all but contents
 * @fd: of a regular file, open for reading alone; stays the caller's
 * @name: of the file, for the log; must outlive the listing
 * @text: out on errors: one sentence
 * Return: as image_pages_open() and super_load().
 */
int listing_open(int fd, const char *name, char text[256], struct listing **out_listing) ZT_MUST_CHECK;

/** listing_header() - what the file says of itself; lives as long as the listing */
const struct image_header *listing_header(const struct listing *listing);

/** listing_each() - tell all names. Return: 0, also when @each wanted no more; -ENOMEM. */
int listing_each(struct listing *listing, listing_fn each, void *arg) ZT_MUST_CHECK;

/** listing_close() - NULL is allowed */
void listing_close(struct listing *listing);

#endif
