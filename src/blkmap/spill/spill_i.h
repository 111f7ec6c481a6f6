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
#include "util/line.h"
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

/* One object that is to be read. */
struct one_reading {
	struct spill_copy *copy;
	spill_id id; /* pinned: its entry stays as it is */
	const struct spill_entry *entry;
	int error;
};

/* Some, that are read together. */
struct reading {
	struct line_item item; /* of a job: in one of the two lines */
	unsigned nr;
	struct one_reading each[SPILL_WANTS];
};

/* As many calls the disk has at a time. */
#define SPILL_READERS 8u
/* The end of the mount waits so long before it says why. */
#define SPILL_END_S 10
/* After so long a thread looks whether it is still to wait. */
#define SPILL_SLOW_NS (2 * ZT_NS_PER_S)

/* Threads that read, "zt-disk/N"; guarded by spill.lock. */
struct spill_readers {
	pthread_cond_t called;
	struct line waiting, free; /* of jobs */
	struct reading jobs[COPIES_MAX];
	pthread_t threads[SPILL_READERS];
	unsigned nr, nr_idle, nr_jobs; /* threads; those that wait; jobs that do */
	bool stop;
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
	struct spill_readers readers;
	unsigned nr_waiting, most_waiting; /* threads that wait for copies; of a slow disk at most */
	uint64_t answered_ns; /* when the last reading ended */
	bool stuck; /* a thread has waited in vain, and nothing was read since */
	bool told_stuck; /* an error has been logged since then */
	bool told_read, told_write; /* errors have been logged */
	bool told_end; /* the ending thread's */
	bool loaded; /* nobody else has the file open */
	bool keeps; /* nothing is given back: keep.h */
	struct spill_listed *listed; /* or NULL */
	uint64_t nr_listed, listed_units;
	/* Relaxed. */
	atomic_uint_fast64_t used_units, failed_until; /* seconds: nothing is written before */
	atomic_uint_fast64_t writing_since; /* ns; 0: nothing is being written or punched */
	atomic_uint told_slow; /* 1: of what is being written it has been said */
	atomic_uint_fast64_t written, fetched, write_errors, read_errors;
};

/* object_unpin() - one thread less wants it read. Lock held. */
void object_unpin(struct spill *spill, spill_id id) ZT_REQUIRES(spill->lock);

/* object_free() - no word names it, and nobody needs it. Lock held. */
void object_free(struct spill *spill, spill_id id) ZT_REQUIRES(spill->lock);

/* entry_open() - the bytes of an entry are what was written, in the clear from here on. 0 or -EBADMSG. */
int entry_open(const struct spill *spill, spill_id id, const struct spill_entry *entry,
	       char *bytes) ZT_MUST_CHECK;

/* reading_start() - have it read, by another thread or here; nothing is held */
void reading_start(struct spill *spill, struct reading *reading);

/* read_error_is_new() - counts it. @inout_told: guarded by the lock, which is taken */
bool read_error_is_new(struct spill *spill, bool *inout_told);

/* readers_begin(), readers_end() - part of the making and the end of a spill */
void readers_begin(struct spill *spill);
void readers_end(struct spill *spill);

/* copy_settle() - a copy has been read, or has a user less. Lock held. */
void copy_settle(struct spill *spill, struct spill_copy *copy) ZT_REQUIRES(spill->lock);

/* copy_forget() - the object of a copy goes, or has another copy soon. Lock held. */
void copy_forget(struct spill *spill, struct spill_live *live) ZT_REQUIRES(spill->lock);

/* file.c: all of it, or -errno */
int file_write(struct spill *spill, uint64_t off, const char *bytes, size_t len) ZT_MUST_CHECK;
int file_read(struct spill *spill, uint64_t off, struct iovec *iov, int nr) ZT_MUST_CHECK;
void file_punch(struct spill *spill, uint64_t off, uint64_t len);

#endif
