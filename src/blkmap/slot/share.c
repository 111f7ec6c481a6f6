// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * share.c - objects that several slots name: how copies within the mount cost no memory.
 *
 *     slot of one file: SHARED --+
 *     slot of another:  SHARED --+--> share record: word --> object
 *     base of a map:    SHARED --+                  count
 *
 * A record keeps its object until the last name is gone; then the object loses its owner, and both
 * go. So compaction, which looks at the record of an object that it holds, finds memory there.
 * A slot's own lock keeps its name, and with it the record: who holds the one may look at the other.
 *
 * Locks: share locks are hashed by the record. Below slot locks, above the pools'; nobody holds two.
 */
#include "blkmap/blkmap_i.h"

#include <errno.h>

#include "blkmap/upkeep/dedup.h"
#include "util/alloc.h"

static_assert(OWNER_SHARE < 64, "an owner index has 6 bits");

static struct share_lock *share_lock(const struct blkmap *map, const struct share_rec *rec)
{
	return share_lock_at(map, slot_place(map, &rec->word));
}

struct share_rec *share_rec_at(const struct blkmap *map, uint64_t word)
{
	return zs_data(map->arena, slot_ref(word));
}

ref_t share_rec_ref(const struct blkmap *map, const struct share_rec *rec)
{
	return (slot_place(map, &rec->word) * 8 - ZS_HDR_SIZE) >> ARENA_REF_SHIFT;
}

uint64_t share_hold(struct blkmap *map, uint64_t word)
{
	struct share_rec *rec = share_rec_at(map, word);

	read_lock_counted(&share_lock(map, rec)->lock, ZT_LOCK_SHARE);
	return slot_resolve(word, word_get(&rec->word));
}

void share_drop(struct blkmap *map, uint64_t word)
{
	rw_unlock(&share_lock(map, share_rec_at(map, word))->lock);
}

/* A record's word changes, or goes. Share lock held exclusive. */
static void rec_set(struct share_lock *lock, struct share_rec *rec, uint64_t word)
{
	word_set(&rec->word, word);
	lock->seq++;
}

static void count_shared(struct blkmap *map, uint64_t word, int sign)
{
	uint64_t n = (slot_length(word) + ZT_PAGE_SIZE - 1) >> ZT_PAGE_SHIFT;

	atomic_fetch_add_explicit(&map->shared_pages, sign > 0 ? n : -n, memory_order_relaxed);
}

uint64_t share_begin(struct blkmap *map, uint64_t *slot, ref_t ref)
{
	uint64_t word = word_get(slot), shared = slot_make_shared(word, ref);
	struct share_rec *rec = zs_data(map->arena, ref);
	struct share_lock *lock = share_lock(map, rec);

	write_lock_counted(&lock->lock, ZT_LOCK_SHARE);
	rec_set(lock, rec, word);
	rec->count = 2;
	slot_set_owner(map, word, &rec->word, OWNER_SHARE);
	rw_unlock(&lock->lock);
	word_set(slot, shared);
	slot_lock(map, slot)->seq++;
	count_shared(map, shared, 1);
	return shared;
}

static void share_again(struct blkmap *map, uint64_t word)
{
	struct share_rec *rec = share_rec_at(map, word);
	struct share_lock *lock = share_lock(map, rec);

	write_lock_counted(&lock->lock, ZT_LOCK_SHARE);
	rec->count++;
	rw_unlock(&lock->lock);
}

static int rec_alloc(struct blkmap *map, ref_t *out_ref)
{
	int error = zs_malloc(map->meta, sizeof(struct share_rec), out_ref);

	if (error == -ENOSPC && zs_trim(map->data, 0) > 0)
		error = zs_malloc(map->meta, sizeof(struct share_rec), out_ref);
	return error;
}

