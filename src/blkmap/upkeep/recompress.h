/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recompress.h - objects that lie idle, compressed better: what the files of recompression share.
 *
 * One pass looks at every object of the data pool in the order of their places, gathers those that
 * have lain idle, compresses them better, and puts the result in their place where it takes less
 * room. A pass holds no inode, and no lock while it compresses.
 *
 * Locks: pass_lock over one pass; below it, in turn: a slot lock or a share lock -> the main codec's
 * private stream. A stream of another codec is taken alone. recomp.lock guards what both threads
 * share; nothing is called under it.
 */
#ifndef ZT_BLKMAP_UPKEEP_RECOMPRESS_H
#define ZT_BLKMAP_UPKEEP_RECOMPRESS_H

#include <pthread.h>

#include "blkmap/content/content.h"
#include "blkmap/slot/pack.h"
#include "blkmap/upkeep/fold.h"
#include "blkmap/upkeep/owned.h"
#include "util/lock.h"

/* Objects that are compressed together: as many, and as many bytes. */
#define RECOMP_ITEMS 64u
#define RECOMP_BYTES ZCOMP_MAX_UNIT

/* Bytes spared so that recompression can begin when memory is used up; a 64th of the limit at most. */
#define RECOMP_SPARE         (128 * KIB)
#define RECOMP_SPARE_DIVISOR 64u

/* Ticks without use at most: many more are left before an age would wrap. */
#define RECOMP_IDLE_MAX 100u

/* One object on its way. */
struct recomp_item {
	uint64_t place; /* of its slot, or of its share record's word */
	bool shared; /* the latter, */
	bool pack; /* and the record is a pack's */
	uint64_t seq; /* of the lock of that, when the bytes were read */
	uint64_t word; /* what was there */
	uint32_t len, mask; /* bytes, and pages that are present */
	uint32_t size; /* bytes that it is stored in */
	uint32_t room; /* most bytes that could stand there */
	uint32_t at; /* of its bytes in the input; the output has as many there */
	uint32_t cap; /* most bytes that would be worth it; 0: not worth trying */
	unsigned codec; /* to compress with */
	bool alike; /* as it is stored, it may be shared (dedup.h) */
	struct pack_head head; /* of a pack: what the new object begins with */
	size_t out_len; /* 0: did not fit */
};

struct recomp_batch {
	struct recomp_item items[RECOMP_ITEMS];
	unsigned nr;
	uint32_t used; /* of the input */
};

/* What is being looked for in one pass. */
struct recomp_pass {
	unsigned idle; /* ticks */
	uint64_t cursor;
	uint64_t nr_young; /* candidates that were used too recently */
	uint64_t nr_done; /* made smaller */
	bool forced; /* without regard to requests */
	bool cut_short; /* for want of memory: not all was seen */
	bool no_packs; /* small files are left alone */
	bool packing; /* all objects were seen, it is the small files' turn */
	/* Packing goes through all small files once for each owner, in turn. */
	uint64_t owner, next_owner, first_owner; /* now; the next one and the first that were seen */
	unsigned nr_owners;
};

/*
 * Objects are compressed with dictionaries of their kind. Small are those up to so many bytes of
 * content: what they repeat stands in others, rarely in themselves.
 */
enum recomp_kind { RECOMP_SMALL, RECOMP_LARGE, RECOMP_NR_KINDS };
#define RECOMP_SMALL_MAX (16 * 1024u)
/* The largest dictionary: the largest object there is. */
#define DICT_MAX (128 * KIB)
static_assert(DICT_MAX <= RECOMP_BYTES, "any bytes of the input are a dictionary");
/* So many passes try again with a new dictionary what was done without it, if some was in use. */
#define DICT_REFRESHES 4u
/* Compressors with and without one take a 16th of a limit on memory at most. */
#define DICT_LIMIT_DIVISOR 16u

/* The dictionaries of a kind; guarded by pass_lock. */
struct recomp_dict {
	size_t max; /* bytes of one; 0: none are made; immutable */
	unsigned codec; /* number of the one in use; 0: none */
	unsigned refresh; /* passes that try again what was done without it; it is new */
	bool tried; /* to make one; the next two say when to try again */
	uint64_t population; /* bytes of objects then */
	bool hopeless; /* as last counted, not even with those that are too young now */
	uint64_t done; /* bytes that were new to recompression since */
	bool served; /* the one in use has had objects */
	struct zcomp *comp; /* compresses with it; NULL: not needed yet in this pass */
};

enum recomp_state { RECOMP_IDLE, RECOMP_WORK, RECOMP_DONE, RECOMP_END };

struct dedup;
struct encoded;

