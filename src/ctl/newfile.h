/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * newfile.h - a file that ztmpfsctl makes: whole at its place, or not there.
 *
 * It is written under a name beside its place that nobody else can have laid out, also in a folder
 * where others may write. A symbolic link at the place is replaced, not followed. No locks.
 */
#ifndef ZT_CTL_NEWFILE_H
#define ZT_CTL_NEWFILE_H

#include <limits.h>
#include <sys/types.h>

#include "util/compiler.h"

struct newfile {
	const char *path; /* the caller's, until the end */
	int fd; /* open for reading and writing */
	char temp[PATH_MAX];
};

/** newfile_begin() - @mode: without what the umask takes away. Return: 0 or -errno. */
int newfile_begin(const char *path, mode_t mode, struct newfile *out_file) ZT_MUST_CHECK;

/**
 * newfile_end() - close it; it takes its place
 * @error: of writing; not 0: it goes, and what had the place has it still
 * Return: @error, or what closing and renaming said.
 */
int newfile_end(struct newfile *file, int error) ZT_MUST_CHECK;

/** newfile_drop() - it goes */
void newfile_drop(struct newfile *file);

#endif
