/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * atimes.h - whether reading moves times of access, by the flags of the mount.
 *
 * The kernel leaves these times to a FUSE filesystem, and tells it of no flag. It does tell when
 * something about a namespace's mounts has changed: proc(5), mountinfo.
 *
 * A read does not say through which mount it came. So it moves atime as long as one mount of the
 * filesystem would allow it: neither ro nor noatime.
 */
#ifndef ZT_DAEMON_ATIMES_H
#define ZT_DAEMON_ATIMES_H

#include "daemon/bdi.h"
#include "daemon/options.h"
#include "fs/super.h"

struct atimes {
	struct super *sb;
	struct bdi mount; /* whose device number all mounts of the filesystem have */
	int fd; /* mountinfo, to be polled for POLLPRI; -1: nobody tells */
	unsigned always; /* SUPER_ATIME_* that the kernel does not keep for us */
};

/**
 * atimes_open() - look once, and make ready to be told of changes
 * @options: flags to begin with
 * @mount: NULL: in another namespace, which must not be kept; then those hold for good. Copied.
 */
void atimes_open(struct atimes *out_atimes, struct super *sb, const struct options *options,
		 const struct bdi *mount);

/** atimes_look() - what the mounts say now */
void atimes_look(struct atimes *atimes);

void atimes_close(struct atimes *atimes);

#endif
