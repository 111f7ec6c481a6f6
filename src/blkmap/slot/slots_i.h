/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slots_i.h - compaction's calls into this folder; see zs_pool_params.
 */
#ifndef ZT_BLKMAP_SLOT_SLOTS_I_H
#define ZT_BLKMAP_SLOT_SLOTS_I_H

#include "blkmap/slot/slots.h"

bool slot_relocate_begin(void *arg, struct zs_owner owner, ref_t old_ref);
void slot_relocate_end(void *arg, struct zs_owner owner, ref_t new_ref);

#endif
