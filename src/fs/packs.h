/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packs.h - the small files of a mount, for blkmap's packs (struct blkmap_packs).
 */
#ifndef ZT_FS_PACKS_H
#define ZT_FS_PACKS_H

#include <stdbool.h>
#include <stdint.h>

/* blkmap_packs.look, of inode records */
bool super_packs_look(const void *data, const uint64_t **out_word, uint32_t *out_owner);

/* blkmap_packs.begin; @arg: the mount */
void super_packs_begin(void *arg);

#endif
