/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spill_i.h - what the files of this folder share.
 */
#ifndef ZT_BLKMAP_SPILL_SPILL_I_H
#define ZT_BLKMAP_SPILL_SPILL_I_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "blkmap/spill/space.h"
#include "blkmap/spill/spill.h"
#include "blkmap/spill/table.h"
#include "util/lock.h"

/* An object in a copy: all of its units. */
#define COPY_BYTES (SPILL_OBJECT_MAX + SPILL_UNIT)
#define COPIES_MIN 16u
#define COPIES_MAX 64u

enum copy_state { COPY_FREE, COPY_READING, COPY_READY, COPY_FAILED };

/* The bytes of an object, for a while. Guarded by spill.lock; while it is read, data is the reader's. */
struct spill_copy {
	enum copy_state state;
	spill_id id; /* 0: of none any more */
	unsigned users; /* threads that need it */
	bool warm; /* it has memory */
	uint64_t used; /* number of the last use */
	char *data; /* COPY_BYTES */
};

/* One of those that are kept (keep.h). */
struct spill_listed {
	uint64_t first; /* units of those before it */
	uint32_t unit;
	spill_id id;
};

struct spill {
	int fd; /* immutable, as the next three */
	uint64_t size;
	struct arena *arena;
	const uint8_t *key; /* the maker's; NULL: nothing is encrypted */
	uint64_t set_aside;
	struct mutex lock; /* guards what follows */
	pthread_cond_t cond; /* a copy was read, or is free */
	struct spill_space space;
	struct spill_table table;
	struct spill_copy copies[COPIES_MAX];
	unsigned nr_copies; /* immutable */
	char *copy_bytes;
	uint64_t use; /* the last number of a use */
	uint64_t cool_use, cool_ns; /* the same when copies were last cooled, and when that was */
	bool told_read, told_write; /* errors have been logged */
	bool loaded; /* nobody else has the file open */
	bool keeps; /* nothing is given back: keep.h */
	struct spill_listed *listed; /* or NULL */
	uint64_t nr_listed, listed_units;
	/* Relaxed. */
	atomic_uint_fast64_t used_units, failed_until; /* seconds: nothing is written before */
	atomic_uint_fast64_t written, fetched, write_errors, read_errors;
};

/* object_unpin() - one thread less wants it read. Lock held. */
void object_unpin(struct spill *spill, spill_id id) ZT_REQUIRES(spill->lock);

/* object_free() - no word names it, and nobody needs it. Lock held. */
void object_free(struct spill *spill, spill_id id) ZT_REQUIRES(spill->lock);

/* entry_open() - the bytes of an entry are what was written, in the clear from here on. 0 or -EBADMSG. */
int entry_open(const struct spill *spill, spill_id id, const struct spill_entry *entry,
	       char *bytes) ZT_MUST_CHECK;

/* copy_forget() - the object of a copy goes, or has another copy soon. Lock held. */
void copy_forget(struct spill *spill, struct spill_live *live) ZT_REQUIRES(spill->lock);

/* file.c: all of it, or -errno */
int file_write(struct spill *spill, uint64_t off, const char *bytes, size_t len) ZT_MUST_CHECK;
int file_read(struct spill *spill, uint64_t off, struct iovec *iov, int nr) ZT_MUST_CHECK;
void file_punch(struct spill *spill, uint64_t off, uint64_t len);

#endif
