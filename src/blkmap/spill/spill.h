/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spill.h - objects that stand in a file or on a block device instead of in memory.
 *
 * The file is a row of units of 4 KiB. An object takes whole units, side by side, and is written as
 * it is stored in memory: compressed, or raw; with a key it is encrypted. What is known of it (place,
 * length, sum, pages that are present) stands in a table in the arena (table.h), so the file means
 * nothing without that. A slot's word of kind SPILLED has the number of an entry (slot/word.h).
 *
 * What is read comes into one of a few copies. A thread that finds under a slot lock that an object
 * is in none of them gives up all that it holds, has it read, and tries again:
 *
 *     slot lock: spill_hold() says -EREMOTE; spill_want()     up to the layer that holds nothing
 *     nothing held: spill_fetch()                             waits for the disk
 *     slot lock: spill_hold() finds the copy, spill_let()
 *     nothing held: spill_done()
 *
 * So nothing is ever read from the disk under a lock that another request may want.
 *
 * Locks: spill.lock, innermost. Writing is one thread's at a time.
 */
#ifndef ZT_BLKMAP_SPILL_SPILL_H
#define ZT_BLKMAP_SPILL_SPILL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arena/arena.h"
#include "util/compiler.h"

#define SPILL_UNIT 4096u
/* Most bytes of one object: a cluster of 128 KiB that does not compress. */
#define SPILL_OBJECT_MAX (128u * 1024u)
/* The least size of the file, in bytes. */
#define SPILL_SIZE_MIN (UINT64_C(1) << 20)

#define SPILL_KEY_SIZE 32u /* bytes */

struct spill; /* one per mount */

/** spill_can_encrypt() - whether this build has the library */
bool spill_can_encrypt(void);

/* Number of an object that is out; 0: none. 32 bits, so that a word has some to spare. */
typedef uint32_t spill_id;

struct spill_params {
	int fd; /* to read and write; not owned; -1, with loaded: nobody asks for bytes */
	uint64_t size; /* bytes of it that may be used */
	struct arena *arena; /* where the table is, and whose limit counts that and copies */
	const uint8_t *key; /* SPILL_KEY_SIZE bytes, the caller's while it lives; NULL: not encrypted */
	bool attach; /* another process has left a table there, or none */
	bool loaded; /* with attach: it was in an image, and the file has its bytes, in the clear */
};

/**
 * spill_create() - an empty one, or what another process has left
 * @error_text: out on errors: one sentence
 * Return: 0; -EINVAL the size is too small or too large, or what is out was left by a mount with another
 * key; -EOPNOTSUPP this build cannot encrypt; -EUCLEAN the table is damaged; -ENOSPC the limit on memory
 * is too small; -ENOMEM.
 */
int spill_create(const struct spill_params *params, char error_text[256],
		 struct spill **out_spill) ZT_MUST_CHECK;

/**
 * spill_destroy() - no word names an object any more, or none will be looked at; NULL is allowed
 * @stays: the table is left in the arena, for another process
 */
void spill_destroy(struct spill *spill, bool stays);

/**
 * spill_none() - this process has no spill file: another one's table goes, if nothing is out
 * @text: out on errors: one sentence
 * Return: 0; -EINVAL something is.
 */
int spill_none(struct arena *arena, char text[256]) ZT_MUST_CHECK;

/* ---- attached: one thread, before anything else; not where the process before left all in order ---- */

/** spill_claim() - a word names it. Return: false: there is no such object, or another word named it. */
bool spill_claim(struct spill *spill, spill_id id);

/** spill_sweep() - all words have claimed: what is left is dropped. Return: how many. */
uint64_t spill_sweep(struct spill *spill);

/* ---- out: one thread at a time ---- */

#define SPILL_BATCH_BYTES (1024u * 1024u)
#define SPILL_BATCH_ITEMS 64u

/* One object on its way out. */
struct spill_item {
	uint32_t at; /* of its bytes in the batch */
	uint32_t size; /* bytes, without the mask of pages */
	uint32_t mask; /* of pages that are present, where its word says SPARSE */
	spill_id id; /* out: 0: it could not be written */
};

/* Objects that are written together. */
struct spill_batch {
	char *bytes; /* SPILL_BATCH_BYTES, page aligned; the maker's */
	uint32_t used;
	unsigned nr;
	struct spill_item items[SPILL_BATCH_ITEMS];
};

/** spill_batch_add() - space for one object more, to be filled; NULL: the batch is full */
char *spill_batch_add(struct spill_batch *batch, uint32_t size, uint32_t mask);

