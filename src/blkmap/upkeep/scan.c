// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scan.c - finding and reading of objects, in the order of their places.
 *
 * An object is found by the pool, with its slot: under class->lock it cannot be freed, and under its
 * slot lock, tried from there, not change. With an object that several slots name the record and its
 * lock stand for the slot.
 *
 * Locks: recompress.h.
 */
#include "blkmap/cluster/cluster.h"
#include "blkmap/upkeep/recompress.h"

struct visit {
	struct recompressor *rc;
	bool noted; /* what is said to be settled must hold */
	recomp_wanted_fn wanted;
	void *arg;
	struct recomp_item *item; /* out */
};

/* A word that is on its way out or in says nothing. */
static enum recomp_want word_want(struct visit *visit, uint64_t word, ref_t ref,
				  const struct pack_rec *pack)
{
	bool thin;

	if (slot_kind(word) != SLOT_OBJ || slot_ref(word) != ref)
		return RECOMP_LATER;
	thin = pack && pack_is_thin(visit->rc->slots, pack);
	return visit->wanted(visit->arg, word, thin);
}

/* zs_visit_fn. ZS_STOP: it is wanted, and its slot's or record's lock is held shared. */
static enum zs_verdict visit_object(void *arg, ref_t ref, uint32_t len, struct zs_owner owner)
	ZT_NO_LOCK_CHECK /* the lock goes to the caller with the item */
{
	struct visit *visit = arg;
	const struct slots *slots = visit->rc->slots;
	bool shared = owner.index == OWNER_SHARE;
	const struct pack_rec *pack;
	enum recomp_want want;
	uint64_t word;

	(void)len;
	visit->rc->looks++;
	/* Pinned ones are on their way. */
	if (owner.word == 0)
		return ZS_UNSETTLED;
	/* Bases and pages of cluster maps are folded first, and then they are others' or gone. */
	if (owner.index != OWNER_SLOT && !shared)
		return ZS_SETTLED;
	/*
	 * A look without the lock sorts most out; the word's memory stays while the object does. But
	 * whoever overwrites an object in place tells the pool before the word: that it is settled
	 * is known under the lock alone.
	 */
	if (!visit->noted &&
	    word_want(visit, word_get(slot_at(slots, owner.word)), ref, NULL) != RECOMP_NOW)
		return ZS_UNSETTLED;
	if (!owner_try(slots, ref, owner, &word))
		return ZS_UNSETTLED;
	pack = shared ? pack_by_place(slots, owner.word) : NULL;
	want = word_want(visit, word, ref, pack);
	if (want != RECOMP_NOW) {
		rw_unlock(place_lock(slots, owner.word, shared));
		return want == RECOMP_NEVER ? ZS_SETTLED : ZS_UNSETTLED;
	}
	visit->item->place = owner.word;
	visit->item->shared = shared;
	visit->item->pack = pack != NULL;
	visit->item->word = word;
	visit->item->seq = *place_seq(slots, owner.word, shared);
	visit->item->len = slot_length(word);
	return ZS_STOP;
}

bool recomp_find(struct recompressor *rc, uint64_t *inout_cursor, recomp_wanted_fn wanted,
		 void *arg, struct recomp_item *out_item)
{
	struct visit visit = { .rc = rc, .wanted = wanted, .arg = arg, .item = out_item };

	return zs_scan(rc->slots->data, inout_cursor, visit_object, &visit);
}

bool recomp_find_new(struct recompressor *rc, uint64_t *inout_cursor, recomp_wanted_fn wanted,
		     void *arg, struct recomp_item *out_item)
{
	struct visit visit = {
		.rc = rc, .noted = true, .wanted = wanted, .arg = arg, .item = out_item
	};

	return zs_scan_noted(rc->slots->data, inout_cursor, visit_object, &visit);
}

void recomp_unlock(struct recompressor *rc, const struct recomp_item *item)
	ZT_NO_LOCK_CHECK /* the lock came with the item */
{
	rw_unlock(place_lock(rc->slots, item->place, item->shared));
}

int recomp_load(struct recompressor *rc, const struct recomp_item *item, char *dst)
{
	struct cluster c = { .codecs = rc->codecs, .slots = rc->slots };
	int error;

	/* What is decoded under a share lock is not kept for later. */
	c.lock = item->shared ? NULL : slot_lock_at(rc->slots, item->place);
	c.strm = zcomp_stream_get_private(rc->codecs->comp);
	error = item->pack ? cluster_load_pack(&c, pack_by_place(rc->slots, item->place), dst)
			   : cluster_load(&c, item->word, 0, item->len, dst);
	zcomp_stream_put(rc->codecs->comp, c.strm);
	return error;
}
