/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blkmap_i.h - what the files of this folder share.
 *
 * Lock order inside the folder: zcomp stream -> slot lock -> share lock -> (pool's and arena's
 * locks). A thread holds one stream, one slot lock and one share lock at most.
 */
#ifndef ZT_BLKMAP_BLKMAP_I_H
#define ZT_BLKMAP_BLKMAP_I_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "blkmap/blkmap.h"
#include "blkmap/slot/word.h"
#include "util/keyhash.h"
#include "util/lock.h"

/*
 * Most bytes with the accelerator: what its default queue of 256 holds of default clusters. Engines
 * of 500 MB/s work on that for 30 ms; more would only be memory that holds bytes twice.
 */
#define BLKMAP_INFLIGHT_LIMIT (16 * MIB)
/* With a limit on memory a 256th of that at most, but so much that some clusters can be. */
#define BLKMAP_INFLIGHT_SHARE 256u
#define BLKMAP_INFLIGHT_MIN   (256 * KIB)

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
 * codec hold for all of them. Guarded by the record's share lock.
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
	struct live_map *next;
	uint64_t place; /* of the slot */
	uint64_t touched; /* seconds, monotonic clock: last change */
	unsigned order, setting; /* of the file, when it was made; a user of the setting */
};

#define SLOT_LOCKS 1024u

/*
 * One of the hashed slot locks. Held shared while objects are read, exclusive while words change.
 * seq counts changes, so that who prepared something without the lock knows whether it still holds.
 * Not on cache lines of their own: neighbours seldom meet, and it would be 56 KiB.
 */
struct slot_lock {
	struct rwlock lock;
	uint64_t seq; /* guarded by lock */
	struct live_map *maps; /* guarded by lock */
};

struct recompressor;
struct dedup;

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

/* One reader and three others: a request of 1 MiB is no more than 8 of the largest clusters. */
#define READERS_MAX 3u

struct split_read;

/* Threads "zt-read/N" that help with large reads: read_split.c. Joined by blkmap_stop(). */
struct readers {
	struct mutex lock; /* guards the rest */
	pthread_cond_t called;
	struct split_read *queue; /* reads that want helpers */
	pthread_t threads[READERS_MAX];
	unsigned nr_threads;
	bool started, stop;
};

/* Files of which is remembered that they do not compress; a power of two. */
#define HUGE_PROOFS 1024u

struct blkmap {
	struct arena *arena; /* not owned */
	struct zs_pool *meta; /* not owned */
	struct zs_pool *beside; /* not owned; NULL: none */
	struct zs_pool *data;
	struct zcomp *comp;
	enum blkmap_accel accel;
	unsigned nr_cpus;
	uint64_t max_pages;

	struct keyhash_key hash_key; /* random: nobody chooses places that collide; immutable */
	struct slot_lock *locks; /* SLOT_LOCKS */
	struct share_lock *share_locks; /* SHARE_LOCKS */

	/*
	 * Decoders by codec number; NULL where none is needed or the codec is main. Stored with
	 * release before the first word with the number is published; a slot lock orders the rest.
	 */
	struct zcomp *codecs[SLOT_NR_CODECS];
	struct mutex settings_lock; /* while an entry of record->settings is made or ends */
	/* Inodes and live maps that name an entry of record->settings; see settings.c. */
	atomic_uint_fast64_t setting_users[BLKMAP_NR_SETTINGS];
	/*
	 * Objects by codec number, from SLOT_CODEC_MAIN_KEPT on. Lowered with release: who finds 0,
	 * by acquire, finds that nobody reads one any more.
	 */
	atomic_uint_fast64_t codec_objects[SLOT_NR_CODECS];

	/*
	 * When each page of the arena was last used, in ticks modulo 256; volatile, relaxed: a
	 * stale value makes an object look older or younger for one pass. NULL: nobody asks.
	 */
	uint8_t *ages;
	uint64_t nr_ages;
	atomic_uint age_now; /* the age of what is used now */
	struct recompressor *recomp; /* NULL: off */
	struct dedup *dedup; /* NULL: off */
	struct blkmap_record *record; /* dicts: written by recompression alone */
	struct blkmap_record own_record;

