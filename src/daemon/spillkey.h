/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spillkey.h - the key of spill_encrypt=on, which lives as long as its mount.
 *
 * It is random, and stands in memory that nobody reads but by it (memfd_secret(2)): not swapped, in no
 * core dump, in no other process's view, and not in the kernel's own. Where the kernel has no such
 * memory it is a locked page that no dump has. With survive= the keeper has its descriptor.
 *
 * Context: one thread, no locks.
 */
#ifndef ZT_DAEMON_SPILLKEY_H
#define ZT_DAEMON_SPILLKEY_H

#include <stdint.h>

#include "util/compiler.h"

/**
 * spillkey_make() - a new one, mapped
 * @out_fd: of its memory, the caller's
 * Return: 0 or -errno.
 */
int spillkey_make(const uint8_t **out_key, int *out_fd) ZT_MUST_CHECK;

/** spillkey_map() - one that an earlier process has made; @fd stays the caller's. Return: 0 or -errno. */
int spillkey_map(int fd, const uint8_t **out_key) ZT_MUST_CHECK;

/** spillkey_unmap() - NULL is allowed. The last descriptor and mapping take the key with them. */
void spillkey_unmap(const uint8_t *key);

#endif
