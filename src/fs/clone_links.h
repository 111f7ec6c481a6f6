/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clone_links.h - which inodes with several names were copied, and to what.
 *
 * On the heap, 24 to 48 bytes for each. One thread's own: no locks.
 */
#ifndef ZT_FS_CLONE_LINKS_H
#define ZT_FS_CLONE_LINKS_H

#include "fs/clone_i.h"

/* All zero: empty. */
struct clone_links {
	struct clone_link *table;
	size_t nr, size; /* entries, and a power of two more of places */
};

/** clone_links_add() - @source was copied to inode @ino. Return: 0 or -ENOMEM. */
int clone_links_add(struct clone_links *links, const struct clone_source *source,
		    ino_nr ino) ZT_MUST_CHECK;

/** clone_links_find() - what it was copied to; 0: it was not */
ino_nr clone_links_find(const struct clone_links *links, const struct clone_source *source);

void clone_links_exit(struct clone_links *links);

#endif