	/* Files that have not compressed lately: huge.c. Relaxed; a hint. */
	atomic_uint huge_proofs[HUGE_PROOFS];

	/* Counters; relaxed: each stands for itself. */
	atomic_uint_fast64_t nr_pages;
	atomic_uint_fast64_t same_pages, huge_pages, huge_pages_since, huge_pages_skipped;
	atomic_uint_fast64_t folds, overwrites_in_place;
	/* Reads and writes so far: whether anybody wants the machine. Relaxed. */
	atomic_uint_fast64_t requests __attribute__((aligned(64)));
	atomic_uint_fast64_t shared_pages;
	atomic_uint active_writes; /* blkmap_write_async() calls now running */
	atomic_uint large_reads; /* read_large() calls now running */
	atomic_uint_fast64_t reads_split; /* reads that were given helpers */
	atomic_uint_fast64_t async_writes, fallback_inflight;
	atomic_uint_fast64_t inflight, inflight_max; /* bytes with the accelerator */
	uint64_t inflight_limit; /* immutable */
	uint64_t set_aside; /* of the arena's limit, for as long as the map lives; immutable */
	atomic_uint batch_window; /* clusters of one write with the engines at a time */
	unsigned batch_window_min; /* immutable */

	/* Batches that exist; innermost, nothing is called under it. */
	struct mutex batch_lock;
	pthread_cond_t batch_cond;
	uint64_t nr_batches; /* guarded by batch_lock */

	struct readers readers;

	uint8_t *heat; /* which clusters small requests come back to; see heat.c */

	/* When room was last looked for without finding any: seconds. */
	atomic_uint_fast64_t no_room_until;

	/* The walker's: records that the files seen so far name, once per name. */
	ref_t *check_shares;
	uint64_t nr_check_shares, max_check_shares;
	uint64_t check_shared_pages;

	/* Maintenance thread "zt-maint", joined by blkmap_destroy(). */
	bool has_thread;
	pthread_t thread;
	struct mutex thread_lock;
	pthread_cond_t thread_cond;
	bool stop; /* guarded by thread_lock */
};

static inline uint32_t cluster_size(unsigned order)
{
	return ZT_PAGE_SIZE << order;
}

