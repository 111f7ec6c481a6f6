// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * usage.c - what a file's content costs, cluster by cluster.
 *
 * Locks: the slot's, shared, for one cluster at a time; so the sum is of no one moment.
 *
 * Weakness: the tree's nodes, one for 64 clusters, are counted in one go.
 */
#include <string.h>

#include "blkmap/content/content.h"
#include "blkmap/slot/borrow.h"
#include "blkmap/slot/pack.h"
#include "blkmap/slot/share.h"

static_assert(BLKMAP_NR_CODECS == SLOT_NR_CODECS, "one sum for each number");

struct usage {
	struct slots *slots;
	struct blkmap_usage *sum;
};

static uint32_t object_bytes(const struct zs_pool *pool, ref_t ref)
{
	return zs_room_of(pool, ref) + ZS_HDR_SIZE;
}

/* What is not read is not even looked at: its place is as large as what was written in it, or larger. */
static uint32_t stored_size(const struct slots *slots, uint64_t word)
{
	if (slots->unread)
		return borrow_place(slots, slot_ref(word));
	return slots_borrow(slots) ? borrow_size(slots, slot_ref(word))
				   : zs_size(slots->arena, slot_ref(word));
}

/* One that is shared counts in full wherever it is named, as a copy of its own would. */
static void add_object(struct usage *usage, uint64_t word)
{
	const uint32_t size = stored_size(usage->slots, word);

	usage->sum->objects++;
	usage->sum->stored += size;
	if (!slots_borrow(usage->slots))
		usage->sum->memory += object_bytes(usage->slots->data, slot_ref(word));
	usage->sum->bytes[slot_codec(word)] += size;
}

static uint32_t part_of(uint32_t size, uint32_t length, uint32_t of)
{
	return (uint32_t)div_round_up_u64((uint64_t)size * length, of);
}

/*
 * One that stands in a pack with others, whose share lock is held: as much of the pack's object as it
 * has of the pack's bytes. Half of a pack may be nobody's.
 */
static void add_member(struct usage *usage, uint64_t word, const struct pack_rec *pack)
{
	const uint64_t all = word_get(&pack->share.word);
	const uint32_t length = slot_length(word), of = slot_length(all);
	const uint32_t size = part_of(stored_size(usage->slots, all), length, of);
	uint32_t memory = object_bytes(usage->slots->meta, slot_ref(word));

	if (!slots_borrow(usage->slots))
		memory += object_bytes(usage->slots->data, slot_ref(all));
	usage->sum->objects++;
	usage->sum->stored += size;
	usage->sum->memory += part_of(memory, length, of);
	usage->sum->bytes[slot_codec(all)] += size;
}

/* @over: pages that stand over this word, so that its own do not count. */
static void add_word(struct usage *usage, uint64_t word, unsigned order, uint32_t over)
{
	struct slots *slots = usage->slots;
	uint32_t mask = slot_present(slots, word, order) & ~over;
	unsigned codec = BLKMAP_NR_CODECS;

	if (slot_kind(word) == SLOT_OBJ) {
		codec = slot_codec(word);
		add_object(usage, word);
	} else if (slot_kind(word) == SLOT_SHARED) {
		uint64_t obj = share_hold(slots, word);

		codec = slot_codec(obj);
		if (pack_of(slots, word))
			add_member(usage, word, pack_of(slots, word));
		else
			add_object(usage, obj);
		share_drop(slots, word);
	}
	if (slot_kind(word) == SLOT_SPILLED) {
		codec = slot_codec(word);
		usage->sum->out += spill_len(slots->spill, slot_spilled_id(word));
		usage->sum->nr_out++;
	}
	usage->sum->pages[codec] += (unsigned)__builtin_popcount(mask);
}

static void add_map(struct usage *usage, uint64_t word, unsigned order)
{
	const struct cluster_map *cmap = cluster_map_at(usage->slots, word);
	uint32_t over = 0;

	for (unsigned p = 0; p < 1u << order; p++) {
		uint64_t page = word_get(&cmap->pages[p]);

		if (!page)
			continue;
		over |= 1u << p;
		add_word(usage, page, 0, 0);
	}
	add_word(usage, word_get(&cmap->base), order, over);
	usage->sum->memory += object_bytes(usage->slots->meta, slot_ref(word));
}

static void add_node(void *arg, ref_t node)
{
	struct usage *usage = arg;

	usage->sum->memory += object_bytes(usage->slots->meta, node);
}

int content_usage(struct slots *slots, const struct blkmap_file *file,
		  struct blkmap_usage *out_usage)
{
	struct usage usage = { .slots = slots, .sum = out_usage };
	uint64_t *slot;

	if (!file->round)
		memset(out_usage, 0, sizeof(*out_usage));
	for (uint64_t idx = file->round ? file->round->at : 0;
	     (slot = tree_next(slots->arena, &file->tree, &idx)); idx++) {
		struct slot_lock *lock = slot_lock(slots, slot);
		uint64_t word;

		read_lock(&lock->lock);
		word = word_get(slot);
		if (slot_kind(word) == SLOT_MAP)
			add_map(&usage, word, file->order);
		else
			add_word(&usage, word, file->order, 0);
		rw_unlock(&lock->lock);
		if (zt_round_spent(file->round, 1)) {
			file->round->at = idx + 1;
			return -EAGAIN;
		}
	}
	(void)tree_nr_nodes(slots->arena, &file->tree, add_node, &usage);
	return 0;
}
