/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * registry.h - algorithms by name, and what makes a table acceptable.
 */
#ifndef ZT_ZCOMP_REGISTRY_H
#define ZT_ZCOMP_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "util/compiler.h"
#include "zcomp/zcomp.h"

/** zcomp_find_ops() - the table of a built-in algorithm, or NULL */
const struct zcomp_ops *zcomp_find_ops(const char *name);

/** zcomp_ops_at() - iterate: the @idx-th algorithm that a user may name, NULL at the end */
const struct zcomp_ops *zcomp_ops_at(size_t idx);

/** zcomp_name_is_valid() - whether @name is one that an algorithm may have */
bool zcomp_name_is_valid(const char *name);

/** zcomp_accel_ops() - the pseudo-accelerator; it drives an algorithm and is none itself */
const struct zcomp_ops *zcomp_accel_ops(void);

/** zcomp_ops_list() - "lz4, lz4hc, zstd, null, auto", cut at @size; returns @text */
const char *zcomp_ops_list(char *text, size_t size);

/**
 * zcomp_check_ops() - whether a table is one this core can drive
 * @error_text: out on error: one sentence
 * A backend without managed operations, or with one of them only, is fine: the core then keeps
 * them off.
 * Return: 0 or -EINVAL.
 */
int zcomp_check_ops(const struct zcomp_ops *ops, char error_text[ZCOMP_ERROR_TEXT]) ZT_MUST_CHECK;

#endif
