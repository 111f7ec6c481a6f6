// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cluster_write.c - how bytes get into one cluster.
 *
 * Compression runs without the slot lock. Who needs old content takes it under the shared lock,
 * remembers the lock's seq, prepares the new word, and publishes under the exclusive lock only if
 * seq has not moved; otherwise it starts again. After a few rounds it keeps the lock throughout, so
 * that progress is certain.
 */
#include "blkmap/blkmap_i.h"

#include <errno.h>
#include <string.h>

#define OPTIMISTIC_ROUNDS 4u

int cluster_commit(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		   const struct encoded *enc, const uint64_t *seq, bool locked)
{
	struct slot_lock *lock = slot_lock(map, slot);
	struct loose_word old = { 0 };
	uint64_t word = 0;
	int error;

	/* Making room tries other slots' locks: never under one. */
	error = locked ? encoded_place(map, enc, &word) : encoded_place_hard(map, enc, &word);
	if (!locked)
		write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	if (seq && *seq != lock->seq) {
		old = slot_fresh(word);
		error = -EAGAIN;
	} else if (!error) {
		error = slot_publish(map, file, slot, word, &old);
		if (error)
			old = slot_fresh(word);
	} else if (encoded_overwrite(map, file, slot, enc)) {
		error = 0;
	}
	if (!locked)
		rw_unlock(&lock->lock);
	slot_release(map, old, file->order);
	return error;
}

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
static bool slot_is_there(struct blkmap *map, struct slot_lock *lock, const uint64_t *slot,
			  const struct cluster_op *op)
{
	const struct live_map *live;

	if (!op->fold)
		return true;
	live = live_map_find(lock, slot_place(map, slot));
	return live && live->order == op->fold->order && live->setting == op->fold->setting;
}

/* One round of a merge: a cluster_round_fn. */
static int merge_once(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		      struct zcomp_strm *strm, const struct cluster_op *op, bool locked)
{
	struct slot_lock *lock = slot_lock(map, slot);
	uint32_t full = cluster_size(file->order), mask, len;
	char *bytes = strm_bytes(strm);
	uint64_t word, seq = lock->seq;
	struct encoded enc;
	int error;

	if (!slot_is_there(map, lock, slot, op)) {
		if (!locked)
			rw_unlock(&lock->lock);
		return 0;
	}
	word = word_get(slot);
	mask = slot_present(map, word, file->order);
	mask = (mask | pages_touched(op) | op->add_pages) & ~op->drop_pages;
	len = (uint32_t)max_u64(slot_extent(map, word, file->order), op->to);
	if (op->add_pages)
		len = full;
	if (op->cut)
		len = (uint32_t)min_u64(len, op->cut);
	if (mask == 0)
		len = 0;
	else
		len = (uint32_t)min_u64(len, (32u - (uint32_t)__builtin_clz(mask))
						     << ZT_PAGE_SHIFT);
	error = cluster_load(map, lock, strm, word, 0, len, bytes);
	if (!locked)
		rw_unlock(&lock->lock);
	if (error)
		return error;
	apply_op(bytes, len, op);
	encode(map, file, strm, bytes, len, full, mask, &enc);
	return cluster_commit(map, file, slot, &enc, &seq, locked);
}

int cluster_rounds(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		   struct zcomp_strm *strm, const struct cluster_op *op, cluster_round_fn once)
{
	struct slot_lock *lock = slot_lock(map, slot);

	for (unsigned round = 0;; round++) {
		bool locked = round >= OPTIMISTIC_ROUNDS;
		int error;

		if (locked)
			write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
		else
			read_lock_counted(&lock->lock, ZT_LOCK_SLOT);
		error = once(map, file, slot, strm, op, locked);
		if (locked)
			rw_unlock(&lock->lock);
		if (error != -EAGAIN)
			return error;
	}
}

int cluster_merge(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		  struct zcomp_strm *strm, const struct cluster_op *op)
{
	return cluster_rounds(map, file, slot, strm, op, merge_once);
}

/* What to do with a partial write, by what the slot holds now. */
enum plan {
	PLAN_REPLACE, /* the new bytes cover all that there is */
	PLAN_MERGE, /* one object of old and new */
	PLAN_OVERLAY, /* pages over the old */
	PLAN_SPREAD, /* the same, and the old ones likewise */
};

/*
 * A merge compresses the whole cluster to change a part: worth it when the part is at least half of
 * the cluster's data, and when a file grows and many pages stand over the cluster already.
 *
 * When half of the pages stand over a cluster, half of the object below is dead weight: the rest is
 * spread, too. Whoever has written so much of it in small pieces will go on, and writing a page of a
 * spread cluster costs a page, however often. 10 million pages written at random over 1 GiB took 1.40
 * times the memory of pages written once when clusters were merged at three quarters instead.
 */
static enum plan plan_write(struct blkmap *map, const struct blkmap_file *file, uint64_t word,
			    const struct cluster_op *op)
{
	uint32_t touched = pages_touched(op), over = touched;
	uint32_t present = slot_present(map, word, file->order) | touched;
	uint32_t extent = slot_extent(map, word, file->order);
	unsigned nr_present = (unsigned)__builtin_popcount(present), nr_over;
	bool is_spread = false;

	if (op->from == 0 && op->to >= extent)
		return PLAN_REPLACE;
	if (file->order == 0 || (unsigned)__builtin_popcount(touched) * 2 >= nr_present)
		return PLAN_MERGE;
	if (slot_kind(word) == SLOT_MAP) {
		const struct cluster_map *cmap = cluster_map_at(map, word);

		is_spread = !word_get(&cmap->base);
		over |= cluster_map_pages(cmap, file->order);
	}
	nr_over = (unsigned)__builtin_popcount(over);
	if (op->to > extent)
		return nr_over * 4 >= nr_present * 3 ? PLAN_MERGE : PLAN_OVERLAY;
	if (!is_spread && nr_over * 2 >= nr_present)
		return PLAN_SPREAD;
	return PLAN_OVERLAY;
}

int cluster_write(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		  struct zcomp_strm *strm, const struct cluster_op *op)
{
	struct slot_lock *lock = slot_lock(map, slot);
	uint32_t full = cluster_size(file->order);
	struct encoded enc;
	uint64_t seq;
	enum plan plan;
	int error;

	for (unsigned round = 0; round < OPTIMISTIC_ROUNDS; round++) {
		read_lock_counted(&lock->lock, ZT_LOCK_SLOT);
		plan = plan_write(map, file, word_get(slot), op);
		seq = lock->seq;
		rw_unlock(&lock->lock);
		if (plan == PLAN_MERGE)
			break;
		if (plan == PLAN_REPLACE) {
			bool whole = op->to == full;

			encode(map, file, strm, op->src, op->to, full, pages_mask(op->to), &enc);
			error = cluster_commit(map, file, slot, &enc, whole ? NULL : &seq, false);
			if (error == -ENOSPC)
				return cluster_overwrite(map, file, slot, strm, op);
		} else {
			error = cluster_overlay(map, file, slot, strm, op, plan == PLAN_SPREAD);
			heat_add(map, slot_place(map, slot), HEAT_WRITE);
			/*
			 * No room for more objects: one that replaces all may fit where the old
			 * one is.
			 */
			if (error == -ENOSPC)
				break;
		}
		if (error != -EAGAIN)
			return error;
	}
	error = cluster_merge(map, file, slot, strm, op);
	return error == -ENOSPC ? cluster_overwrite(map, file, slot, strm, op) : error;
}
