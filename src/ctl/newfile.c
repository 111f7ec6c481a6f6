// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * newfile.c - a file that ztmpfsctl makes: written under another name beside its place, then renamed.
 */
#include "ctl/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int newfile_begin(const char *path, mode_t mode, struct newfile *out_file)
{
	const mode_t mask = umask(0);
	int error;

	umask(mask);
	if (snprintf(out_file->temp, sizeof(out_file->temp), "%s.XXXXXX", path) >=
	    (int)sizeof(out_file->temp))
		return -ENAMETOOLONG;
	out_file->path = path;
	out_file->fd = mkostemp(out_file->temp, O_CLOEXEC);
	if (out_file->fd < 0)
		return -errno;
	if (fchmod(out_file->fd, mode & ~mask) == 0)
		return 0;
	error = -errno;
	newfile_drop(out_file);
	return error;
}

void newfile_drop(struct newfile *file)
{
	(void)unlink(file->temp); /* it may be gone already */
	close(file->fd);
}

int newfile_end(struct newfile *file, int error)
{
	if (close(file->fd) != 0 && !error)
		error = -errno;
	if (!error && rename(file->temp, file->path) != 0)
		error = -errno;
	if (error)
		(void)unlink(file->temp); /* the error above is the one to tell */
	return error;
}
