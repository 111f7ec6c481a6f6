/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dict.h - the file of dict=, read into memory.
 */
#ifndef ZT_DAEMON_DICT_H
#define ZT_DAEMON_DICT_H

#include <stddef.h>

#include "daemon/options.h"

/*
 * No codec here takes more than 1 MiB, a module may: what is larger is no dictionary but a mistake.
 * The algorithm's own limit is the core's to hold.
 */
#define DICT_FILE_MAX ((size_t)16 << 20)

/**
 * dict_load() - read a dictionary
 * @path: a regular file of 1 to DICT_FILE_MAX bytes
 * @out_data: freed by zt_free(), after the mount's end
 * @out_size: bytes
 * Return: 0; -EINVAL no such file as that; -ENOMEM; or what open(2) and read(2) say. Then
 *         @out_error says why, in one line.
 */
int dict_load(const char *path, struct options_error *out_error, void **out_data,
	      size_t *out_size) ZT_MUST_CHECK;

#endif
