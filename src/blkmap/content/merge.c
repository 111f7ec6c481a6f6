// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merge.c - a cluster rewritten as one object, its old and new bytes together; and cluster maps
 * folded so.
 */
#include <errno.h>
#include <string.h>

#include "blkmap/content/attempt.h"
#include "blkmap/content/change.h"
#include "blkmap/slot/live.h"

struct merge {
	const struct cluster_op *op;
	/*
	 * Only while the slot has a cluster map that is listed with the same order and setting, as
	 * it was seen before: maintenance holds no inode, and without one the slot may be gone.
	 * NULL: the slot is held.
	 */
	const struct live_map *fold;
	uint32_t len, mask; /* of the cluster as it will be */
	struct change change;
};

static void apply_op(char *bytes, uint32_t len, const struct cluster_op *op)
{
	if (op->from < op->to)
		memcpy(bytes + op->from, op->src, op->to - op->from);
	for (uint32_t p = 0; p << ZT_PAGE_SHIFT < len; p++) {
		uint32_t start = p << ZT_PAGE_SHIFT;

		if (op->drop_pages & 1u << p)
			memset(bytes + start, 0, min_u64(ZT_PAGE_SIZE, len - start));
	}
}

/*
 * Whether a merge may look at its slot. A slot that was remembered without its inode is one as long
 * as it has a live map: that is all that proves so, and the file may be another one by now, with
 * clusters of another size. Slot lock held.
 */
static bool slot_is_there(const struct cluster *c, const struct live_map *fold)
{
	const struct live_map *live;

	if (!fold)
		return true;
	live = live_map_find(c->slots, c->lock, slot_place(c->slots, c->slot));
	return live && live->order == fold->order && live->setting == fold->setting;
}

static int merge_look(const struct cluster *c, void *arg)
{
	struct merge *merge = arg;
	const struct cluster_op *op = merge->op;
	const unsigned order = c->file->order;
	uint32_t mask, len;
	uint64_t word;

	merge->change.rest = slot_fresh(0);
	if (!slot_is_there(c, merge->fold))
		return ATTEMPT_DONE;
	word = word_get(c->slot);
	mask = slot_present(c->slots, word, order);
	mask = (mask | pages_touched(op) | op->add_pages) & ~op->drop_pages;
	len = (uint32_t)max_u64(slot_extent(c->slots, word, order), op->to);
	if (op->add_pages)
		len = cluster_size(order);
	if (op->cut)
		len = (uint32_t)min_u64(len, op->cut);
	if (mask == 0)
		len = 0;
	else
		len = (uint32_t)min_u64(len, (32u - (uint32_t)__builtin_clz(mask))
						     << ZT_PAGE_SHIFT);
	merge->mask = mask;
	merge->len = len;
	return cluster_load(c, word, 0, len, strm_bytes(c->strm));
}

static int merge_prepare(const struct cluster *c, void *arg, bool kept)
{
	struct merge *merge = arg;
	const struct source source = {
		.data = strm_bytes(c->strm),
		.len = merge->len,
		.full = cluster_size(c->file->order),
		.mask = merge->mask,
	};

	apply_op(strm_bytes(c->strm), merge->len, merge->op);
	encode(c, &source, &merge->change.enc);
	change_place(c, &merge->change, kept);
	return 0;
}

static int merge_publish(const struct cluster *c, void *arg)
{
	struct merge *merge = arg;

	return change_publish(c, &merge->change);
}

static void merge_end(const struct cluster *c, void *arg)
{
	struct merge *merge = arg;

	change_end(c, &merge->change);
}

static const struct attempt_ops merge_ops = {
	.look = merge_look,
	.prepare = merge_prepare,
	.publish = merge_publish,
	.end = merge_end,
	.keeps_lock = true,
};

int cluster_merge(const struct cluster *c, const struct cluster_op *op)
{
	struct merge merge = { .op = op };

	return attempt_run(c, &merge_ops, &merge);
}

int cluster_fold(const struct cluster *c, const struct live_map *live)
{
	const struct cluster_op nothing = { 0 };
	struct merge merge = { .op = &nothing, .fold = live };

	return attempt_run(c, &merge_ops, &merge);
}
