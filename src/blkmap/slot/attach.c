// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * attach.c - the words of files found again. See attach.h for what decides.
 *
 * Nothing is trusted that was not claimed: a word leads to an object of its pool, of a size that fits,
 * which nobody has named before, or the walk ends.
 */
#include "blkmap/slot/attach.h"

#include <errno.h>
#include <string.h>

#include "blkmap/slot/account.h"
#include "blkmap/slot/borrow.h"
#include "blkmap/slot/live.h"
#include "blkmap/slot/pack.h"
#include "blkmap/slot/share.h"
#include "util/alloc.h"
#include "zsmalloc/attach.h"

struct file_walk {
	struct slots_attach *attach;
	const struct blkmap_file *file;
	uint64_t pages, end;
};

static int bad(struct slots_attach *attach, const char *what)
{
	attach->what = what;
	return -EUCLEAN;
}

static int claim_object(struct slots_attach *attach, uint64_t word, const uint64_t *place,
			unsigned index)
{
	struct slots *slots = attach->slots;
	struct zs_owner owner, should = { .word = slot_place(slots, place), .index = index };

	/* Nobody changes it, so whose it is does not matter. */
	if (slots_borrow(slots)) {
		slots->nr_borrowed++;
		return borrow_has(slots, slot_ref(word)) ?
			       0 :
			       bad(attach, "a cluster names an object that is not in the image");
	}
	if (zs_claim(slots->data, slot_ref(word)) != ZS_CLAIMED)
		return bad(attach, "a cluster names an object that is not there, or another's");
	if (word & SLOT_SPARSE && zs_size(slots->arena, slot_ref(word)) < SLOT_SPARSE_PREFIX)
		return bad(attach, "an object is too short for what it says");
	owner = zs_get_owner(slots->arena, slot_ref(word));
	if (owner.word != should.word || owner.index != should.index) {
		zs_set_owner(slots->arena, slot_ref(word), should);
		attach->repairs.owners++;
	}
	return 0;
}

static int shares_note(struct slots_attach *attach, ref_t ref, uint64_t count)
{
	if (attach->nr_shares == attach->max_shares) {
		uint64_t max = attach->max_shares ? 2 * attach->max_shares : 512;
		void *more = zt_map(max * sizeof(*attach->shares));

		if (!more)
			return -ENOMEM;
		if (attach->nr_shares)
			memcpy(more, attach->shares, attach->nr_shares * sizeof(*attach->shares));
		zt_unmap(attach->shares, attach->max_shares * sizeof(*attach->shares));
		attach->shares = more;
		attach->max_shares = max;
	}
	attach->shares[attach->nr_shares].ref = ref;
	attach->shares[attach->nr_shares++].count = count;
	return 0;
}

/* Whether a share record or a pack's may be at @ref, by its length and by what it says of itself. */
static bool is_record(const struct slots *slots, ref_t ref)
{
	const struct share_rec *rec = zs_data(slots->arena, ref);
	const uint32_t size = zs_size(slots->arena, ref);

	return (size == sizeof(*rec) || size == sizeof(struct pack_rec)) &&
	       slot_kind(word_get(&rec->word)) == SLOT_OBJ;
}

/*
 * Whether what was claimed before at @ref was claimed as a record: its object is owned by it, which was
 * made so then. Anything may stand there otherwise, the target of a link, say.
 */
static bool is_claimed_record(const struct slots *slots, ref_t ref)
{
	const struct share_rec *rec = zs_data(slots->arena, ref);
	struct zs_owner owner;

	if (zs_get_owner(slots->arena, ref).word != 0 || !is_record(slots, ref))
		return false;
	/* Nobody changes what is outside: it counts, and no more comes of it. */
	if (slots_borrow(slots))
		return true;
	if (zs_claim(slots->data, slot_ref(rec->word)) != ZS_CLAIMED_BEFORE)
		return false;
	owner = zs_get_owner(slots->arena, slot_ref(rec->word));
	return owner.word == slot_place(slots, &rec->word) && owner.index == OWNER_SHARE;
}

