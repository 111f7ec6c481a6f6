/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * registry.h - algorithms by name.
 */
#ifndef ZT_ZCOMP_REGISTRY_H
#define ZT_ZCOMP_REGISTRY_H

#include <stddef.h>

#include "ztmpfs/zcomp.h"

/** zcomp_find_ops() - the table of a built-in algorithm, or NULL */
const struct zcomp_ops *zcomp_find_ops(const char *name);

/** zcomp_ops_at() - iterate: the @idx-th built-in algorithm that a user may name, NULL at the end */
const struct zcomp_ops *zcomp_ops_at(size_t idx);

#endif
