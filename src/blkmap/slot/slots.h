/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slots.h - the words of clusters: their locks, owners and shares, and what is counted of them.
 *
 * This part knows neither codec nor policy: other parts decide which bytes an object stands for,
 * and what becomes of a cluster.
 *
 * Lock order: slot lock -> share lock -> (pool's and arena's locks). A thread holds one slot lock and
 * one share lock at most.
 */
#ifndef ZT_BLKMAP_SLOT_SLOTS_H
#define ZT_BLKMAP_SLOT_SLOTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "blkmap/slot/word.h"
#include "blkmap/spill/spill.h"
#include "blkmap/types.h"
#include "util/chains.h"
#include "util/hook.h"
#include "util/keyhash.h"
#include "util/lock.h"
#include "util/store.h"

#define BLKMAP_MAX_PAGES (1u << BLKMAP_MAX_ORDER)

/*
 * Canonical: the map of a cluster that was overwritten in part. A page's word, when it is not a
 * hole, stands over what base has there. base is any word but MAP.
 */
struct cluster_map {
	uint64_t base;
	uint64_t place; /* of the slot that names this map, in units of 8 bytes */
	uint64_t pages[]; /* 2^order */
};

/*
 * Canonical: an object that several slots name (SLOT_SHARED). word is its OBJ word; of that, ref and
 * codec hold for all of them. Guarded by the record's share lock. A pack's record begins with it, and
 * is longer (pack.h).
 */
struct share_rec {
	uint64_t word;
	uint64_t count; /* slots and bases of cluster maps that name this record */
};

/* Owner indexes: how a relocated object finds its keeper's lock. */
#define OWNER_SLOT    0u /* owned by a slot in a file's tree */
#define OWNER_BASE    1u /* by cluster_map.base */
#define OWNER_PAGE(p) (2u + (p)) /* by cluster_map.pages[p] */
#define OWNER_SHARE   OWNER_PAGE(BLKMAP_MAX_PAGES) /* by share_rec.word */

/*
 * Volatile: one per cluster map that exists, so that maintenance finds them. Guarded by the slot
 * lock.
 */
struct live_map {
	struct chain_link link; /* live_maps.by_place */
	struct live_map *older, *younger; /* a ring */
	uint64_t place; /* of the slot */
	uint32_t touched; /* seconds, monotonic clock: last change, or when a fold was tried */
	uint16_t order, setting; /* of the file, when it was made; a user of the setting */
};

/* Those behind one slot lock; live.h. */
struct live_maps {
	struct live_map *oldest; /* NULL: none */
	struct chains by_place;
};

#define SLOT_LOCKS 1024u

/*
 * One of the hashed slot locks. Held shared while objects are read, exclusive while words change.
 * seq counts changes: a thread that prepared something without the lock sees if it still holds.
 * Not on cache lines of their own: neighbours seldom meet, and it would take memory.
 */
struct slot_lock {
	struct rwlock lock;
	uint64_t seq; /* guarded by lock */
	struct live_maps maps; /* guarded by lock */
};

#define SHARE_LOCKS 256u

/*
 * One of the hashed locks of share records. Shared while the object is read, exclusive while the
 * record changes or the object moves. Nothing is called under it but the codec. seq counts changes
 * of words, as that of a slot lock: a record may go, and another come to its place with the same
 * word.
 */
struct share_lock {
	struct rwlock lock;
	uint64_t seq; /* guarded by lock */
} __attribute__((aligned(64)));

/* Counters of one mount; relaxed, each stands for itself, but where it says otherwise. */
struct account {
	atomic_uint_fast64_t max_pages; /* size=; 0: no limit; account.c changes it */
	atomic_uint_fast64_t nr_pages; /* that hold data; limited by max_pages */
	atomic_uint_fast64_t same_pages, huge_pages, huge_pages_since, shared_pages;
	atomic_uint_fast64_t packs, packed_pages; /* pages of members */
	atomic_uint_fast64_t overwrites_in_place; /* new bytes where the old object was */
	/* Inodes and live maps that name a setting of the mount's table, by entry. */
	atomic_uint_fast64_t setting_users[BLKMAP_NR_SETTINGS];
	/*
	 * Objects by codec number, from SLOT_CODEC_MAIN_KEPT on. Lowered with release: a thread that
	 * finds 0, by acquire, finds that nobody reads one any more.
	 */
	atomic_uint_fast64_t codec_objects[SLOT_NR_CODECS];
};

/* Which clusters small requests come back to: one table per mount. heat.c; all relaxed. */
struct heat {
	uint32_t *table; /* as large as it may grow; immutable */
	unsigned max_set_bits; /* immutable */
	atomic_uint set_bits; /* 2^set_bits sets are in use */
	atomic_uint tick; /* now */
	atomic_uint written; /* entries in this tick */
	unsigned quiet; /* ticks; heat_cool()'s */
};

