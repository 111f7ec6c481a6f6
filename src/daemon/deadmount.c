// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * deadmount.c - a mount point on which a FUSE mount lies whose daemon has ended. See deadmount.h.
 *
 * Locks: none.
 */
#include "daemon/deadmount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/mountinfo.h"

struct search {
	const char *path;
	char type[64]; /* of the last one there, which covers the others; empty: none */
};

static void look(void *arg, const struct mountinfo *mount)
{
	struct search *search = arg;

	if (strcmp(mount->path, search->path) == 0)
		(void)snprintf(search->type, sizeof(search->type), "%s", mount->type);
}

bool deadmount_is_there(const char *path, char *out_text, size_t space)
{
	struct search search = { .path = path };
	struct statx st;

	if (!mountinfo_each("", look, &search) || strncmp(search.type, "fuse", 4) != 0 ||
	    statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_MODE, &st) == 0 || errno != ENOTCONN)
		return false;
	(void)snprintf(out_text, space,
		       "%s is mounted here whose daemon has ended, so what it held is gone; take it away "
		       "(%s %s), then mount again",
		       strcmp(search.type, "fuse.ztmpfs") == 0 ? "a ztmpfs" : search.type,
		       getuid() == 0 ? "umount" : "fusermount3 -u", path);
	return true;
}