int share_take(struct blkmap *map, uint64_t *slot, uint64_t *out_word)
{
	struct slot_lock *lock = slot_lock(map, slot);
	ref_t fresh = 0;
	int error = 0;

	for (;;) {
		uint64_t word;

		write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
		word = word_get(slot);
		if (slot_kind(word) == SLOT_SHARED) {
			share_again(map, word);
		} else if (slot_kind(word) == SLOT_MAP) {
			error = -EAGAIN;
		} else if (slot_kind(word) == SLOT_OBJ && fresh) {
			word = share_begin(map, slot, fresh);
			fresh = 0;
		}
		rw_unlock(&lock->lock);
		*out_word = word;
		if (error || slot_kind(word) != SLOT_OBJ)
			break;
		error = rec_alloc(map, &fresh);
		if (error)
			break;
	}
	if (fresh)
		zs_free(map->meta, fresh);
	return error;
}

void share_end(struct blkmap *map, struct slot_lock *slot_lock, uint64_t *place, unsigned index)
{
	uint64_t word = word_get(place), obj;
	struct share_rec *rec;
	struct share_lock *lock;

	if (slot_kind(word) != SLOT_SHARED)
		return;
	rec = share_rec_at(map, word);
	lock = share_lock(map, rec);
	write_lock_counted(&lock->lock, ZT_LOCK_SHARE);
	/* Names come from names: with the only one held, none can be added. */
	if (rec->count > 1) {
		rw_unlock(&lock->lock);
		return;
	}
	obj = slot_resolve(word, word_get(&rec->word));
	slot_set_owner(map, obj, place, index);
	rec_set(lock, rec, 0);
	rw_unlock(&lock->lock);
	word_set(place, obj);
	slot_lock->seq++;
	if (slot_is_raw(word) == slot_is_raw(obj)) {
		count_shared(map, word, -1);
	} else {
		/* The object was recompressed meanwhile. Its codec is counted already. */
		slot_count(map, word, 0, -1);
		slot_count(map, obj, 0, 1);
		codec_count(map, obj, -1);
	}
	zs_free(map->meta, slot_ref(word));
}

void share_release(struct blkmap *map, uint64_t word)
{
	struct share_rec *rec = share_rec_at(map, word);
	struct share_lock *lock = share_lock(map, rec);
	struct loose_word obj = { 0 };

	write_lock_counted(&lock->lock, ZT_LOCK_SHARE);
	if (--rec->count == 0) {
		obj = slot_disown(map, word_get(&rec->word), 0);
		rec_set(lock, rec, 0);
	}
	rw_unlock(&lock->lock);
	if (!obj.word)
		return;
	codec_count(map, obj.word, -1);
	slot_release(map, obj, 0);
	zs_free(map->meta, slot_ref(word));
}

/* ---- relocation, called by compaction under class->lock ---- */

bool share_relocate_begin(struct blkmap *map, uint64_t place, ref_t old_ref)
{
	struct share_lock *lock = share_lock_at(map, place);
	struct zs_owner now;
	uint64_t word;

	if (!write_trylock(&lock->lock))
		return false;
	/* Has it lost its record since we looked? Then nothing is there to be read. */
	now = zs_get_owner(map->arena, old_ref);
	if (now.word == place && now.index == OWNER_SHARE) {
		word = word_get(slot_at(map, place));
		if (slot_kind(word) == SLOT_OBJ && slot_ref(word) == old_ref)
			return true;
	}
	rw_unlock(&lock->lock);
	return false;
}

void share_relocate_end(struct blkmap *map, uint64_t place, ref_t new_ref)
{
	struct share_rec *rec = (struct share_rec *)slot_at(map, place);
	struct share_lock *lock = share_lock_at(map, place);

	if (new_ref) {
		ref_t old_ref = slot_ref(word_get(&rec->word));

		age_move(map, old_ref, new_ref);
		rec_set(lock, rec, slot_with_ref(word_get(&rec->word), new_ref));
		dedup_moved(map, word_get(&rec->word), old_ref);
	}
	rw_unlock(&lock->lock);
}

/* ---- whole clusters from file to file ---- */