static inline uint64_t word_get(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void word_set(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

uint64_t blkmap_now(void); /* seconds of the monotonic clock */

/* ---- slots.c: locks, publishing, freeing ---- */

static inline uint64_t slot_place(const struct blkmap *map, const uint64_t *slot)
{
	return (uint64_t)((const char *)slot - (const char *)arena_ptr(map->arena, 0)) / 8;
}

static inline uint64_t *slot_at(const struct blkmap *map, uint64_t place)
{
	return (uint64_t *)arena_ptr(map->arena, 0) + place;
}

static inline struct slot_lock *slot_lock_at(const struct blkmap *map, uint64_t place)
{
	return &map->locks[keyhash_word(&map->hash_key, place) >> 54];
}
static_assert(SLOT_LOCKS == 1u << (64 - 54), "the hash gives 10 bits");

static inline struct slot_lock *slot_lock(const struct blkmap *map, const uint64_t *slot)
{
	return slot_lock_at(map, slot_place(map, slot));
}

int slots_init(struct blkmap *map) ZT_MUST_CHECK;
void slots_exit(struct blkmap *map);

struct cluster_map *cluster_map_at(const struct blkmap *map, uint64_t word);

/* cluster_map_pages() - the pages that stand over the base, as a mask */
uint32_t cluster_map_pages(const struct cluster_map *cmap, unsigned order);

/* Pages that a word says are present. Slot lock held. */
uint32_t slot_present(struct blkmap *map, uint64_t word, unsigned order);

/* Bytes from the front that may differ from zero. Slot lock held. */
uint32_t slot_extent(const struct blkmap *map, uint64_t word, unsigned order);

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
 * The lock of that place is held exclusive: it keeps away who wants the object. When this returns
 * nobody acts upon the old place any more, so that its memory may go with the lock.
 */
struct loose_word slot_disown(struct blkmap *map, uint64_t word, unsigned order) ZT_MUST_CHECK;

/* slot_fresh() - a word that was never put anywhere, its object never owned; or a name, SHARED */
struct loose_word slot_fresh(uint64_t word) ZT_MUST_CHECK;

/*
 * slot_publish() - put a new word into a slot; slot lock held exclusive.
 * The object of an OBJ word gets its owner. Pages are charged to the file and the mount; -ENOSPC
 * when size= forbids it (nothing has changed then). *out_old is for slot_release() after the lock
 * is gone.
 */
int slot_publish(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot, uint64_t word,
		 struct loose_word *out_old) ZT_MUST_CHECK;

/*
 * slot_release() - free what a loose word stands for; nothing is left of it
 * Slot locks may be held, but the less is done under one the better: memory may be given back here.
 */
void slot_release(struct blkmap *map, struct loose_word loose, unsigned order);

/* Charge (or, negative, give back) pages. -ENOSPC. */
int pages_charge(struct blkmap *map, const struct blkmap_file *file, int64_t delta) ZT_MUST_CHECK;

/* Count a word in same_pages and huge_pages, or take it out again. */
void slot_count(struct blkmap *map, uint64_t word, unsigned order, int sign);

/* Count the object of an OBJ word by its codec; for what slot_count() does not see. */
void codec_count(struct blkmap *map, uint64_t word, int sign);

/*
 * slot_set_owner() - the object of an OBJ word is owned by @place, as @index says
 * The locks of that place and of the one that owned it before are held. When this returns nobody
 * acts upon the latter.
 */
void slot_set_owner(struct blkmap *map, uint64_t word, const uint64_t *place, unsigned index);

struct live_map *live_map_find(struct slot_lock *lock, uint64_t place);
void live_map_remove(struct blkmap *map, struct slot_lock *lock, uint64_t place);

/* tree_move_fn: a slot moves to another place in its file's tree. */
void slot_move(void *arg, uint64_t *from, uint64_t *to);

/* ---- codecs.c: the table of codec numbers, and ages ---- */

int codecs_init(struct blkmap *map, const struct blkmap_params *params) ZT_MUST_CHECK;
void codecs_exit(struct blkmap *map);

/*
 * codec_create() - set up the decoder of a codec number
 * @dict: kept by the caller as long as the number is in use, or NULL
 */
int codec_create(struct blkmap *map, unsigned codec, const char *name, int32_t level,
		 const void *dict, size_t dict_size, char error_text[256]) ZT_MUST_CHECK;

/*
 * comp_create() - zcomp_create(), with what it takes counted against the limit on memory
 * comp_destroy() - the contrary; NULL is allowed
 */
int comp_create(struct blkmap *map, const struct zcomp_config *config, char error_text[256],
		struct zcomp **out_comp) ZT_MUST_CHECK;
void comp_destroy(struct blkmap *map, struct zcomp *comp);

/* codec_destroy() - when no slot has the number any more, and nobody publishes one */
void codec_destroy(struct blkmap *map, unsigned codec);

/*
 * codec_decompress() - what zcomp_decompress_head() says, by the decoder of @codec (not a raw one)
 * @strm: the caller's stream of map->comp. Others are taken here, innermost, for this call alone.
 */
int codec_decompress(struct blkmap *map, unsigned codec, struct zcomp_strm *strm, const void *src,
		     size_t src_len, void *dst, size_t dst_cap, size_t want,
		     size_t *out_len) ZT_MUST_CHECK;

/* ---- settings.c: how single files want to be compressed ---- */

/* The codec number of what is written with a setting that is neither default nor none. */
static inline unsigned setting_codec(unsigned setting)
{
	return SLOT_CODEC_FILE + (setting - BLKMAP_SETTING_FIRST);
}
static_assert(BLKMAP_NR_SETTINGS == SLOT_CODEC_NR_FILE, "each setting has a codec number");

/* The algorithm behind the codec number of a setting. No lock but settings_lock's own. */
const char *setting_codec_name(struct blkmap *map, unsigned codec);

/*
 * setting_compress() - into @strm's buffer, by another setting than the default
 * @strm: the caller's stream of map->comp; the setting's own is taken here, for this call alone
 * False: it does not fit encode_cap(), or is not to be compressed.
 */
bool setting_compress(struct blkmap *map, unsigned setting, struct zcomp_strm *strm,
		      const void *src, uint32_t len, size_t *out_len);

/* An object at @ref is used now. */
static inline void age_touch(struct blkmap *map, ref_t ref)
{
	uint8_t *age = map->ages ? &map->ages[ref / ARENA_PAGE_REFS] : NULL;
	uint8_t tick = (uint8_t)atomic_load_explicit(&map->age_now, memory_order_relaxed);

	/* Looked at first: a page that many read stays in their caches. */
	if (age && __atomic_load_n(age, __ATOMIC_RELAXED) != tick)
		__atomic_store_n(age, tick, __ATOMIC_RELAXED);
}

/* The object at @from is at @to now: as young as the younger of what lies there. */
void age_move(struct blkmap *map, ref_t from, ref_t to);

/* Ticks since the object at @ref, or a neighbour on its page, was used: 0..255. */
unsigned age_of(const struct blkmap *map, ref_t ref);

/* ---- share.c: objects that several slots name ---- */

int shares_init(struct blkmap *map) ZT_MUST_CHECK;
void shares_exit(struct blkmap *map);

static inline struct share_lock *share_lock_at(const struct blkmap *map, uint64_t place)
{
	return &map->share_locks[keyhash_word(&map->hash_key, place) >> 56];
}
static_assert(SHARE_LOCKS == 1u << (64 - 56), "the hash gives 8 bits");

struct share_rec *share_rec_at(const struct blkmap *map, uint64_t word);
ref_t share_rec_ref(const struct blkmap *map, const struct share_rec *rec);

/*
 * share_hold() - the OBJ word that a SHARED one stands for; the object stays where it is until
 * share_drop(). Slot lock held.
 */
uint64_t share_hold(struct blkmap *map, uint64_t word);
void share_drop(struct blkmap *map, uint64_t word);

/*
 * share_take() - one more name for what @slot holds, for slot_publish() elsewhere or slot_release()
 * No slot lock held; file held. HOLE, SAME and ZERO are themselves; an object becomes a shared one.
 * Return: 0; -EAGAIN: it is a cluster map, fold it first; -ENOSPC, -ENOMEM.
 */
int share_take(struct blkmap *map, uint64_t *slot, uint64_t *out_word) ZT_MUST_CHECK;

/*
 * share_begin() - the object of @slot gets the record @ref and a second name
 * Slot lock held exclusive. Return: the word of both.
 */
uint64_t share_begin(struct blkmap *map, uint64_t *slot, ref_t ref);

/*
 * share_end() - what is the only name left owns its object again
 * @lock: the slot's, held exclusive
 * @place, @index: a slot, or the base of its cluster map; as what it owns an object
 */
void share_end(struct blkmap *map, struct slot_lock *lock, uint64_t *place, unsigned index);

/* Drop one name; the last one frees the object. No slot lock held. */
void share_release(struct blkmap *map, uint64_t word);

/* The halves of relocate_begin() and relocate_end() for OWNER_SHARE. */
bool share_relocate_begin(struct blkmap *map, uint64_t place, ref_t old_ref);
void share_relocate_end(struct blkmap *map, uint64_t place, ref_t new_ref);

/* ---- rdwr.c: byte ranges ---- */

/* Bytes [off, off + len) with @strm; file held. 0 or -errno. */
int read_range(struct blkmap *map, const struct blkmap_file *file, struct zcomp_strm *strm,
	       uint64_t off, void *buf, size_t len) ZT_MUST_CHECK;

/* ---- read_split.c: large reads by several threads ---- */

void readers_init(struct readers *readers);
void readers_stop(struct readers *readers); /* for good; reads go on without helpers */
void readers_exit(struct readers *readers);

bool read_is_large(size_t len);

/* read_large() - as read_range(), side by side where CPUs are free; takes streams by itself */
int read_large(struct blkmap *map, const struct blkmap_file *file, uint64_t off, void *buf,
	       size_t len) ZT_MUST_CHECK;

/* ---- cluster_io.c: between bytes and objects ---- */

/* What a stretch of bytes becomes. */
struct encoded {
	uint64_t word; /* complete for HOLE, ZERO and SAME; without ref for OBJ */
	const void *data; /* OBJ: bytes to store; valid as long as source and stream's buffer */
	uint32_t len;
	uint32_t mask; /* pages present */
};

/*
 * encode() - same-filled test, compression as the file's setting has it, incompressible test
 * @full: bytes that a SAME word would stand for (cluster or page)
 * @mask: pages present; those below @len that are not set are holes (zero in @src)
 * A codec that fails makes the data raw.
 */
void encode(struct blkmap *map, const struct blkmap_file *file, struct zcomp_strm *strm,
	    const void *src, uint32_t len, uint32_t full, uint32_t mask, struct encoded *out);

/*
 * The two halves of encode() for those who compress elsewhere: the test before (true: done), and
 * what to make of the result.
 */
bool encode_same(const void *src, uint32_t len, uint32_t full, uint32_t mask, struct encoded *out);
void encode_result(const void *src, uint32_t len, uint32_t mask, const void *data, size_t data_len,
		   struct encoded *out);
size_t encode_cap(uint32_t len);

/* encode_raw() - what is not even tried, as huge_skip() has it */
void encode_raw(const struct blkmap_file *file, const void *src, uint32_t len, uint32_t mask,
		struct encoded *out);

/* encoded_place() - store in a new, still unowned object (if it needs one). 0, -ENOSPC, -ENOMEM. */
int encoded_place(struct blkmap *map, const struct encoded *enc, uint64_t *out_word) ZT_MUST_CHECK;

/* The same, and when there is no room, gives cached pages back and tries once more. Never waits. */
int encoded_place_hard(struct blkmap *map, const struct encoded *enc,
		       uint64_t *out_word) ZT_MUST_CHECK;

/* Bytes of the object that it needs, and how they get there. */
uint32_t encoded_size(const struct encoded *enc);
void encoded_copy(struct blkmap *map, const struct encoded *enc, ref_t ref);

/*
 * What a workspace has decoded. It is what the object decodes to for as long as the lock's seq
 * stays: until then no slot under that lock changes, so the object is not freed, moved or
 * overwritten. That holds for objects that a slot or a cluster map owns; shared ones change under
 * locks of their own.
 */
struct loaded {
	const struct slot_lock *lock; /* NULL: nothing */
	uint64_t seq, word;
	uint32_t len; /* bytes at the front */
	uint64_t effort; /* in HEAT_..., ever */
};

/*
 * What this layer keeps with each per-thread stream of map->comp: in the stream's room, where no
 * backend sees it. A backend writes wherever it likes in the stream's own buffers, so nothing that
 * is used after a call may stand there, nor a source that may be stored as it is.
 */
struct workspace {
	char decoded[ZCOMP_MAX_UNIT]; /* by cluster_load(), where it needs only a part */
	char bytes[ZCOMP_MAX_UNIT]; /* a cluster that is put together */
	struct loaded loaded; /* of decoded */
};

static inline struct workspace *strm_workspace(struct zcomp_strm *strm)
{
	return zcomp_stream_room(strm);
}

/* Where the thread that holds the stream puts a cluster together; cluster_load() leaves it alone. */
static inline char *strm_bytes(struct zcomp_strm *strm)
{
	return strm_workspace(strm)->bytes;
}

/*
 * cluster_load() - bytes [from, to) of a cluster
 * @lock: the slot's, held
 * Per-thread stream of map->comp held: its workspace keeps what was decoded last.
 * Return: 0 or -EIO.
 */
int cluster_load(struct blkmap *map, const struct slot_lock *lock, struct zcomp_strm *strm,
		 uint64_t word, uint32_t from, uint32_t to, char *dst) ZT_MUST_CHECK;

/* What cluster_load() did for pieces of clusters on this stream so far, in HEAT_READ and HEAT_DECODE. */
uint64_t strm_effort(struct zcomp_strm *strm);

/* Where cluster_load() decodes, for other use: what was decoded is forgotten. */
char *strm_take_scratch(struct zcomp_strm *strm);

/* ---- huge.c: files that do not compress ---- */

/*
 * huge_skip() - whether a file has proved so little worth trying that @src is stored as it is
 * huge_note() - a try has ended
 * huge_forget() - the file has lost its content
 */
bool huge_skip(struct blkmap *map, const struct blkmap_file *file, const void *src, uint32_t len);
void huge_note(struct blkmap *map, const struct blkmap_file *file, bool compressed);
void huge_forget(struct blkmap *map, const struct blkmap_file *file);

/* Whether byte values come as often as each other, as in what is compressed already. */
bool huge_looks_even(const void *src, uint32_t len);

/* ---- cluster_write.c: one cluster, one writer ---- */

/* What to do to a cluster: bytes [from, to) become src. */
struct cluster_op {
	uint32_t from, to; /* from == to: no bytes */
	const char *src;
	uint32_t add_pages; /* pages that become present whatever was there (fallocate) */
	uint32_t drop_pages; /* pages that become holes */
	uint32_t cut; /* bytes from here on are gone; 0: none */
	/*
	 * Only while the slot has a cluster map that is listed with the same order and setting, as
	 * it was seen before: maintenance holds no inode, and without one the slot may be gone.
	 * NULL: the slot is held.
	 */
	const struct live_map *fold;
};

/*
 * cluster_commit() - place what was encoded and publish it
 * @seq: NULL, or what the slot lock's seq was when the bytes were prepared
 * @locked: the slot lock is held exclusive, and stays so
 * Return: 0; -EAGAIN the slot has changed since @seq; -ENOSPC, -ENOMEM.
 */
int cluster_commit(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		   const struct encoded *enc, const uint64_t *seq, bool locked) ZT_MUST_CHECK;

static inline uint32_t pages_touched(const struct cluster_op *op)
{
	return op->from < op->to ? pages_mask_range(op->from, op->to) : 0;
}

/* Write bytes into any part of a cluster, by the cheapest way. Stream held. */
int cluster_write(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		  struct zcomp_strm *strm, const struct cluster_op *op) ZT_MUST_CHECK;

/*
 * One try to change a cluster that is prepared without the slot lock. The lock is held (shared, or
 * exclusive when @locked) and given back unless @locked. -EAGAIN: the cluster changed meanwhile.
 */
typedef int (*cluster_round_fn)(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
				struct zcomp_strm *strm, const struct cluster_op *op, bool locked);

/* cluster_rounds() - try until it is done, in the end under the exclusive lock. Stream held. */
int cluster_rounds(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		   struct zcomp_strm *strm, const struct cluster_op *op,
		   cluster_round_fn once) ZT_MUST_CHECK;

/* Rewrite a cluster as one object, its old and new parts together. Stream held. */
int cluster_merge(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		  struct zcomp_strm *strm, const struct cluster_op *op) ZT_MUST_CHECK;

/* ---- overlay.c: pages over a cluster ---- */

/*
 * cluster_overlay() - keep the pages that an op writes as objects of their own over the cluster
 * @spread: and the others likewise, so that the base goes away
 * Stream held. 0; -EAGAIN others kept changing the slot; -ENOSPC, -ENOMEM, -EIO.
 */
int cluster_overlay(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		    struct zcomp_strm *strm, const struct cluster_op *op,
		    bool spread) ZT_MUST_CHECK;

/*
 * cluster_spread() - make each page of a cluster an object of its own, with nothing below them
 * File held shared, stream held, no slot lock. 0 when it was done, or there is nothing to do;
 * otherwise the cluster stays as it is: -EAGAIN, -ENOSPC, -ENOMEM, -EIO.
 */
int cluster_spread(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		   struct zcomp_strm *strm) ZT_MUST_CHECK;

/* ---- overwrite.c: at the limit, new bytes into the rooms of old objects ---- */

/*
 * encoded_overwrite() - put what a whole cluster becomes into the room of the object that its slot
 * has, or the base of its cluster map, which ends then
 * Slot lock held exclusive. True: the slot's new word is set and counted.
 */
bool encoded_overwrite(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		       const struct encoded *enc);

/*
 * cluster_overwrite() - write bytes into a cluster without more memory: each page into the room of
 * its own object, where it fits, the others into that of the object below
 * For those who found no room otherwise. @op only writes bytes. Stream held, no slot lock.
 * Return: 0; -ENOSPC it does not fit, and nothing has changed; -EIO.
 */
int cluster_overwrite(struct blkmap *map, const struct blkmap_file *file, uint64_t *slot,
		      struct zcomp_strm *strm, const struct cluster_op *op) ZT_MUST_CHECK;

/* ---- heat.c: which clusters small requests come back to ---- */

#define HEAT_MAX    16u /* at this a cluster that is read in small pieces is spread */
#define HEAT_TICK   8u /* seconds; then all heat halves */
#define HEAT_READ   1u /* a small read that decoded a part, or found a page of its own */
#define HEAT_DECODE 4u /* a small read that had to decode all */
#define HEAT_WRITE  2u /* a small write */

int heat_init(struct blkmap *map) ZT_MUST_CHECK;
void heat_exit(struct blkmap *map);

/* heat_of() - 0: nobody comes back to the cluster whose slot is at @place; up to HEAT_MAX */
unsigned heat_of(const struct blkmap *map, uint64_t place);

/* Return: what it is now. */
unsigned heat_add(struct blkmap *map, uint64_t place, unsigned add);
void heat_clear(struct blkmap *map, uint64_t place);
void heat_cool(struct blkmap *map);

/* ---- rdwr.c ---- */

/*
 * cluster_slot() - the slot of cluster @idx, made if there is none
 * Streams may be held, no slot lock. 0, -ENOSPC, -ENOMEM.
 */
int cluster_slot(struct blkmap *map, const struct blkmap_file *file, uint64_t idx,
		 uint64_t **out_slot) ZT_MUST_CHECK;

/* A part of one cluster; stream held. */
int cluster_write_part(struct blkmap *map, const struct blkmap_file *file, uint64_t off,
		       const char *src, uint32_t len, struct zcomp_strm *strm) ZT_MUST_CHECK;

/* ---- batch.c: the whole clusters of one write, side by side ---- */

/*
 * batch_write() - as blkmap_write_async(); false: it does not pay, nothing has happened
 * No stream held.
 */
bool batch_write(struct blkmap *map, const struct blkmap_file *file, uint64_t off, const char *src,
		 size_t len, enum zstrm_pref pref,
		 const struct blkmap_write_end *end) ZT_MUST_CHECK;

/* Whether a write of @len bytes is near a limit, where clusters are stored in their order. */
bool batch_room_is_short(const struct blkmap *map, size_t len);

/* ---- maintain.c ---- */

/*
 * Fold cluster maps not written for @idle seconds that have cooled down; 0: all. No stream held.
 * Return: maps looked at.
 */
uint64_t blkmap_fold_idle(struct blkmap *map, uint64_t idle);

/*
 * For those who had what the arena spares: what they freed goes back at once, before writers put it
 * to use, until nothing spared is in use.
 */
void spare_give_back(struct blkmap *map);

/* For tests: called whenever somebody is about to wait for room. NULL: nothing is. */
extern void (*blkmap_room_hook)(void);

/* Less than a share of 1/@share of mem_limit=, and less than @max bytes, is left. */
bool blkmap_limit_is_near(const struct blkmap *map, unsigned share, uint64_t max);

int maintain_start(struct blkmap *map) ZT_MUST_CHECK;

/* ---- recompress.c ---- */

/* Make the recompressor of params->recompress, if it is asked for; recomp_start() its threads. */
int recomp_init(struct blkmap *map, const struct blkmap_params *params,
		char error_text[256]) ZT_MUST_CHECK;
void recomp_exit(struct blkmap *map);
void recomp_stop(struct blkmap *map);

/*
 * recomp_relieve() - no room is left: have everything recompressed, and wait until some has come, a
 * pass has ended, or it is @until_ns (zt_now_ns())
 * Nothing held: neither file nor stream nor lock. Return: bytes of room saved.
 */
uint64_t recomp_relieve(struct blkmap *map, uint64_t until_ns);
void recomp_get_stat(struct blkmap *map, struct blkmap_stat *out_stat);

#endif
