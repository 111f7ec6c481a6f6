/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dedup.h - one object for clusters that are stored alike: an index by what objects hold
 *
 * Recompression asks here before it puts an object in place, and tells what it has put there. An
 * answer of the index is a hint: the object is looked up in its pool, locked by its slot or share
 * record, and compared byte by byte before it gets another name. So entries may be stale, and lost.
 *
 * Locks: dedup.lock, innermost; nothing is called under it. dedup_take() takes the slot lock or the
 * share lock of one other object by a try, and the metadata pool's below it.
 */
#ifndef ZT_BLKMAP_UPKEEP_DEDUP_H
#define ZT_BLKMAP_UPKEEP_DEDUP_H

#include "blkmap/slot/slots.h"

/*
 * Fewest stored bytes that are worth it: a share record takes 32, an entry about 12. In what two
 * versions of packages hold, objects below are 0.2 % of the saving (contrib/bench/dedup_measure.c).
 */
#define DEDUP_MIN_SIZE 128u

/* The index takes a 128th of the arena at most. */
#define DEDUP_INDEX_DIVISOR 128u

#define DEDUP_BUCKET   8u /* entries: one cache line */
#define DEDUP_MIN_BITS 6u /* 4 KiB */
#define DEDUP_MAX_BITS 20u /* 64 MiB, for 8 million objects: 160 GB of them at 20 KB each */

/* One per mount that asks for it, owned by the blkmap. */
struct dedup {
	struct slots *slots; /* not owned; immutable */
	/*
	 * Told when a slot that no item of the caller's is about has got a share record: its lock's
	 * @seq, @before until then, has counted that. Set before the first dedup_take().
	 */
	void (*changed)(void *arg, const uint64_t *seq, uint64_t before, uint64_t place);
	void *changed_arg;
	struct mutex lock;
	/* 26 bits of hash above a ref, 0: free; guarded by lock; NULL at first */
	uint64_t *entries;
	unsigned bits; /* 2^bits buckets; changed under lock and pass_lock */
	uint64_t used; /* entries that are not 0; guarded by lock */
	uint64_t noted; /* since the index was last looked through; guarded by pass_lock */
	unsigned victim; /* guarded by lock */
	atomic_bool off; /* nothing new is looked for; relaxed */
	uint64_t hash_mask; /* tests clear bits of it, so that different objects collide */
	/* Objects that were given up for another's, and the room they had; relaxed. */
	atomic_uint_fast64_t joined, saved;
	atomic_uint_fast64_t collisions; /* objects compared that differed */
	atomic_uint_fast64_t index_bytes;
};

/* An object as it is stored or about to be. */
struct dedup_object {
	const void *data; /* NULL: it is none that may be shared */
	uint32_t size; /* bytes of data */
	uint64_t word; /* OBJ: codec and length; and ref, when it has one */
	uint64_t hash; /* by dedup_hash() */
	uint64_t place; /* of the slot that is to name it */
	uint64_t seq; /* of that slot's lock, when data was read */
};

/*
 * dedup_create() - before there is any object: it is told by @slots when compaction moves one
 * dedup_destroy() - when nobody compacts any more; NULL is allowed
 */
int dedup_create(struct slots *slots, struct dedup **out_dedup) ZT_MUST_CHECK;
void dedup_destroy(struct dedup *dedup);

/* All functions below take NULL for a mount that has none, and find nothing. */

/** dedup_may() - whether objects like this are shared at all */
bool dedup_may(const struct dedup *dedup, uint64_t word, uint32_t size);

/* dedup_set() - look for what is stored alike, or no longer. dedup_is_on() - NULL: off */
void dedup_set(struct dedup *dedup, bool on);
bool dedup_is_on(const struct dedup *dedup);

uint64_t dedup_hash(const struct dedup *dedup, const void *data, uint32_t size);

/**
 * dedup_take() - one more name for an object that is stored like @object, if there is one
 * @object: its seq is brought up to date when both slots have one lock, whose seq only this moved
 * @out_word: for a slot, or slot_release()
 *
 * Context: pass_lock held, no slot lock. Return: whether there is.
 */
bool dedup_take(struct dedup *dedup, struct dedup_object *object, uint64_t *out_word);

/** dedup_reserve() - make free places in the index, as far as it may grow. pass_lock held, no slot lock */
void dedup_reserve(struct dedup *dedup);

/** dedup_note() - the object @ref can be found now. pass_lock held; and its slot's, or it is pinned */
void dedup_note(struct dedup *dedup, uint64_t hash, ref_t ref);

/** dedup_moved() - compaction has moved the object of @word from @old; its lock is held */
void dedup_moved(struct dedup *dedup, uint64_t word, ref_t old);

/** dedup_trim() - give memory of the index back when the arena has become small. pass_lock held */
void dedup_trim(struct dedup *dedup);

void dedup_get_stat(const struct dedup *dedup, struct blkmap_stat *out_stat);

#endif
