/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bdi.h - the kernel's limits on this mount's pages.
 */
#ifndef ZT_DAEMON_BDI_H
#define ZT_DAEMON_BDI_H

/**
 * bdi_tune() - let this mount have a fair amount of dirty pages, and read further ahead
 * @mountpoint: absolute path
 *
 * FUSE's own limit is 1 % of the memory that may be dirty, and strict: on small machines writers
 * wait for every MiB or so. No limit is no better: then nothing is written before the file is
 * closed or much memory is dirty, and copying and compressing take turns instead of going on side
 * by side. So the limit becomes 128 MiB. The limits are files in /sys/class/bdi, for root. Where
 * they cannot be written the mount works as before, only slower.
 *
 * Never touches the mount itself, so it may run before requests are served.
 */
void bdi_tune(const char *mountpoint);

#endif
