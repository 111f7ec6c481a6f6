/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pack.h - packs: one object that holds what several small files have.
 *
 *     slot of one file: SHARED, member 0 --+
 *     slot of another:  SHARED, member 1 --+--> pack record: word --> object: lengths | bytes of 0, 1, ...
 *     a copy of that:   SHARED, member 1 --+                 count, names
 *
 * A pack record is a share record with more behind it, by which length it is told from others. All
 * that holds for shared objects holds for packs: who owns the object, how it moves, when it goes.
 * The word of a name says which member it is where others have their codec, which nobody asks a
 * shared word for. Its length and CUT are its own; no member has holes.
 *
 * How long each member is stands in front of the object's bytes, not in the record: so one store
 * exchanges both when a pack is made anew without the members that nobody names any more.
 */
#ifndef ZT_BLKMAP_SLOT_PACK_H
#define ZT_BLKMAP_SLOT_PACK_H

#include "blkmap/slot/slots.h"

#define PACK_MEMBERS    16u
#define PACK_BYTES      (64 * 1024u) /* of content, at most */
#define PACK_MEMBER_MAX (16 * 1024u)
static_assert(PACK_MEMBERS == 1u << SLOT_CODEC_BITS, "a codec's place says which member");
static_assert(PACK_BYTES <= ZCOMP_MAX_UNIT, "a length fits a slot");

/* Canonical. Guarded as share_rec is. */
struct pack_rec {
	struct share_rec share; /* word: of the object, its length that of all members together */
	uint16_t names[PACK_MEMBERS]; /* of each member; their sum is share.count, but while a pack is made */
};
static_assert(sizeof(struct pack_rec) == 48, "canonical");

/* Canonical: in front of the object's bytes, which are compressed as the record's word says. */
struct pack_head {
	uint16_t len[PACK_MEMBERS]; /* bytes of each, side by side in their order; 0: it is gone */
};
static_assert(sizeof(struct pack_head) == 32, "canonical");
static_assert(PACK_MEMBER_MAX <= UINT16_MAX, "a length fits");

/* pack_at() - the record at @ref, if it is a pack's; NULL: it is a share record */
static inline struct pack_rec *pack_at(const struct slots *slots, ref_t ref)
{
	return zs_size(slots->arena, ref) == sizeof(struct pack_rec) ? zs_data(slots->arena, ref)
								     : NULL;
}

/* pack_of() - the same by a SHARED word, whose slot's lock is held */
static inline struct pack_rec *pack_of(const struct slots *slots, uint64_t word)
{
	return pack_at(slots, slot_ref(word));
}

/* pack_by_place() - the same by the place of the record's word, as an object's owner has it */
static inline struct pack_rec *pack_by_place(const struct slots *slots, uint64_t place)
{
	return pack_at(slots, (place * 8 - ZS_HDR_SIZE) >> ARENA_REF_SHIFT);
}

static inline unsigned pack_member(uint64_t word)
{
	return slot_codec(word);
}

/* The word of a name of member @i of the pack @rec, that stands for @length bytes of it. */
static inline uint64_t slot_make_member(ref_t rec, unsigned i, uint32_t length)
{
	return slot_make_shared(slot_make_obj(i, length, false), rec);
}

static inline const struct pack_head *pack_head(const struct slots *slots,
						const struct pack_rec *rec)
{
	return zs_data(slots->arena, slot_ref(word_get(&rec->share.word)));
}

/* pack_start() - where member @i begins in the decoded bytes */
static inline uint32_t pack_start(const struct pack_head *head, unsigned i)
{
	uint32_t start = 0;

	while (i-- > 0)
		start += head->len[i];
	return start;
}

/* pack_live() - bytes of members that are named, and which these are. Share lock held. */
uint32_t pack_live(const struct slots *slots, const struct pack_rec *rec, uint32_t *out_members);

/* pack_is_thin() - half of it or more is named by nobody: it is to be made anew. Share lock held. */
bool pack_is_thin(const struct slots *slots, const struct pack_rec *rec);

/*
 * pack_begin() - the record @ref, which nobody knows yet, gets an object that nobody owns, its OBJ
 * word @word; each of the @nr members has the name that it is about to get
 * No slot lock held. The pack stays until pack_end(), whatever becomes of the names.
 */
void pack_begin(struct slots *slots, ref_t ref, uint64_t word, unsigned nr);

/* pack_end() - @members, a mask, did not get their names; a pack without any goes */
void pack_end(struct slots *slots, ref_t ref, uint32_t members);

/*
 * pack_name() - one more name for member @i; false: there can be no more. Exclusive share lock held.
 * pack_unname() - one less for each of @members, a mask
 */
bool pack_name(struct pack_rec *rec, unsigned i) ZT_MUST_CHECK;
void pack_unname(struct pack_rec *rec, uint32_t members);

/*
 * pack_is_sound() - whether the record and what is in front of its object can be a pack's
 * Of an object that is outside (borrow.h) a read sees, and nobody before.
 */
bool pack_is_sound(const struct slots *slots, const struct pack_rec *rec);

/* pack_holds() - whether a name's word may be one of the pack's, which is sound; likewise */
bool pack_holds(const struct slots *slots, const struct pack_rec *rec, uint64_t word);

#endif