/* One per mount that asks for it, owned by the upkeep. */
struct recompressor {
	struct slots *slots; /* not owned; immutable, as the next four */
	struct codecs *codecs; /* not owned */
	struct content *content; /* not owned: its requests are counted */
	struct folder *folder; /* not owned */
	struct dedup *dedup; /* owned; NULL: off */
	struct blkmap_packs packs; /* its pool NULL: off; immutable */
	bool has_packed; /* packs.begin was called; guarded by pass_lock, as the next one */
	uint64_t pack_owner; /* whose files a pass packs first */
	char name[32]; /* the algorithm */
	int32_t level;
	atomic_uint idle; /* ticks without use, by the option; relaxed */
	atomic_uint idle_seconds; /* the same as it was asked for; relaxed */
	atomic_bool off; /* no pass begins; relaxed */
	uint32_t tick_seconds;
	struct mutex pass_lock;
	/* Guarded by pass_lock; while state is RECOMP_WORK the worker's alone. */
	struct recomp_batch batch;
	char *in, *out; /* RECOMP_BYTES each, one mapping */
	uint64_t set_aside; /* of the arena's limit; immutable */
	struct zcomp *plain; /* a compressor, for the length of a pass; NULL until it is needed */
	struct zcomp *main; /* restore.c's, likewise */
	struct recomp_dict dicts[RECOMP_NR_KINDS];
	/* By dictionary number. */
	struct recomp_held {
		uint64_t bytes, nr; /* of content, and objects, that passes have come by lately */
		bool retired; /* its objects are to be compressed anew, so that it goes */
	} held[SLOT_CODEC_NR_DICT];
	uint32_t surveyed_made; /* zs_pool_stat.made when all were last counted for dictionaries */
	uint64_t looks; /* at objects, ever */
	bool run_here; /* jobs are for the calling thread */
	uint64_t job_cpu_ns; /* what the worker's last job took */

	bool has_threads;
	int psi; /* readable for POLLPRI when memory is short in the machine; -1: none */
	pthread_t thread; /* "zt-recomp" */
	pthread_t worker; /* "zt-recomp-cpu" */
	struct mutex lock;
	pthread_cond_t cond; /* stop, kicks and state have changed */
	enum recomp_state state; /* guarded by lock */
	bool stop; /* guarded by lock */
	bool kicked; /* guarded by lock */
	bool in_pass; /* guarded by lock, as is the counter of passes */

	/* Where the window for counting requests began; the thread's own. */
	uint64_t window_ns, window_requests;
	bool window_was_busy; /* the last one that is over */
	uint64_t debt_ns; /* CPU time to be slept off; guarded by pass_lock */
	void (*job)(struct recompressor *rc, void *arg); /* guarded by lock, as is its arg */
	void *job_arg;

	atomic_uint_fast64_t done, kept, saved, passes, pauses, pressures, undone;
	atomic_uint_fast64_t pack_joined, pack_saved, packs_remade;
};

/* Whether the dictionary of a word's object is to go. */
static inline bool recomp_is_retired(const struct recompressor *rc, uint64_t word)
{
	unsigned codec = slot_codec(word);

	return codec >= SLOT_CODEC_DICT && rc->held[codec - SLOT_CODEC_DICT].retired;
}

static inline enum recomp_kind recomp_kind(uint64_t word)
{
	return slot_length(word) <= RECOMP_SMALL_MAX ? RECOMP_SMALL : RECOMP_LARGE;
}

static inline uint32_t kind_unit(enum recomp_kind kind)
{
	return kind == RECOMP_SMALL ? RECOMP_SMALL_MAX : ZCOMP_MAX_UNIT;
}

