/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attach_i.h - how a mount is found again in its arena, for the files of the fs layer.
 */
#ifndef ZT_FS_ATTACH_I_H
#define ZT_FS_ATTACH_I_H

#include "fs/super_i.h"

/* super_format_make() - write down what gives the bytes of a new mount their meaning */
void super_format_make(struct super *sb, const struct super_params *params);

/*
 * super_format_check() - whether the record is one, and these options are those of the mount
 * super_format_check_codec() - the same of compress=, once the block map is there: by the name that
 * the algorithm has, not by that of a module's file
 * Return: 0, or an error and its sentence.
 */
int super_format_check(const struct super *sb, const struct super_params *params,
		       char text[256]) ZT_MUST_CHECK;
int super_format_check_codec(const struct super *sb, char text[256]) ZT_MUST_CHECK;

#endif
