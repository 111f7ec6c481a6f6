/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * packer.h - small files that lie idle get one object together. Context: pass_lock held.
 */
#ifndef ZT_BLKMAP_UPKEEP_PACKER_H
#define ZT_BLKMAP_UPKEEP_PACKER_H

#include "blkmap/upkeep/recompress.h"

/* What does not compress alone does so with others if it is text, and short. */
#define PACK_RAW_MAX 1024u

/* pack_begin_pass() - the small files' turn; false: they have none */
bool pack_begin_pass(const struct recompressor *rc, struct recomp_pass *pass);

/* pack_step() - one pack. False: the end was reached, or memory is short. */
bool pack_step(struct recompressor *rc, struct recomp_pass *pass);

/* pack_may_join() - by the word of a file: recompression has been there, and it is small */
static inline bool pack_may_join(uint64_t word)
{
	if (slot_kind(word) != SLOT_OBJ || word & (SLOT_SPARSE | SLOT_CUT) ||
	    slot_length(word) > PACK_MEMBER_MAX)
		return false;
	return slot_is_recompressed(word) || slot_codec(word) == SLOT_CODEC_MAIN_KEPT ||
	       (slot_codec(word) == SLOT_CODEC_RAW_KEPT && slot_length(word) <= PACK_RAW_MAX);
}

/* pack_note() - what recompression has settled at @place may be in a pack from now on */
static inline void pack_note(struct recompressor *rc, uint64_t place, uint64_t word)
{
	if (rc->packs.pool && pack_may_join(word))
		zs_note_object(rc->packs.pool, place / 2);
}
static_assert(1u << ARENA_REF_SHIFT == 2 * sizeof(uint64_t), "from a place to a ref");

#endif
