// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dict.c - the file of dict=, read into memory.
 *
 * Locks: none. It prints nothing.
 */
#include "daemon/dict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/alloc.h"

static int refuse(struct options_error *error, int code, const char *path, const char *why)
{
	(void)snprintf(error->text, sizeof(error->text), "option dict=%.512s: %s", path, why);
	return code;
}

/* All @size bytes. Return: 0, -EINVAL when the file has become shorter, or what read(2) says. */
static int read_all(int fd, char *data, size_t size)
{
	size_t at = 0;

	while (at < size) {
		ssize_t got = read(fd, data + at, size - at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EINVAL;
		at += (size_t)got;
	}
	return 0;
}

int dict_load(const char *path, struct options_error *out_error, void **out_data, size_t *out_size)
{
	/* A fifo must not be waited for. */
	const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	char why[96];
	void *data;
	int error;

	if (fd < 0)
		return refuse(out_error, -errno, path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		error = refuse(out_error, -EINVAL, path, "is no regular file");
		goto err_fd;
	}
	if (st.st_size < 1 || (uint64_t)st.st_size > DICT_FILE_MAX) {
		snprintf(why, sizeof(why), "has %lld bytes: allowed are 1 to %zu",
			 (long long)st.st_size, DICT_FILE_MAX);
		error = refuse(out_error, -EINVAL, path, why);
		goto err_fd;
	}
	data = zt_zalloc((size_t)st.st_size);
	if (!data) {
		error = refuse(out_error, -ENOMEM, path, strerror(ENOMEM));
		goto err_fd;
	}
	error = read_all(fd, data, (size_t)st.st_size);
	if (error) {
		(void)refuse(out_error, error, path, strerror(-error));
		zt_free(data);
		goto err_fd;
	}
	close(fd);
	*out_data = data;
	*out_size = (size_t)st.st_size;
	return 0;

err_fd:
	close(fd);
	return error;
}
