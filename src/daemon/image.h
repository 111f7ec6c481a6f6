/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * image.h - image= and save=: the file that a mount comes from, and is saved to at its end.
 *
 * Beside the file stands a lock, for as long as a mount may be saved to it: two of them would
 * overwrite each other's, and one that begins while another is still being saved would find the
 * old image.
 *
 * Context: one thread, no locks.
 */
#ifndef ZT_DAEMON_IMAGE_H
#define ZT_DAEMON_IMAGE_H

#include "daemon/options.h"
#include "image/file.h"
#include "util/compiler.h"

/*
 * One per session; all zero but for the descriptors, which are -1: there is no image. With survive= a
 * keeper has the same folder and the same lock.
 */
struct mount_image {
	struct image_place place;
	/* Of the file, until it is loaded; -1 with a place: the mount begins empty. */
	int fd;
	uint64_t sum; /* not 0: the mount reads contents of fd, which stays open; its header's sum */
	int lock_fd; /* -1: not to be saved */
	bool stays; /* the mount goes on in another process, and the lock with it */
};

/* Before mount_image_open(). */
#define MOUNT_IMAGE_NONE \
	((struct mount_image){ .place.dir_fd = -1, .fd = -1, .lock_fd = -1 })

/**
 * mount_image_open() - find the file, and with save=unmount have it for this mount alone
 * Waits for another mount that is being saved to it; refuses one that lives.
 * Context: in the caller's folder and mount namespace.
 * Return: 0, without image= too; -errno with a sentence in @error.
 */
int mount_image_open(const struct options *options, struct mount_image *out_image,
		     struct options_error *error) ZT_MUST_CHECK;

/**
 * mount_image_load() - super_create(), or what the file holds
 * Return: 0; -errno with a sentence in @error.
 */
int mount_image_load(struct mount_image *image, const struct options *options,
		     const struct super_params *params, struct options_error *error,
		     struct super **out_sb) ZT_MUST_CHECK;

/**
 * mount_image_resume() - super_attach(), or what an earlier process has read of image->fd
 * @arena_fd: as there
 * Return: 0; -errno with a sentence in @text.
 */
int mount_image_resume(const struct mount_image *image, const struct options *options,
		       const struct super_params *params, int arena_fd, char text[256],
		       struct super **out_sb) ZT_MUST_CHECK;

/**
 * mount_image_save() - the mount has ended: replace the file by what it held; and say so
 * Return: 0, without save= too; -errno, logged: the file is as it was.
 */
int mount_image_save(struct mount_image *image, const struct options *options,
		     struct super *sb) ZT_MUST_CHECK;

/** mount_image_close() - the lock goes, too, unless it stays */
void mount_image_close(struct mount_image *image);

#endif