/* The first name of a record: it holds its object, and counts its names from now on. */
static int claim_record(struct slots_attach *attach, struct share_rec *rec, ref_t ref)
{
	struct pack_rec *pack;
	uint64_t word;
	int error;

	if (!is_record(attach->slots, ref))
		return bad(attach, "a share record is none");
	word = word_get(&rec->word);
	pack = pack_at(attach->slots, ref);
	error = claim_object(attach, word, &rec->word, OWNER_SHARE);
	if (!error && pack && !pack_is_sound(attach->slots, pack))
		return bad(attach, "a pack is none");
	if (!error)
		error = shares_note(attach, ref, rec->count);
	if (error)
		return error;
	codec_count(attach->slots, word, 1);
	if (pack) {
		memset(pack->names, 0, sizeof(pack->names));
		atomic_fetch_add(&attach->slots->account.packs, 1);
	}
	rec->count = 0;
	return 0;
}

/* A name of a pack that was claimed. */
static int claim_member(struct slots_attach *attach, uint64_t word, struct pack_rec *pack)
{
	if (!pack_holds(attach->slots, pack, word))
		return bad(attach, "a cluster is longer than what a pack has of it");
	if (!pack_name(pack, pack_member(word)))
		return bad(attach, "a pack has too many names");
	return 0;
}

static int claim_shared(struct slots_attach *attach, uint64_t word, unsigned order)
{
	enum zs_claim claim = zs_claim(attach->slots->meta, slot_ref(word));
	struct share_rec *rec;
	struct pack_rec *pack;
	int error = 0;

	if (claim == ZS_NO_OBJECT)
		return bad(attach, "a cluster names a share record that is not there");
	rec = share_rec_at(attach->slots, word);
	if (claim == ZS_CLAIMED)
		error = claim_record(attach, rec, slot_ref(word));
	else if (!is_claimed_record(attach->slots, slot_ref(word)))
		error = bad(attach, "a cluster names a share record that is none");
	if (error)
		return error;
	rec->count++;
	pack = pack_of(attach->slots, word);
	if (pack)
		return claim_member(attach, word, pack);
	if (slot_length(rec->word) > cluster_size(order))
		return bad(attach, "an object that is shared is longer than a cluster that has it");
	return (word ^ rec->word) & SLOT_SPARSE
		       ? bad(attach, "a cluster and its share record differ about holes")
		       : 0;
}

static int claim_spilled(struct slots_attach *attach, uint64_t word, unsigned order)
{
	if (slot_length(word) > cluster_size(order))
		return bad(attach, "an object is longer than its cluster");
	if (!attach->slots->spill || !spill_claim(attach->slots->spill, slot_spilled_id(word)))
		return bad(attach, "a cluster is in a spill file, where it is not, or another's");
	return 0;
}

/* A word that is no map. */
static int attach_word(struct slots_attach *attach, const uint64_t *place, unsigned index,
		       unsigned order)
{
	uint64_t word = word_get(place);

	switch (slot_kind(word)) {
	case SLOT_HOLE:
		return word ? bad(attach, "a cluster's word is none") : 0;
	case SLOT_SAME:
		return 0;
	case SLOT_ZERO:
		if (slot_zero_mask(word) & ~pages_mask(cluster_size(order)))
			return bad(attach, "a cluster has pages behind its end");
		return 0;
	case SLOT_OBJ:
	case SLOT_SHARED:
		if (slot_length(word) > cluster_size(order))
			return bad(attach, "an object is longer than its cluster");
		if (slot_kind(word) == SLOT_OBJ)
			return claim_object(attach, word, place, index);
		if (index <= OWNER_BASE)
			return claim_shared(attach, word, order);
		break;
	case SLOT_SPILLED:
		if (index == OWNER_SLOT)
			return claim_spilled(attach, word, order);
		break;
	default:
		break;
	}
	return bad(attach, "a cluster's word is of an unknown kind");
}

