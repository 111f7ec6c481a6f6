/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backends.h - the tables of the built-in backends; each stands in the file of its name.
 */
#ifndef ZT_BACKENDS_BACKENDS_H
#define ZT_BACKENDS_BACKENDS_H

#include "ztmpfs/zcomp.h"

extern const struct zcomp_ops backend_lz4;
extern const struct zcomp_ops backend_lz4hc;
extern const struct zcomp_ops backend_zstd;
extern const struct zcomp_ops backend_null;
extern const struct zcomp_ops backend_accel;

#endif
