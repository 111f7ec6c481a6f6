// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * image.c - image= and save=: the file that a mount comes from, and is saved to at its end.
 */
#include "daemon/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/image.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/sizes.h"

/* In the lock's file while its mount is being saved: it ends, and whoever wants it may wait. */
#define SAVING 's'

/* umount(2) returns before the daemon hears of it: so long a mount that may end is waited for. */
#define ENDING_NS (5 * ZT_NS_PER_S)
#define LOOK_US	  20000

static int refuse(struct options_error *error, int code, const struct options *options,
		  const char *why)
{
	ERR_PRINTF(error, "option image=%.512s: %s", options->image_path, why);
	return code;
}

/* ---- the lock ---- */

static bool lock_name(const struct image_place *place, char out[IMAGE_FILE_NAME])
{
	return snprintf(out, IMAGE_FILE_NAME, ".%s.lock", place->name) < IMAGE_FILE_NAME;
}

static bool is_saving(int fd)
{
	char byte = 0;

	return pread(fd, &byte, 1, 0) == 1 && byte == SAVING;
}

/* The one before removes the name when it has done: then this is the lock of nothing. */
static bool is_there(const struct image_place *place, const char *name, int fd)
{
	struct stat of_fd, of_name;

	return fstat(fd, &of_fd) == 0 && fstatat(place->dir_fd, name, &of_name, AT_SYMLINK_NOFOLLOW) == 0 &&
	       of_fd.st_ino == of_name.st_ino && of_fd.st_dev == of_name.st_dev;
}

/* Return: 0; -EAGAIN: once more; -EBUSY: a mount that lives has it; other errors. */
static int try_lock(const struct image_place *place, const char *name, int *out_fd)
{
	const int fd = openat(place->dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		error = errno == EWOULDBLOCK ? -EBUSY : -errno;
		if (error == -EBUSY && is_saving(fd))
			error = flock(fd, LOCK_EX) != 0 && errno != EINTR ? -errno : -EAGAIN;
	} else if (!is_there(place, name, fd)) {
		error = -EAGAIN;
	} else if (ftruncate(fd, 0) != 0) { /* one that died while saving */
		error = -errno;
	}
	if (error)
		close(fd);
	else
		*out_fd = fd;
	return error;
}

static int lock(struct mount_image *image)
{
	char name[IMAGE_FILE_NAME];
	int error = lock_name(&image->place, name) ? -EAGAIN : -ENAMETOOLONG;
	const uint64_t until_ns = zt_now_ns() + ENDING_NS;

	while (error == -EAGAIN || (error == -EBUSY && zt_now_ns() < until_ns)) {
		if (error == -EBUSY)
			(void)usleep(LOOK_US);
		error = try_lock(&image->place, name, &image->lock_fd);
	}
	return error;
}

static void unlock(struct mount_image *image)
{
	char name[IMAGE_FILE_NAME];

	if (image->lock_fd < 0)
		return;
	if (!image->stays) {
		if (lock_name(&image->place, name))
			(void)unlinkat(image->place.dir_fd, name, 0); /* or it means nothing */
		(void)flock(image->lock_fd, LOCK_UN); /* a keeper that hangs has it open */
	}
	close(image->lock_fd);
	image->lock_fd = -1;
}

/* ---- the mount begins ---- */

/* A fifo must not be waited for. */
static int open_file(struct mount_image *image, const struct options *options,
		     struct options_error *error)
{
	image->fd = openat(image->place.dir_fd, image->place.name,
			   O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (image->fd >= 0 || (errno == ENOENT && options->save_at_end))
		return 0;
	return refuse(error, -errno, options, strerror(errno));
}

int mount_image_open(const struct options *options, struct mount_image *out_image,
		     struct options_error *error)
{
	struct mount_image image = MOUNT_IMAGE_NONE;
	int res;