/*
 * Whether the last cluster of a copy may be shared though the copy ends at @len inside it: neither
 * side has pages behind that (fallocate can have put some there).
 */
static bool tail_fits(struct blkmap *map, uint64_t *slot, unsigned order, uint32_t len)
{
	struct slot_lock *lock;
	uint32_t present;

	if (!slot || len == cluster_size(order))
		return true;
	lock = slot_lock(map, slot);
	read_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	present = slot_present(map, word_get(slot), order);
	rw_unlock(&lock->lock);
	return !(present & ~pages_mask(len));
}

static int share_cluster(struct blkmap *map, const struct blkmap_file *from, uint64_t from_idx,
			 const struct blkmap_file *to, uint64_t to_idx, uint32_t len)
{
	uint64_t *src = tree_slot(map->arena, &from->tree, from_idx);
	uint64_t *dst = tree_slot(map->arena, &to->tree, to_idx);
	struct loose_word old = { 0 };
	struct slot_lock *lock;
	uint64_t word = 0;
	int error = 0;

	if (!tail_fits(map, src, from->order, len) || !tail_fits(map, dst, to->order, len))
		return -EAGAIN;
	if (src)
		error = share_take(map, src, &word);
	if (error || (!word && !dst))
		return error;
	if (!dst)
		error = cluster_slot(map, to, to_idx, &dst);
	if (!error) {
		lock = slot_lock(map, dst);
		write_lock_counted(&lock->lock, ZT_LOCK_SLOT);
		error = slot_publish(map, to, dst, word, &old);
		rw_unlock(&lock->lock);
	}
	slot_release(map, error ? slot_fresh(word) : old, to->order);
	return error;
}

int blkmap_share(struct blkmap *map, const struct blkmap_file *from, uint64_t from_off,
		 const struct blkmap_file *to, uint64_t to_off, uint64_t len, uint64_t *out_done)
{
	uint32_t size = cluster_size(from->order);
	uint64_t done = 0;
	int error = 0;

	ZT_ASSERT(from->order == to->order && from_off % size == 0 && to_off % size == 0);
	while (done < len && !error) {
		uint32_t part = (uint32_t)min_u64(len - done, size);

		error = share_cluster(map, from, (from_off + done) / size, to,
				      (to_off + done) / size, part);
		if (!error)
			done += part;
	}
	*out_done = done;
	return error;
}

int blkmap_fold(struct blkmap *map, const struct blkmap_file *file, uint64_t off)
{
	uint64_t *slot = tree_slot(map->arena, &file->tree, off / cluster_size(file->order));
	struct cluster_op op = { 0 };
	struct zcomp_strm *strm;
	struct live_map *found, live;
	struct slot_lock *lock;
	int error;

	if (!slot)
		return 0;
	lock = slot_lock(map, slot);
	read_lock_counted(&lock->lock, ZT_LOCK_SLOT);
	found = live_map_find(lock, slot_place(map, slot));
	if (found)
		live = *found;
	rw_unlock(&lock->lock);
	if (!found)
		return 0;
	op.fold = &live;
	strm = zcomp_stream_get(map->comp, ZSTRM_DEFAULT);
	error = cluster_merge(map, file, slot, strm, &op);
	zcomp_stream_put(map->comp, strm);
	return error;
}

/* ---- life cycle ---- */

int shares_init(struct blkmap *map)
{
	map->share_locks = zt_alloc_aligned(64, SHARE_LOCKS * sizeof(*map->share_locks));
	if (!map->share_locks)
		return -ENOMEM;
	for (unsigned i = 0; i < SHARE_LOCKS; i++)
		rwlock_init(&map->share_locks[i].lock, ZT_RANK_SHARE);
	return 0;
}

void shares_exit(struct blkmap *map)
{
	for (unsigned i = 0; map->share_locks && i < SHARE_LOCKS; i++)
		rwlock_exit(&map->share_locks[i].lock);
	zt_free(map->share_locks);
	zt_free(map->check_shares);
	map->share_locks = NULL;
	map->check_shares = NULL;
}
