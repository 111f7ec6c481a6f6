// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * atimes.c - whether reading moves times of access. See atimes.h.
 *
 * Locks: none. One thread at a time.
 */
#include "daemon/atimes.h"

#include <fcntl.h>
#include <unistd.h>

#include "util/mountinfo.h"

#define ALL (SUPER_ATIME_ALL | SUPER_ATIME_DIR)

struct search {
	const struct bdi *mount;
	unsigned frozen; /* by all so far */
	bool found;
};

static unsigned frozen_by(const struct mountinfo *mount)
{
	if (mountinfo_has_word(mount->options, "noatime") ||
	    mountinfo_has_word(mount->options, "ro") ||
	    mountinfo_has_word(mount->super_options, "ro"))
		return ALL;
	return mountinfo_has_word(mount->options, "nodiratime") ? SUPER_ATIME_DIR : 0;
}

static void look(void *arg, const struct mountinfo *mount)
{
	struct search *search = arg;

	if (mount->major != search->mount->major || mount->minor != search->mount->minor)
		return;
	search->frozen &= frozen_by(mount);
	search->found = true;
}

/* False: unmounted here, it may have copies in namespaces that are not seen. */
static bool frozen_now(const struct atimes *atimes, unsigned *out_frozen)
{
	struct search search = { .mount = &atimes->mount, .frozen = ALL };

	if (!mountinfo_each("", look, &search) || !search.found)
		return false;
	*out_frozen = search.frozen;
	return true;
}

void atimes_look(struct atimes *atimes)
{
	unsigned frozen;

	if (frozen_now(atimes, &frozen))
		super_set_frozen_atimes(atimes->sb, frozen | atimes->always);
}

void atimes_open(struct atimes *out_atimes, struct super *sb, const struct options *options,
		 const struct bdi *mount)
{
	const signed char *flags = options->mount_flags;
	unsigned said = 0, frozen;

	if (flags[MOUNT_ATIME] == 0 || flags[MOUNT_RO] == 1)
		said |= ALL;
	if (flags[MOUNT_DIRATIME] == 0)
		said |= SUPER_ATIME_DIR;
	super_set_frozen_atimes(sb, said);
	*out_atimes = (struct atimes){ .sb = sb, .fd = -1 };
	if (!mount)
		return;
	out_atimes->mount = *mount;
	out_atimes->fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (said && out_atimes->fd >= 0 && frozen_now(out_atimes, &frozen))
		out_atimes->always = said & ~frozen;
}

void atimes_close(struct atimes *atimes)
{
	if (atimes->fd >= 0)
		close(atimes->fd);
	atimes->fd = -1;
}
