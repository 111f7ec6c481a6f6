// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * file.c - a file that is replaced as a whole: written under another name beside it, synced, renamed.
 */
#include "image/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define NR_NAMES 100

static int place_set(const char *path, struct image_place *out_place)
{
	char *dir = strdup(path), *base = strdup(path);
	int error = dir && base ? 0 : -ENOMEM, len, fd;

	if (!error) {
		len = snprintf(out_place->name, sizeof(out_place->name), "%s", basename(base));
		if (len >= (int)sizeof(out_place->name))
			error = -ENAMETOOLONG;
		else if (len == 0 || strcmp(out_place->name, "/") == 0 ||
			 strcmp(out_place->name, ".") == 0 || strcmp(out_place->name, "..") == 0)
			error = -EISDIR;
	}
	if (!error) {
		fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			error = -errno;
		else
			out_place->dir_fd = fd;
	}
	free(dir);
	free(base);
	return error;
}

int image_place_find(const char *path, struct image_place *out_place)
{
	char *real = realpath(path, NULL);
	int error = place_set(real ? real : path, out_place);

	free(real);
	return error;
}

int image_file_begin(const struct image_place *place, struct image_file *out_file)
{
	int fd = -1;

	for (unsigned i = 0; i < NR_NAMES && fd < 0; i++) {
		uint64_t number;

		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return -errno;
		(void)snprintf(out_file->temp, sizeof(out_file->temp), ".%.200s.new-%016" PRIx64,
			       place->name, number);
		fd = openat(place->dir_fd, out_file->temp,
			    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	if (fd < 0)
		return -errno;
	out_file->place = place;
	out_file->fd = fd;
	return 0;
}

int image_file_commit(struct image_file *file)
{
	const struct image_place *place = file->place;

	if (fsync(file->fd) != 0 ||
	    renameat(place->dir_fd, file->temp, place->dir_fd, place->name) != 0)
		return -errno;
	close(file->fd);
	file->fd = -1;
	/* It is there in any case; some filesystems sync no folder. */
	return fsync(place->dir_fd) != 0 && errno != EINVAL ? -errno : 0;
}

void image_file_drop(struct image_file *file)
{
	if (file->fd < 0)
		return;
	(void)unlinkat(file->place->dir_fd, file->temp, 0); /* it may be gone already */
	close(file->fd);
	file->fd = -1;
}
