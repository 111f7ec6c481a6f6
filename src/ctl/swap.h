/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * swap.h - what the files of ztmpfsctl swap share: one swap file on a mount, its loop device, and
 * the kernel's settings.
 *
 * Everything is found again from what the system says (mount, loop devices, /proc/swaps); only the
 * settings that were changed are written down, in a file beside the swap file.
 */
#ifndef ZT_CTL_SWAP_H
#define ZT_CTL_SWAP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/compiler.h"

#define SWAP_MOUNT_DEFAULT "/run/ztmpfs-swap"
#define SWAP_FILE          "swap"
#define SWAP_STATE         ".swap-state"
#define SWAP_PATH_MAX      256u

/* What the system has of a mount's swap. */
struct swap_found {
	bool mounted; /* a ztmpfs is there */
	char device[32]; /* "/dev/loop3" on the swap file; "": none */
	bool active; /* in /proc/swaps */
	uint64_t size, used; /* bytes, while it is active */
};

/** swap_path() - @mount/@name. Both are short enough by SWAP_PATH_MAX. */
void swap_path(char out[SWAP_PATH_MAX + 32], const char *mount, const char *name);

/** swap_find() - look. Return: 0 or -errno when /sys or /proc cannot be read. */
int swap_find(const char *mount, struct swap_found *out_found) ZT_MUST_CHECK;

/**
 * swap_attach() - a loop device of 4096-byte sectors on @file, which it reads and writes without a
 * page cache of its own
 * Return: 0; -errno; -EOPNOTSUPP when the kernel gives no direct I/O (nothing is attached then).
 */
int swap_attach(const char *file, char out_device[32]) ZT_MUST_CHECK;

/** swap_detach() - and again. Return: 0 or -errno. */
int swap_detach(const char *device) ZT_MUST_CHECK;

/** swap_run() - run a program and wait for it. Return: 0; -errno; -EIO when it failed. */
int swap_run(const char *const argv[]) ZT_MUST_CHECK;

/**
 * swap_tune() - set what swapping through a daemon needs, and write the old values to @state_fd
 * page-cluster 0 (swap is read page by page), watermark_boost_factor 0 (see ztmpfs-swap(8)).
 * Return: 0 or -errno; nothing is changed then.
 */
int swap_tune(int state_fd, bool mounted_by_us, bool made_folder) ZT_MUST_CHECK;

/** swap_untune() - set back what @state says. Missing lines are no error. */
void swap_untune(const char *state, bool *out_mounted_by_us, bool *out_made_folder);

/** swap_meminfo() - a line of /proc/meminfo in bytes; 0 when it is not there */
uint64_t swap_meminfo(const char *name);

#endif