static inline void recomp_count(atomic_uint_fast64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* scan.c; pass_lock held */

/* Whether an object is wanted, by its slot's or share record's word. */
enum recomp_want {
	RECOMP_NEVER, /* not before it has changed, or zs_note_all() */
	RECOMP_LATER, /* it may be next time */
	RECOMP_NOW,
};
/* @thin: it is a pack of which half is gone; not said by a look without the lock. */
typedef enum recomp_want (*recomp_wanted_fn)(void *arg, uint64_t word, bool thin);

/*
 * recomp_find() - the next object of all that @wanted wants now; its slot or record is locked shared
 * recomp_find_new() - the same of those which it has not called unwanted since they changed, and
 * some of their neighbours
 * False: the end.
 */
bool recomp_find(struct recompressor *rc, uint64_t *inout_cursor, recomp_wanted_fn wanted,
		 void *arg, struct recomp_item *out_item);
bool recomp_find_new(struct recompressor *rc, uint64_t *inout_cursor, recomp_wanted_fn wanted,
		     void *arg, struct recomp_item *out_item);
void recomp_unlock(struct recompressor *rc, const struct recomp_item *item);

/* Read what an item's word stands for; its slot or record is locked. 0 or -EIO. */
int recomp_load(struct recompressor *rc, const struct recomp_item *item, char *dst) ZT_MUST_CHECK;

/* pass.c; pass_lock held */

void recomp_pass_begin(struct recompressor *rc, const struct recomp_pass *pass);
/* One batch: find, compress, publish. False: the end was reached, or memory is short. */
bool recomp_step(struct recompressor *rc, struct recomp_pass *pass);
void recomp_pass_end(struct recompressor *rc, struct recomp_pass *pass, bool complete);

/*
 * recomp_compressor() - of an item's codec, for what is as long as its word says
 * NULL: there is no memory for it. It stays until the pass ends.
 */
struct zcomp *recomp_compressor(struct recompressor *rc, const struct recomp_item *item);

/* recomp_compress() - an item with a compressor, from rc->in to rc->out, with a pack's head. In the worker. */
void recomp_compress(struct recompressor *rc, struct recomp_item *item);

/* publish.c; pass_lock held */

/* Put what was encoded into a new object. 0, or there is no memory, not even what is spared. */
int recomp_place(struct recompressor *rc, const struct encoded *enc, uint64_t *out_word) ZT_MUST_CHECK;

/* Put what was made of an item in its place. Return: whether it takes less room now. */
bool recomp_publish(struct recompressor *rc, const struct recomp_item *item);

/* The same where the room does not matter. Return: whether it is in its place. */
bool recomp_publish_faster(struct recompressor *rc, const struct recomp_item *item);

/*
 * dedup.changed, @arg: the recompressor. The pass itself has changed the word at @place: its lock's
 * @seq, @before until then, has counted that. Other items of the batch under the same lock are as
 * they were, and need not be left for the next pass. The lock is held exclusive.
 */
void recomp_changed(void *arg, const uint64_t *seq, uint64_t before, uint64_t place);

/* recompress_thread.c */

/* The kernel's file, and a watch on it; -1 where there is none or it does not let us. */
#define RECOMP_PSI_FILE "/proc/pressure/memory"
int recomp_psi_open(const char *path);

/* Start the threads. Takes @psi over, whatever comes of it; -1: none. */
int recomp_start(struct recompressor *rc, int psi) ZT_MUST_CHECK;
/* End them; without threads, or NULL: nothing to do. */
void recomp_stop(struct recompressor *rc);

/* recomp_kick() - see blkmap_recompress_kick(); NULL: off */
uint64_t recomp_kick(struct recompressor *rc);

/*
 * recomp_relieve() - memory was refused: have everything recompressed, and wait until some has come,
 * a pass has ended, or it is @until_ns (zt_now_ns())
 * Nothing held: neither file nor stream nor lock. Return: bytes saved. NULL: off.
 */
uint64_t recomp_relieve(struct recompressor *rc, uint64_t until_ns);

/* recompress.c */

/* Make the recompressor of params->recompress; recomp_start() its threads. */
int recomp_create(struct content *content, struct folder *folder,
		  const struct blkmap_params *params, char error_text[256],
		  struct recompressor **out_rc) ZT_MUST_CHECK;
void recomp_destroy(struct recompressor *rc);
/* recomp_now() - a pass in the caller's thread; see blkmap_recompress(). NULL: off. */
uint64_t recomp_now(struct recompressor *rc, unsigned idle);
/* recomp_set(), recomp_set_idle() - see blkmap_set_recompress() and blkmap_set_idle(). NULL: off. */
void recomp_set(struct recompressor *rc, bool on);
void recomp_set_idle(struct recompressor *rc, uint32_t seconds);
void recomp_get_tuning(const struct recompressor *rc, struct blkmap_tuning *out_tuning);
void recomp_get_stat(const struct recompressor *rc, struct blkmap_stat *out_stat);

/* dict.c; pass_lock held */

/*
 * Free dictionaries that no slot uses, mark those that are no longer worth their memory or whose
 * number is wanted, and make one when objects of a kind are many.
 */
void dict_prepare(struct recompressor *rc, unsigned idle);
/* Have the objects of dictionary @i compressed anew, so that it goes. */
void dict_retire(struct recompressor *rc, unsigned i);
/* Bytes of a dictionary of a kind for an algorithm, at most; 0: it is of no use. */
size_t recomp_dict_max(const char *name, enum recomp_kind kind);
void dict_get_stat(const struct recompressor *rc, struct blkmap_stat *out_stat);
void dicts_exit(struct recompressor *rc);
/*
 * dicts_attach() - the decoders of dictionaries that another process made; @rc NULL: there are none
 * Return: 0, or an error and its sentence.
 */
int dicts_attach(struct codecs *codecs, struct recompressor *rc, char text[256]) ZT_MUST_CHECK;

#endif
