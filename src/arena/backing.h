/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backing.h - the file that an arena is, and others that are to stay in memory as it does.
 *
 * Locks: none.
 */
#ifndef ZT_ARENA_BACKING_H
#define ZT_ARENA_BACKING_H

#include "util/compiler.h"

enum arena_backing {
	ARENA_MEMFD,
	/*
	 * A file that is never swapped out, whoever has it mapped, and if nobody has: what a stock holds must
	 * outlive the process that has locked it. Linux 6.4, CAP_SYS_ADMIN.
	 */
	ARENA_UNSWAPPED,
};

/**
 * arena_make_file() - an empty file of the kind that arenas are, for whoever wants memory as theirs
 * Return: a descriptor, closed by exec; -errno, as arena_create().
 */
int arena_make_file(enum arena_backing backing) ZT_MUST_CHECK;

#endif
