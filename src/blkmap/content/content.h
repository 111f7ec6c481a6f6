/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * content.h - byte ranges of files: read, written, dropped, copied, counted.
 *
 * The functions of blkmap.h whose names end alike say what these do.
 *
 * Lock order: a file's lock (fs) -> a stream of the main codec -> slot lock and what is below.
 */
#ifndef ZT_BLKMAP_CONTENT_CONTENT_H
#define ZT_BLKMAP_CONTENT_CONTENT_H

#include "blkmap/cluster/codecs.h"
#include "blkmap/content/reread.h"
#include "blkmap/slot/slots.h"

/* One reader and three others: a request of 1 MiB is no more than 8 of the largest clusters. */
#define READERS_MAX 3u

struct split_read;

/* Threads "zt-read/N" that help with large reads: read_split.c. Joined by readers_stop(). */
struct readers {
	struct mutex lock; /* guards the rest */
	pthread_cond_t called;
	struct split_read *queue; /* reads that want helpers */
	pthread_t threads[READERS_MAX];
	unsigned nr_threads;
	bool started, stop;
};

/* Writes whose clusters are compressed side by side; see batch.c. */
struct batches {
	uint64_t inflight_limit; /* immutable */
	unsigned window_min; /* immutable */
	atomic_uint window; /* clusters of one write with the engines at a time; relaxed */
	atomic_uint_fast64_t inflight, inflight_max; /* bytes with the accelerator; relaxed */
	atomic_uint_fast64_t async_writes, fallback_inflight; /* relaxed */
	/* Innermost, nothing is called under it. */
	struct mutex lock;
	pthread_cond_t cond; /* nr has become 0 */
	uint64_t nr; /* batches that exist; guarded by lock */
};

/* The walker's: records that the files seen so far name, once per name. It runs alone. */
struct share_check {
	uint64_t *names; /* the record's ref, and which member of a pack */
	uint64_t nr, max;
	uint64_t pages, packed; /* of what is shared, and of members */
	uint64_t spilled; /* words that name what is out, */
	uint64_t codecs[SLOT_NR_CODECS]; /* and their codecs */
};

/* One per mount, owned by its block map. */
struct content {
	struct slots *slots; /* not owned; immutable, as the next three */
	struct codecs *codecs; /* not owned */
	enum blkmap_accel accel;
	unsigned nr_cpus;
	struct readers readers;
	struct rereads rereads;
	struct batches batches;
	struct share_check check;
	/* Reads and writes so far: whether anybody wants the machine. Relaxed, as the next ones. */
	atomic_uint_fast64_t requests __attribute__((aligned(64)));
	atomic_uint active_writes; /* blkmap_write_async() calls now running */
	atomic_uint large_reads; /* read_large() calls now running */
	atomic_uint_fast64_t reads_split; /* reads that were given helpers */
};

/*
 * content_init() - *@content is zero; @slots and @codecs need not be made yet
 * @nr_engines: of the accelerator, whether it is there or not
 * content_stop() - end asynchronous writes and helpers; reads and writes go on without them
 * content_exit() - stopped, and used by nobody
 */
void content_init(struct content *content, struct slots *slots, struct codecs *codecs,
		  enum blkmap_accel accel, unsigned nr_cpus, unsigned nr_engines);
void content_stop(struct content *content);
void content_exit(struct content *content);
/*
 * batches_set_limit() - bytes in flight at most, by the limit on memory (0: none)
 * Return: what to set aside for them: once as they were, and once as they become.
 */
uint64_t batches_set_limit(struct batches *batches, uint64_t mem_limit);

void content_get_stat(const struct content *content, struct blkmap_stat *out_stat);

/* ---- read.c, read_split.c ---- */

int content_read(struct content *content, const struct blkmap_file *file, uint64_t off, void *buf,
		 size_t len) ZT_MUST_CHECK;

void readers_init(struct readers *readers);
void readers_stop(struct readers *readers); /* for good; reads go on without helpers */
void readers_exit(struct readers *readers);

/* ---- fetch.c ---- */

/*
 * content_want() - this thread wants what is out of clusters @first to @last, as far as it can want
 * more. File held.
 */
void content_want(struct content *content, const struct blkmap_file *file, uint64_t first,
		  uint64_t last);
int content_fetch(struct content *content, const struct blkmap_file *file, uint64_t off,
		  uint64_t *out_next) ZT_MUST_CHECK; /* as blkmap_fetch() */

/* ---- write.c, batch.c ---- */

bool content_covers(const struct blkmap_file *file, uint64_t off, size_t len);
int content_grow(struct content *content, const struct blkmap_file *file, uint64_t off,
		 size_t len) ZT_MUST_CHECK;
int content_write(struct content *content, const struct blkmap_file *file,
		  const struct blkmap_bytes *bytes, size_t *out_done) ZT_MUST_CHECK;
void content_write_async(struct content *content, const struct blkmap_file *file,
			 const struct blkmap_bytes *bytes, const struct blkmap_write_end *end);
bool content_may_defer(const struct content *content, size_t len);
bool content_drain(struct content *content, uint64_t until_ns); /* as blkmap_drain() */

/*
 * content_slot() - the slot of cluster @idx, made if there is none
 * Streams may be held, no slot lock. 0, -ENOSPC, -ENOMEM.
 */
int content_slot(struct content *content, const struct blkmap_file *file, uint64_t idx,
		 uint64_t **out_slot) ZT_MUST_CHECK;

/* ---- range.c ---- */

int content_truncate(struct content *content, const struct blkmap_file *file,
		     uint64_t size) ZT_MUST_CHECK;
int content_punch(struct content *content, const struct blkmap_file *file, uint64_t off,
		  uint64_t len) ZT_MUST_CHECK;
int content_allocate(struct content *content, const struct blkmap_file *file, uint64_t off,
		     uint64_t len) ZT_MUST_CHECK;
bool content_can_hold(const struct content *content, const struct blkmap_file *file, uint64_t off,
		      uint64_t len);
void content_uncharge(struct content *content, const struct blkmap_file *file);
int content_seek(struct content *content, const struct blkmap_file *file, uint64_t size,
		 uint64_t off, int whence, uint64_t *out_off) ZT_MUST_CHECK;

/* ---- clone.c ---- */

int content_share(struct content *content, const struct blkmap_copy *copy,
		  uint64_t *out_done) ZT_MUST_CHECK;
int content_fold(struct content *content, const struct blkmap_file *file,
		 uint64_t off) ZT_MUST_CHECK;

/* ---- usage.c, check.c ---- */

int content_usage(struct slots *slots, const struct blkmap_file *file,
		  struct blkmap_usage *out_usage) ZT_MUST_CHECK;
int content_check_file(struct content *content, const struct blkmap_file *file,
		       uint64_t *inout_objects) ZT_MUST_CHECK;
int content_check(struct content *content, uint64_t objects) ZT_MUST_CHECK;

#endif
