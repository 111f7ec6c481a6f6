/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bdi.h - the kernel's limits on this mount's pages.
 */
#ifndef ZT_DAEMON_BDI_H
#define ZT_DAEMON_BDI_H

/**
 * bdi_tune() - let this mount have as many dirty pages as a disk may, and read further ahead
 * @mountpoint: absolute path
 *
 * FUSE's own limit is 1 % of the memory that may be dirty, and strict: writers wait for every MiB
 * or so. The limits are files in /sys/class/bdi, for root. Where they cannot be written the mount
 * works as before, only slower.
 *
 * Never touches the mount itself, so it may run before requests are served.
 */
void bdi_tune(const char *mountpoint);

#endif
