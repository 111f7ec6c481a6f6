/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * image.h - a mount saved as an image, and found again in one.
 */
#ifndef ZT_FS_IMAGE_H
#define ZT_FS_IMAGE_H

#include "fs/super.h"
#include "image/image.h"
#include "image/pages.h"

/** super_image_facts() - of this moment. Context: any thread. */
void super_image_facts(struct super *sb, struct image_facts *out);

/**
 * super_save() - all that the mount holds, at its end
 * @fd: an empty file, open for reading and writing; synced by nobody
 * Context: no request is running, nor will one; work in the background ends for good.
 * Return: 0; -EOPNOTSUPP a mount that carries swap; as image_save().
 */
int super_save(struct super *sb, int fd) ZT_MUST_CHECK;

/**
 * super_remains() - what the head of an image says of an arena that nobody can go on with
 * How many inodes and bytes it holds is not known, and 0.
 */
void super_remains(int arena_fd, struct image_facts *out);

/**
 * super_rescue() - all that an arena holds which nobody can go on with, as it stands
 * @arena_fd: nobody writes into it. @fd: as for super_save()
 * Return: 0; as image_save().
 */
int super_rescue(int arena_fd, int fd) ZT_MUST_CHECK;

/**
 * super_load() - a new mount out of an image
 * @params: as for super_attach(); limits hold for what is in it
 * @image: open; read to its end
 * @error_text: out on errors: one sentence
 * All of it is walked. Nobody has references; what was open and had no name is gone.
 * Return: 0; as image_load() and super_attach(); -ENOSPC it holds more than the limits allow.
 */
int super_load(const struct super_params *params, struct image *image, char error_text[256],
	       struct super **out_sb) ZT_MUST_CHECK;

/**
 * super_borrow() - the same, for a mount that is only read: contents stay in the file
 * Names, attributes and where contents stand are copied; what files hold is read and checked when it is
 * asked for, and -EIO where it is not as it was saved. super_borrows() is true of it.
 * @pages: the mount's on success
 * Return: as super_load(); -EAGAIN: there are none, or they are half written; it is for super_load().
 */
int super_borrow(const struct super_params *params, struct image_pages *pages,
		 char error_text[256], struct super **out_sb) ZT_MUST_CHECK;

/**
 * super_borrow_again() - super_attach() to the arena of a mount that another process has borrowed for
 * @pages: of the same image; the mount's on success
 */
int super_borrow_again(const struct super_params *params, int arena_fd, struct image_pages *pages,
		       char error_text[256], struct super **out_sb) ZT_MUST_CHECK;

/**
 * super_borrow_names() - super_borrow() for names, attributes and what contents take: nobody reads these
 * So it does not matter which algorithms and dictionaries it needs, or whether some was in a spill file.
 * Return: as super_load().
 */
int super_borrow_names(struct image_pages *pages, char error_text[256],
		       struct super **out_sb) ZT_MUST_CHECK;

/** super_borrows() - whether it is only read: nothing may change what files hold */
bool super_borrows(const struct super *sb);

#endif
