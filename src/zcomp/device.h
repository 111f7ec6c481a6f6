/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * device.h - devices with names: what the pseudo-accelerator is told to be like; and its parameters
 * as users write them.
 *
 * Each figure of the table stands with its source, or as assumed, in ztmpfs(8).
 */
#ifndef ZT_ZCOMP_DEVICE_H
#define ZT_ZCOMP_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/compiler.h"
#include "zcomp/zcomp.h"

/* One kind of device. Constant. */
struct zcomp_device {
	const char *name; /* as users say it */
	const char *what; /* whose it is, for people */
	const char *algorithm; /* that it compresses with; a built-in one, or a module's name */
	uint32_t window; /* bytes that it looks back at most, for people */
	bool both; /* it decompresses, too; otherwise that is software's */
	struct zcomp_accel_params params;
};

/** zcomp_device_at() - the @idx-th device, NULL behind the last one */
const struct zcomp_device *zcomp_device_at(size_t idx);

/** zcomp_device_find() - the device of that name, or NULL */
const struct zcomp_device *zcomp_device_find(const char *name);

/** zcomp_device_guess() - the name most like @name, among devices and @more, or NULL */
const char *zcomp_device_guess(const char *name, const char *const *more, size_t nr_more);

/**
 * zcomp_accel_parse() - parameters of the accelerator, as in accel=
 * @words: "name=n:name=n", at least one
 * @inout_params: those that are named are replaced, on success only
 * @error_text: out on error: the sentence's end, as "depth is a number from 1 to 4096"
 * Return: 0 or -EINVAL.
 */
int zcomp_accel_parse(const char *words, struct zcomp_accel_params *inout_params,
		      char error_text[ZCOMP_ERROR_TEXT]) ZT_MUST_CHECK;

/**
 * zcomp_accel_check() - all of @params within their ranges
 * @error_text: out on error: as "depth=4097: out of range 1..4096"
 * Return: 0 or -EINVAL.
 */
int zcomp_accel_check(const struct zcomp_accel_params *params,
		      char error_text[ZCOMP_ERROR_TEXT]) ZT_MUST_CHECK;

/** zcomp_accel_names() - " :engines=N :depth=N ..." into @text */
void zcomp_accel_names(char *text, size_t space);

#endif