int slots_attach_map(struct slots *slots, uint64_t place, unsigned order, unsigned setting)
{
	struct slot_lock *lock = slot_lock_at(slots, place);
	struct live_map *live;
	void *space;
	int error = arena_heap_alloc(slots->arena, sizeof(*live), &space);

	if (error)
		return error;
	live = space;
	*live = (struct live_map){ .place = place,
				   .order = (uint16_t)order,
				   .setting = (uint16_t)setting };
	live_map_add(slots, lock, live);
	setting_get(slots, setting);
	return 0;
}

static int attach_map(struct file_walk *walk, uint64_t *slot)
{
	struct slots_attach *attach = walk->attach;
	struct slots *slots = attach->slots;
	unsigned order = walk->file->order;
	uint32_t size = (uint32_t)(sizeof(struct cluster_map) + (sizeof(uint64_t) << order));
	struct cluster_map *cmap;
	int error;

	if (!zs_claim_sized(slots->meta, slot_ref(word_get(slot)), size))
		return bad(attach, "a cluster names a map that is not there, or another's");
	cmap = cluster_map_at(slots, word_get(slot));
	if (cmap->place != slot_place(slots, slot)) {
		word_set(&cmap->place, slot_place(slots, slot));
		attach->repairs.places++;
	}
	error = attach_word(attach, &cmap->base, OWNER_BASE, order);
	for (unsigned p = 0; p < 1u << order && !error; p++)
		error = attach_word(attach, &cmap->pages[p], OWNER_PAGE(p), 0);
	return error ? error : slots_attach_map(slots, cmap->place, order, walk->file->setting);
}

/* tree_attach_fn */
static int attach_slot(void *arg, uint64_t idx, uint64_t *slot)
{
	struct file_walk *walk = arg;
	struct slots *slots = walk->attach->slots;
	unsigned order = walk->file->order;
	uint32_t extent;
	uint64_t word;
	int error = slot_kind(word_get(slot)) == SLOT_MAP
			    ? attach_map(walk, slot)
			    : attach_word(walk->attach, slot, OWNER_SLOT, order);

	if (error)
		return error;
	word = word_get(slot);
	slot_count(slots, word, order, 1);
	walk->pages += (unsigned)__builtin_popcount(slot_present(slots, word, order));
	/* Allocated pages are zero: they may stand behind the end. */
	extent = slot_kind(word) == SLOT_ZERO ? 0 : slot_extent(slots, word, order);
	if (extent)
		walk->end = max_u64(walk->end, idx * cluster_size(order) + extent);
	return 0;
}

int slots_attach_file(struct slots_attach *attach, const struct blkmap_file *file,
		      uint64_t *out_end)
{
	struct slots *slots = attach->slots;
	struct file_walk walk = { .attach = attach, .file = file };
	int error;

	if (file->order > BLKMAP_MAX_ORDER)
		return bad(attach, "a file's clusters are too large");
	attach->what = "a node of a file's tree is not there, or another's";
	error = tree_attach(slots->arena, slots->meta, &file->tree, attach_slot, &walk);
	if (error)
		return error;
	if (*file->nr_pages != walk.pages) {
		__atomic_store_n(file->nr_pages, walk.pages, __ATOMIC_RELAXED);
		attach->repairs.page_counts++;
	}
	atomic_fetch_add_explicit(&slots->account.nr_pages, walk.pages, memory_order_relaxed);
	*out_end = walk.end;
	return 0;
}

void slots_attach_end(struct slots_attach *attach)
{
	for (uint64_t i = 0; i < attach->nr_shares; i++) {
		const struct share_rec *rec =
			zs_data(attach->slots->arena, attach->shares[i].ref);

		attach->repairs.share_counts += rec->count != attach->shares[i].count;
	}
	zt_unmap(attach->shares, attach->max_shares * sizeof(*attach->shares));
	attach->shares = NULL;
	attach->nr_shares = attach->max_shares = 0;
}
