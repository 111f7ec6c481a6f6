/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bdi.h - the kernel's limits on this mount's pages.
 *
 * The limits are files in /sys/class/bdi, for root. Where they cannot be written the mount works as
 * before, only slower. Nothing here touches the mount itself, so it may run before requests are
 * served. No locks.
 */
#ifndef ZT_DAEMON_BDI_H
#define ZT_DAEMON_BDI_H

#include <stdbool.h>
#include <stdint.h>

/* A mount, as the kernel numbers it. */
struct bdi {
	unsigned major, minor;
	bool nosuid; /* set-ID bits do not act on it */
};

/**
 * bdi_find() - the mount on top at @mountpoint, an absolute path. Return: false when there is none.
 *
 * The device number comes from /proc/self/mountinfo: stat() of the mount point would be a request
 * to ourselves.
 */
bool bdi_find(const char *mountpoint, struct bdi *out_bdi);

/**
 * bdi_tune() - let this mount have a fair amount of dirty pages, and read further ahead
 *
 * FUSE's own limit is 1 % of the memory that may be dirty, and strict: on small machines writers
 * wait for every MiB or so. No limit is no better: then nothing is written before the file is
 * closed or much memory is dirty, and copying and compressing take turns instead of going on side
 * by side. So the limit becomes BDI_DIRTY_MOST.
 */
void bdi_tune(const struct bdi *bdi);

/* What compressors on all cores work off in a fraction of a second: enough to never run dry. */
#define BDI_DIRTY_MOST (UINT64_C(128) << 20)

/** bdi_set_dirty() - bytes that may be dirty at most. Return: false: an older kernel, or not root. */
bool bdi_set_dirty(const struct bdi *bdi, uint64_t bytes);

/** bdi_get_dirty() - the same, as it is now; 0: the kernel does not say */
uint64_t bdi_get_dirty(const struct bdi *bdi);

#endif
