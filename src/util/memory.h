/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * memory.h - how much memory this process may use: the machine's, or less in a cgroup.
 */
#ifndef ZT_UTIL_MEMORY_H
#define ZT_UTIL_MEMORY_H

#include <stdint.h>

/**
 * memory_allowed() - bytes that this process may use: RAM, or a smaller limit of its cgroups
 *
 * Limits of the process's own memory cgroup and of all above it that can be seen count: version 1's
 * limit_in_bytes, version 2's max and high. What others in the same group hold is not subtracted,
 * and a limit that is set later is not seen.
 *
 * Context: any thread; reads /proc and the cgroups' files, takes no lock.
 * Return: at least 1; 1 GiB when the machine does not tell its RAM.
 */
uint64_t memory_allowed(void);

/**
 * memory_cgroup_limit() - the same without RAM
 * @root: stands before /proc and before the cgroups' mount points; "" but in tests
 * Return: bytes; UINT64_MAX: no cgroup limits this process, or none can be seen.
 */
uint64_t memory_cgroup_limit(const char *root);

#endif
