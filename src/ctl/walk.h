/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * walk.h - the files and folders of a tree, on one mount, each once.
 */
#ifndef ZT_CTL_WALK_H
#define ZT_CTL_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* A walk under way. Zeroed but for @each before ctl_walk(), which leaves nothing to be freed. */
struct ctl_walk {
	/*
	 * Called for each regular file and each folder, a folder before what is in it; others are
	 * left out, since opening them has effects. @fd is open for reading, and stays the walk's.
	 */
	void (*each)(struct ctl_walk *walk, int fd, const struct stat *st, const char *path);
	void (*failed)(struct ctl_walk *walk, const char *path, int error); /* -errno */
	bool stop; /* set by the callbacks: the walk ends */
	/* The walk's own. */
	dev_t dev; /* of the mount that the tree began on */
	uint64_t *seen; /* numbers of inodes with several names, sorted */
	size_t nr_seen, max_seen;
};

/** ctl_walk() - go through @path and all below it that is on the same mount */
void ctl_walk(struct ctl_walk *walk, const char *path);

#endif
