// SPDX-License-Identifier: GPL-2.0-or-later
/* io.c - all bytes of a piece of a file, or an error. See io.h. */
#include "image/io.h"

#include <errno.h>
#include <unistd.h>

int image_read(int fd, void *data, size_t len, uint64_t at)
{
	char *to = data;

	while (len > 0) {
		const ssize_t got = pread(fd, to, len, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -ENODATA;
		to += got;
		at += (uint64_t)got;
		len -= (size_t)got;
	}
	return 0;
}

int image_write(int fd, const void *data, size_t len, uint64_t at)
{
	const char *from = data;

	while (len > 0) {
		const ssize_t done = pwrite(fd, from, len, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		from += done;
		at += (uint64_t)done;
		len -= (size_t)done;
	}
	return 0;
}
