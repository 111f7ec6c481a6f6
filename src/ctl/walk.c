// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * walk.c - the files and folders of a tree. See walk.h.
 */
#include "ctl/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"

/* Whether an inode with several names comes for the second time. */
static bool seen_before(struct ctl_walk *walk, uint64_t ino)
{
	size_t low = 0, high = walk->nr_seen;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (walk->seen[middle] < ino)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < walk->nr_seen && walk->seen[low] == ino)
		return true;
	if (walk->nr_seen == walk->max_seen) {
		size_t max = walk->max_seen ? 2 * walk->max_seen : 64;
		uint64_t *more = zt_zalloc(max * sizeof(*more));

		if (!more)
			return false; /* counted twice rather than not at all */
		if (walk->seen)
			memcpy(more, walk->seen, walk->nr_seen * sizeof(*more));
		zt_free(walk->seen);
		walk->seen = more;
		walk->max_seen = max;
	}
	memmove(walk->seen + low + 1, walk->seen + low,
		(walk->nr_seen - low) * sizeof(*walk->seen));
	walk->seen[low] = ino;
	walk->nr_seen++;
	return false;
}

static void visit(struct ctl_walk *walk, int at, const char *name, const char *path);

static void visit_folder(struct ctl_walk *walk, int fd, const char *path)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		walk->failed(walk, path, -errno);
		close(fd);
		return;
	}
	while (!walk->stop && (entry = readdir(dir)) != NULL) {
		char *below;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (asprintf(&below, "%s/%s", path, entry->d_name) < 0) {
			walk->failed(walk, path, -ENOMEM);
			break;
		}
		visit(walk, dirfd(dir), entry->d_name, below);
		free(below); /* asprintf's */
	}
	closedir(dir);
}

static void visit(struct ctl_walk *walk, int at, const char *name, const char *path)
{
	struct stat st;
	int fd;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		walk->failed(walk, path, -errno);
		return;
	}
	if (walk->dev == 0)
		walk->dev = st.st_dev;
	if (st.st_dev != walk->dev || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
		return;
	if (S_ISREG(st.st_mode) && st.st_nlink > 1 && seen_before(walk, st.st_ino))
		return;
	fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		walk->failed(walk, path, -errno);
		return;
	}
	walk->each(walk, fd, &st, path);
	if (S_ISDIR(st.st_mode) && !walk->stop)
		visit_folder(walk, fd, path);
	else
		close(fd);
}

void ctl_walk(struct ctl_walk *walk, const char *path)
{
	visit(walk, AT_FDCWD, path, path);
	zt_free(walk->seen);
	walk->seen = NULL;
	walk->nr_seen = walk->max_seen = 0;
}
