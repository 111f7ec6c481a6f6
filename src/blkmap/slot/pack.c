// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pack.c - pack records: which members are named, and whether a record can be one. See pack.h.
 *
 * Locks: those of share records (share.c).
 */
#include "blkmap/slot/pack.h"

#include "blkmap/slot/borrow.h"

uint32_t pack_live(const struct slots *slots, const struct pack_rec *rec, uint32_t *out_members)
{
	const struct pack_head *head = pack_head(slots, rec);
	uint32_t bytes = 0;

	*out_members = 0;
	for (unsigned i = 0; i < PACK_MEMBERS; i++) {
		if (rec->names[i] == 0)
			continue;
		bytes += head->len[i];
		*out_members |= 1u << i;
	}
	return bytes;
}

bool pack_is_thin(const struct slots *slots, const struct pack_rec *rec)
{
	uint32_t members;

	return pack_live(slots, rec, &members) * 2 <= slot_length(word_get(&rec->share.word));
}

bool pack_name(struct pack_rec *rec, unsigned i)
{
	if (rec->names[i] == UINT16_MAX)
		return false;
	__atomic_store_n(&rec->names[i], rec->names[i] + 1, __ATOMIC_RELAXED);
	zt_stored("pack: a member's names");
	return true;
}

void pack_unname(struct pack_rec *rec, uint32_t members)
{
	for (unsigned i = 0; i < PACK_MEMBERS; i++) {
		if (!(members & 1u << i))
			continue;
		__atomic_store_n(&rec->names[i], rec->names[i] - 1, __ATOMIC_RELAXED);
		zt_stored("pack: a member's names");
	}
}

bool pack_is_sound(const struct slots *slots, const struct pack_rec *rec)
{
	const uint64_t word = word_get(&rec->share.word);

	if (slot_kind(word) != SLOT_OBJ || word & (SLOT_SPARSE | SLOT_CUT))
		return false;
	return slots_borrow(slots) ||
	       (zs_size(slots->arena, slot_ref(word)) > sizeof(struct pack_head) &&
		pack_start(pack_head(slots, rec), PACK_MEMBERS) == slot_length(word));
}

bool pack_holds(const struct slots *slots, const struct pack_rec *rec, uint64_t word)
{
	if (word & SLOT_SPARSE)
		return false;
	return slots_borrow(slots) ? slot_length(word) <= slot_length(word_get(&rec->share.word))
				   : slot_length(word) <= pack_head(slots, rec)->len[pack_member(word)];
}