/* One per mount, owned by its block map. */
struct slots {
	struct arena *arena; /* not owned; immutable, as what follows but where it says otherwise */
	struct zs_pool *meta; /* not owned: tree nodes, cluster maps, share records */
	struct zs_pool *data; /* the objects */
	struct spill *spill; /* those that are out; not owned; NULL: none ever is */
	/* Its arg NULL: objects are in data. Otherwise all are outside, data is empty (borrow.h). */
	struct blkmap_lender lender;
	uint64_t nr_borrowed; /* objects; counted while it attaches */
	bool unread; /* nobody asks for what they hold */
	/*
	 * What stands in the arena is not to be freed piece by piece: it came from another process, and
	 * another may have it next. Set by slots_init(), or before slots_exit().
	 */
	bool stays;
	struct keyhash_key hash_key; /* random: nobody chooses places that collide */
	struct slot_lock *locks; /* SLOT_LOCKS */
	struct share_lock *share_locks; /* SHARE_LOCKS */
	struct heat heat;
	uint8_t *ages; /* when each page of the arena was used; relaxed; NULL: nobody asks */
	uint64_t nr_ages;
	atomic_uint age_now; /* the age of what is used now; relaxed */
	uint32_t tick_seconds; /* of a tick of the ages */
	uint64_t ages_began; /* seconds of the monotonic clock then */
	/*
	 * Told when compaction has moved the object of @word from @old, under the lock of the slot
	 * or record that owns it. Set before there is any object; NULL: nobody asks.
	 */
	void (*moved)(void *arg, uint64_t word, ref_t old);
	void *moved_arg;
	struct account account __attribute__((aligned(64)));
};

/* blkmap_now() - seconds of the monotonic clock, as live_map.touched has them */
uint64_t blkmap_now(void);

static inline uint32_t cluster_size(unsigned order)
{
	return ZT_PAGE_SIZE << order;
}

static inline uint64_t word_get(const uint64_t *word)
{
	zt_looks(word);
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void word_set(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	zt_stored("slots: a word");
}

static inline uint64_t slot_place(const struct slots *slots, const uint64_t *slot)
{
	return (uint64_t)((const char *)slot - (const char *)arena_ptr(slots->arena, 0)) / 8;
}

static inline uint64_t *slot_at(const struct slots *slots, uint64_t place)
{
	return (uint64_t *)arena_ptr(slots->arena, 0) + place;
}

static inline struct slot_lock *slot_lock_at(const struct slots *slots, uint64_t place)
{
	return &slots->locks[keyhash_word(&slots->hash_key, place) >> 54];
}
static_assert(SLOT_LOCKS == 1u << (64 - 54), "the hash gives 10 bits");

static inline struct slot_lock *slot_lock(const struct slots *slots, const uint64_t *slot)
{
	return slot_lock_at(slots, slot_place(slots, slot));
}

/*
 * slots_init() - with the pool of objects; *@slots is zero, and ages_init() may follow
 * @error_text: out on some errors: one sentence
 * Return: 0 or -errno.
 */
int slots_init(struct slots *slots, const struct blkmap_params *params,
	       char error_text[256]) ZT_MUST_CHECK;
/* slots_exit() - also of what slots_init() has only begun; no object is left */
void slots_exit(struct slots *slots);

static inline void slots_tell_moved(const struct slots *slots, uint64_t word, ref_t old)
{
	if (slots->moved)
		slots->moved(slots->moved_arg, word, old);
}

struct cluster_map *cluster_map_at(const struct slots *slots, uint64_t word);

/* cluster_map_pages() - the pages that stand over the base, as a mask */
uint32_t cluster_map_pages(const struct cluster_map *cmap, unsigned order);

/* Pages that a word says are present. Slot lock held. */
uint32_t slot_present(struct slots *slots, uint64_t word, unsigned order);

/* Bytes from the front that may differ from zero. Slot lock held. */
uint32_t slot_extent(const struct slots *slots, uint64_t word, unsigned order);

/*
 * A word that stands in no slot, no map and no record, and of whose objects none names an owner: so
 * nobody finds the place where it stood by them. A type of its own, since only such words may be
 * released: it comes from slot_disown() or slot_fresh(). 0: nothing.
 */
struct loose_word {
	uint64_t word;
};

/*
 * slot_disown() - the word at its old place, which has another word by now or gets one under the
 * same lock, is loose
 * The lock of that place is held exclusive: it keeps away threads that want the object. When this
 * returns no thread acts upon the old place any longer, so its memory may go with the lock.
 */
struct loose_word slot_disown(struct slots *slots, uint64_t word, unsigned order) ZT_MUST_CHECK;

/* slot_fresh() - a word that was never put anywhere, its object never owned; or a name, SHARED */
struct loose_word slot_fresh(uint64_t word) ZT_MUST_CHECK;

/*
 * slot_publish() - put a new word into a slot; slot lock held exclusive.
 * The object of an OBJ word gets its owner. Pages are charged to the file and the mount; -ENOSPC
 * when size= forbids it (nothing has changed then). *out_old is for slot_release() after the lock
 * is gone.
 */
int slot_publish(struct slots *slots, const struct blkmap_file *file, uint64_t *slot, uint64_t word,
		 struct loose_word *out_old) ZT_MUST_CHECK;

/*
 * slot_release() - free what a loose word stands for; nothing is left of it
 * Slot locks may be held, but the less is done under one the better: memory may be given back here.
 */
void slot_release(struct slots *slots, struct loose_word loose, unsigned order);

/*
 * slot_set_owner() - the object of an OBJ word is owned by @place, as @index says
 * The locks of that place and of the one that owned it before are held. When this returns nobody
 * acts upon the latter.
 */
void slot_set_owner(struct slots *slots, uint64_t word, const uint64_t *place, unsigned index);

/* Slots that move to other places in their file's tree; on the stack of one tree_grow(). */
struct slots_move {
	struct slots *slots;
	struct live_map *lifted; /* that are in no lock's list meanwhile; linked by younger */
};

/* slots_mover() - for one tree_grow() of a file's tree; the inode is held exclusive */
struct tree_mover slots_mover(struct slots_move *move, struct slots *slots);

#endif
