// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mounts.c - the mounts of this mount namespace, each once.
 *
 * A mount is known by the type that the kernel shows.
 */
#include "ctl/mounts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

struct walk {
	void (*each)(void *arg, const struct mountinfo *mount);
	void *arg;
	dev_t *seen; /* devices */
	size_t nr_seen;
	int error;
};

static bool seen_before(struct walk *walk, dev_t dev)
{
	dev_t *more;

	for (size_t i = 0; i < walk->nr_seen; i++)
		if (walk->seen[i] == dev)
			return true;
	more = reallocarray(walk->seen, walk->nr_seen + 1, sizeof(*more));
	if (!more) {
		walk->error = -ENOMEM;
		return true;
	}
	walk->seen = more;
	walk->seen[walk->nr_seen++] = dev;
	return false;
}

static void look(void *arg, const struct mountinfo *mount)
{
	struct walk *walk = arg;

	if (strcmp(mount->type, "fuse.ztmpfs") == 0 && !walk->error &&
	    !seen_before(walk, (dev_t)mount->major << 32 | mount->minor))
		walk->each(walk->arg, mount);
}

int ctl_each_mount(void (*each)(void *arg, const struct mountinfo *mount), void *arg)
{
	struct walk walk = { .each = each, .arg = arg };

	if (!mountinfo_each("", look, &walk))
		walk.error = -EIO;
	free(walk.seen); /* reallocarray's */
	return walk.error;
}
