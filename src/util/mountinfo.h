/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mountinfo.h - lines of /proc/self/mountinfo.
 */
#ifndef ZT_UTIL_MOUNTINFO_H
#define ZT_UTIL_MOUNTINFO_H

#include <stdbool.h>

#include "util/compiler.h"

/* One mount. Its texts point into the line that was parsed. */
struct mountinfo {
	unsigned major, minor; /* of the device that stat() tells there */
	const char *root; /* the folder of the filesystem that is mounted */
	const char *path; /* where */
	const char *options; /* of this mount: words between commas */
	const char *type;
	const char *super_options; /* of the filesystem */
};

/**
 * mountinfo_parse() - take @line apart
 * @line: as getline() reads it; changed. Blanks that the kernel wrote as octal digits are put back.
 * Return: false when it is no such line.
 */
bool mountinfo_parse(char *line, struct mountinfo *out_mount) ZT_MUST_CHECK;

/**
 * mountinfo_each() - call @look(@arg) for the mounts of this process's namespace, in their order
 * @root: in front of /proc, for tests; else ""
 * Return: false when they cannot be read.
 */
bool mountinfo_each(const char *root, void (*look)(void *arg, const struct mountinfo *mount),
		    void *arg) ZT_MUST_CHECK;

/** mountinfo_has_word() - whether @word is one of @list's words between commas */
bool mountinfo_has_word(const char *list, const char *word);

#endif