	*out_image = image;
	if (!options->image_path)
		return 0;
	res = image_place_find(options->image_path, &image.place);
	if (res)
		return refuse(error, res, options, strerror(-res));
	if (options->save_at_end)
		res = lock(&image);
	if (res)
		(void)refuse(error, res, options,
			     res == -EBUSY ? "another mount is to be saved to it" : strerror(-res));
	else
		res = open_file(&image, options, error);
	if (res)
		mount_image_close(&image);
	else
		*out_image = image;
	return res;
}

/* What is only read may stay in the file, unless all of it is to be somewhere else one day. */
static bool may_borrow(const struct options *options)
{
	return options->mount_flags[MOUNT_RO] == 1 && !options->save_at_end && !options->spill_path &&
	       !options->rescue_path;
}

static uint64_t sum_of(struct image_pages *pages)
{
	return image_header(image_pages_image(pages))->sum;
}

/* Return: 0; -EAGAIN: it is to be loaded; others with a sentence. */
static int borrow(struct mount_image *image, const struct options *options,
		  const struct super_params *params, char text[256], struct super **out_sb)
{
	struct image_pages *pages;
	int res = image_pages_open(image->fd, options->image_path, false, text, &pages);

	if (res)
		return res;
	res = super_borrow(params, pages, text, out_sb);
	if (res)
		image_pages_close(pages);
	else
		image->sum = sum_of(pages);
	return res;
}

static int borrow_again(const struct mount_image *image, const struct options *options,
			const struct super_params *params, int arena_fd, char text[256],
			struct super **out_sb)
{
	struct image_pages *pages;
	int res = image_pages_open(image->fd, options->image_path, true, text, &pages);

	if (res)
		return res;
	if (sum_of(pages) != image->sum) {
		snprintf(text, 256, "%.200s has become another image", options->image_path);
		res = -ESTALE;
	} else {
		res = super_borrow_again(params, arena_fd, pages, text, out_sb);
	}
	if (res)
		image_pages_close(pages);
	return res;
}

int mount_image_resume(const struct mount_image *image, const struct options *options,
		       const struct super_params *params, int arena_fd, char text[256],
		       struct super **out_sb)
{
	return image->sum ? borrow_again(image, options, params, arena_fd, text, out_sb) :
			    super_attach(params, arena_fd, text, out_sb);
}

static int load(const struct mount_image *image, const struct super_params *params, char text[256],
		struct super **out_sb)
{
	struct image *file = NULL;
	int res = image_open(image->fd, text, &file);

	if (!res)
		res = super_load(params, file, text, out_sb);
	image_close(file);
	return res;
}

int mount_image_load(struct mount_image *image, const struct options *options,
		     const struct super_params *params, struct options_error *error,
		     struct super **out_sb)
{
	char text[256] = "";
	int res;

	if (image->fd < 0) {
		res = super_create(params, text, out_sb);
		if (res)
			ERR_PRINTF(error, "%s", *text != '\0' ? text : strerror(-res));
		return res;
	}
	res = image_check_rights(image->fd, text);
	if (!res)
		res = may_borrow(options) ? borrow(image, options, params, text, out_sb) : -EAGAIN;
	if (res == -EAGAIN)
		res = load(image, params, text, out_sb);
	if (!image->sum) {
		close(image->fd);
		image->fd = -1;
	}
	if (!res)
		return 0;
	if (res == -ENOMEM)
		snprintf(text, sizeof(text), "%s", strerror(ENOMEM));
	return refuse(error, res, options, text);
}

/* ---- and ends ---- */

static int save(struct mount_image *image, struct super *sb)
{
	struct image_file file;
	int res = image_file_begin(&image->place, &file);

	if (res)
		return res;
	res = super_save(sb, file.fd);
	if (!res)
		res = image_file_commit(&file);
	image_file_drop(&file);
	return res;
}

int mount_image_save(struct mount_image *image, const struct options *options, struct super *sb)
{
	const char saving = SAVING;
	int res;

	if (image->lock_fd < 0)
		return 0;
	(void)!pwrite(image->lock_fd, &saving, 1, 0); /* without it nobody waits */
	res = save(image, sb);
	if (res)
		zt_log(ZT_LOG_ERR, "%s: cannot be saved to %s, which is as it was: %s",
		       options->mountpoint, options->image_path, strerror(-res));
	else
		zt_log(ZT_LOG_INFO, "%s: saved to %s", options->mountpoint, options->image_path);
	return res;
}

void mount_image_close(struct mount_image *image)
{
	unlock(image);
	if (image->fd >= 0)
		close(image->fd);
	if (image->place.dir_fd >= 0)
		close(image->place.dir_fd);
	*image = MOUNT_IMAGE_NONE;
}