/**
 * spill_write() - write a batch; items that got an id are out, and are the caller's to name or to drop
 * What is in memory stays there until the caller has named the id.
 * Return: 0; -ENOSPC no space, -ENOMEM no memory for entries, or what the file says: items that have no
 * id were not written.
 */
int spill_write(struct spill *spill, struct spill_batch *batch) ZT_MUST_CHECK;

/** spill_may_write() - whether it is worth trying: there is space, and no error a moment ago */
bool spill_may_write(struct spill *spill);

/** spill_give_back() - units that are free again give their space on the disk back */
void spill_give_back(struct spill *spill);

/**
 * spill_cool() - copies that nobody has used between the last two calls of this give their memory back,
 * if these are a second apart at least; they are read again when they are wanted
 */
void spill_cool(struct spill *spill);

/** spill_free_bytes() - bytes that could still go out; 0 after an error, for a while. Lock-free. */
uint64_t spill_free_bytes(const struct spill *spill);

/* ---- what words say: the lock of the slot that names the id is held ---- */

uint32_t spill_mask(const struct spill *spill, spill_id id);
uint32_t spill_len(const struct spill *spill, spill_id id); /* bytes */

/** spill_drop() - no word names it any more. Locks may be held. */
void spill_drop(struct spill *spill, spill_id id);

/**
 * spill_hold() - the bytes of an object that stands in a copy; they stay until spill_let()
 * Return: 0; -EREMOTE it stands in none; -EIO it could not be read; -EINTR, -EIO (spill_fetch()).
 */
int spill_hold(struct spill *spill, spill_id id, const char **out_bytes) ZT_MUST_CHECK;
void spill_let(struct spill *spill, spill_id id);

/**
 * spill_want() - this thread's next spill_fetch() is to read it
 * So many are kept in mind at a time; further ones are passed over. Return: whether it is.
 */
#define SPILL_WANTS 8u
bool spill_want(struct spill *spill, spill_id id);

/** spill_read_again() - said at each read: whether it was read before, a second ago or earlier */
bool spill_read_again(struct spill *spill, spill_id id);

/** spill_is_id() - for walkers: whether there is such an object */
bool spill_is_id(struct spill *spill, spill_id id);

/* ---- in: nothing is held ---- */

/* Of a thread that waits for the disk. */
struct spill_patience {
	bool (*is_over)(void *arg); /* asked now and then, from some seconds on; nothing is held */
	void *arg;
};

/**
 * spill_fetch() - have copies of what this thread wants, or of some of it; waits for the disk
 * @patience: NULL: there is nobody to ask
 * Copies stay until the thread's next spill_fetch() or spill_done(). Where it did not wait to the end,
 * spill_hold() says so until then, instead of -EREMOTE: -EINTR the patience was over; -EIO the disk has
 * not answered anybody for spill_patience_ns, or for spill_hangs_ns where others wait, too, or for less
 * when that has happened before; or it has answered others for very long.
 */
void spill_fetch(struct spill *spill, const struct spill_patience *patience);

/** spill_set_waiters() - threads that may wait for a disk that is slow; at first any number */
void spill_set_waiters(struct spill *spill, unsigned most);

/** spill_quiet() - end the threads that read; from now on whoever wants something reads it. NULL is allowed. */
void spill_quiet(struct spill *spill);

/** spill_join() - wait for a thread that may wait for the disk, and after a while say so */
void spill_join(struct spill *spill, pthread_t thread);

/* Changed by tests. */
extern uint64_t spill_patience_ns, spill_hangs_ns;

/** spill_done() - the thread needs no copies, and wants nothing. Cheap when there is nothing. */
void spill_done(struct spill *spill);

struct spill_stat {
	uint64_t size; /* bytes of the file that may be used */
	uint64_t used; /* bytes of units in use */
	uint64_t objects, bytes; /* that are out */
	uint64_t written, fetched; /* objects, ever */
	uint64_t write_errors, read_errors; /* calls that failed; objects that could not be read */
};

/** spill_get_stat() - NULL: all zero */
void spill_get_stat(struct spill *spill, struct spill_stat *out_stat);

/**
 * For tests: asked before each call of the kernel's for the file. *inout_len may be lowered; what it
 * returns, if not 0, is the result: -errno. NULL: nothing is asked.
 */
extern int (*spill_io_hook)(bool writes, uint64_t off, size_t *inout_len);

#endif
