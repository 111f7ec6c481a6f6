/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * file.h - a file that is replaced as a whole, or not at all.
 *
 * Context: one thread for each; no locks.
 */
#ifndef ZT_IMAGE_FILE_H
#define ZT_IMAGE_FILE_H

#include <limits.h>

#include "util/compiler.h"

#define IMAGE_FILE_NAME (NAME_MAX + 1)

/* A place of a file: its folder, which the owner has open, and its name there. */
struct image_place {
	int dir_fd;
	char name[IMAGE_FILE_NAME];
};

/* What is being written, beside the place. */
struct image_file {
	const struct image_place *place;
	int fd; /* open for writing */
	char temp[IMAGE_FILE_NAME];
};

/**
 * image_place_find() - open the folder of a path; what is a symbolic link is followed
 * @path: need not be there, but its folder
 * Return: 0; -ENAMETOOLONG; -ENOMEM; what open(2) says. The caller closes dir_fd.
 */
int image_place_find(const char *path, struct image_place *out_place) ZT_MUST_CHECK;

/** image_file_begin() - an empty file beside the place, for its owner alone. 0 or -errno. */
int image_file_begin(const struct image_place *place, struct image_file *out_file) ZT_MUST_CHECK;

/**
 * image_file_commit() - synced, it takes the place; and that is synced
 * On errors what had the place has it still, and image_file_drop() is to be called.
 * Return: 0 or -errno.
 */
int image_file_commit(struct image_file *file) ZT_MUST_CHECK;

/** image_file_drop() - what was begun goes */
void image_file_drop(struct image_file *file);

#endif
