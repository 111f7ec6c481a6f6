/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * codecname.h - an algorithm as people write it: "zstd:5".
 */
#ifndef ZT_UTIL_CODECNAME_H
#define ZT_UTIL_CODECNAME_H

#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"

/**
 * codecname_parse() - NAME or NAME:LEVEL
 * @out_name: of @space bytes; longer names are refused
 * @inout_level: the level, a whole number above INT32_MIN; stays as it is where there is none
 *
 * "none" and "default" have no level. Whether there is such an algorithm, or level, is not looked at.
 * Context: any thread; no locks. Return: 0 or -EINVAL; then @out_name may have changed.
 */
int codecname_parse(const char *text, char *out_name, size_t space,
		    int32_t *inout_level) ZT_MUST_CHECK;

#endif
