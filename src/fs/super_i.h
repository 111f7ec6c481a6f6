/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * super_i.h - what the files of the fs layer share about a mount. Nobody outside fs/ includes it.
 *
 * Lock order: super.rename_lock -> inode locks (in the order of the table) -> what blkmap.h says
 * below them.
 */
#ifndef ZT_FS_SUPER_I_H
#define ZT_FS_SUPER_I_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "arena/arena.h"
#include "arena/snapshot.h"
#include "blkmap/attach.h"
#include "blkmap/blkmap.h"
#include "fs/gate.h"
#include "fs/inodeset.h"
#include "fs/promise.h"
#include "util/keyhash.h"
#include "util/line.h"
#include "fs/super.h"
#include "util/lock.h"
#include "zsmalloc/pool.h"

struct dirindex;

/* Pools share the arena, each with a number of its own; the first is the data pool of blkmap. */
enum { SUPER_POOL_DATA = BLKMAP_POOL_DATA, SUPER_POOL_META, SUPER_POOL_INODE };

#define SUPER_MAGIC   UINT64_C(0x31307366706d747a) /* "ztmpfs01" */
#define SUPER_VERSION 3u
/* From the first pack on (blkmap/slot/pack.h); otherwise alike. */
#define SUPER_VERSION_PACKS 4u

/*
 * Canonical: options that give the stored bytes their meaning. Written once, before the magic.
 */
struct super_format {
	char compress[40], recompress[40]; /* algorithms by name; the second may be empty */
	uint64_t dict_size, dict_sum; /* of the dictionary that the first was given, or 0 */
	uint32_t cluster_order; /* of the root directory at first */
	uint32_t sum; /* of all above, a part of keyhash() */
};
static_assert(sizeof(struct super_format) == 104, "canonical");

/* Canonical: what a walk would find, kept by super_detach(); meaningless unless the state is clean. */
struct super_clean {
	uint64_t nr_inodes, space;
	uint64_t settings[BLKMAP_NR_SETTINGS]; /* inodes that name them */
	uint64_t maps, promises; /* refs of lists in the metadata pool, 0: empty */
	struct blkmap_clean map;
};
static_assert(sizeof(struct super_clean) == 56 + sizeof(struct blkmap_clean), "canonical");

/* Canonical: one of the daemon's small records. */
struct super_small {
	uint32_t size; /* bytes; 0: there is none */
	uint32_t unused;
	char data[SUPER_RECORD_MAX];
};
static_assert(sizeof(struct super_small) == 128, "canonical");

/* Canonical: a rename that has begun; see intent.h. */
struct rename_intent {
	uint64_t ino; /* what is renamed; stored last and cleared first, 0: there is none */
	uint64_t to_parent, to_pos; /* where its new name is to stand */
	uint64_t from_parent, from_pos; /* where the old one stands */
	uint64_t then; /* what the old one leads to afterwards, with its type; 0: it goes */
};
static_assert(sizeof(struct rename_intent) == 48, "canonical");

/* Canonical: what the mount must remember besides inodes and names; stands in arena_super(). */
struct super_record {
	uint64_t magic;
	uint32_t version;
	uint32_t generation; /* of the next inode; atomic */
	uint64_t root; /* ref of the root's inode record */
	struct blkmap_record map;
	struct super_format format;
	struct super_small small[SUPER_NR_RECORDS];
	struct super_clean clean;
	struct rename_intent rename; /* guarded by super.intent_lock */
	struct blkmap_clean_packs clean_packs; /* belongs to clean */
};
static_assert(sizeof(struct super_record) <= ARENA_SUPER_SIZE, "space in the arena's first page");

static inline bool super_version_is_known(uint32_t version)
{
	return version == SUPER_VERSION || version == SUPER_VERSION_PACKS;
}

/* More than threads can hold at a time by far; a power of two. */
#define INODE_NR_LOCKS 1024u

/*
 * One entry of the table of inode locks. The name indexes of the directories that hash here hang on
 * it, since a thread that wants one holds this lock anyway: shared to look one up, exclusive to add
 * or to drop one.
 */
struct inode_lock {
	struct rwlock lock;
	/*
	 * Writes that were begun under the shared lock and end without it. Raised under the shared
	 * lock, lowered by the thread that ends the write. A holder of the exclusive lock waits for
	 * 0. No lock: a thread that ends a write may not wait for one that waits for writes.
	 */
	atomic_uint nr_async;
	unsigned cuts; /* of files that hash here; guarded by lock */
	/*
	 * Copies of inodes that hash here (clone_inode.c). Changed with the lock; relaxed, since attributes
	 * of an inode that nobody knows yet are set without.
	 */
	atomic_uint nr_watching;
	/* Of attributes of what hashes here, while nr_watching; made with the lock held. */
	atomic_uint changes;
	struct changed *changed; /* what of files that are copied others change; guarded by lock */
	/* Threads that wait for the lock; relaxed: work in rounds lets them go first. */
	atomic_uint nr_waiting;
	struct dirindex *indexes;
};


struct super {
	struct arena *arena;
	struct zs_pool *inodes; /* inode records, fixed size */
	struct zs_pool *meta; /* tree nodes, directory blocks, link targets, attributes */
	struct blkmap *map;
	struct super_record *rec;
	struct inodeset live; /* numbers of all inodes; the root's is FS_ROOT_INO, not its ref */
	uint64_t set_aside; /* bytes of mem_limit= for requests and for tables of fixed size */
	uint64_t max_inodes; /* nr_inodes=, 0: no limit; atomic: tune.c changes it */
	uint64_t nr_inodes; /* live now, the root included; atomic */
	/*
	 * Bytes taken of the space that nr_inodes gives: INODE_SPACE for each inode, and what their
	 * attributes take; atomic.
	 */
	uint64_t space;
	bool acl; /* POSIX ACLs; immutable */
	bool from_image; /* super_params.from_image; immutable */
	bool borrows; /* there is a lender, or will be; immutable */
	struct image_pages *lender; /* owned: where contents stand that are only read; NULL: in the arena */
	struct super_attach_report report; /* immutable once attached */
	atomic_uint frozen_atimes; /* SUPER_ATIME_*; relaxed */
	struct promises promises; /* what fallocate(2) has promised */
	struct keyhash_key hash_key; /* random, so that nobody can choose names or inode numbers that collide */
	/* For threads that wait for asynchronous writes; innermost, nothing is called under it. */
	struct mutex drain_lock;
	pthread_cond_t drain_cond;
	atomic_uint nr_draining; /* threads that wait; pairs with nr_async, see inode_drain() */
	/* Work in rounds (work.h); set while no request runs. */
	bool (*pause)(void *arg);
	void *pause_arg;
	uint64_t round_ns;
	/* What requests have left (reap.c). */
	struct mutex reap_lock; /* innermost: nothing is called under it */
	struct line jobs; /* of struct reap_job; guarded by reap_lock */
	bool reaping; /* a thread is at it; guarded by reap_lock */
	atomic_uint nr_jobs; /* changed under reap_lock, a relaxed load is a hint */
	struct gate gate; /* requests, and the moment at which none is half done */
	/* The file that a snapshot is read by, 0: there is none; and the snapshot's number. See livesave.c. */
	atomic_uint_fast64_t livesave_ino, livesave_id;
	atomic_bool livesave_begins; /* a request is at it */
	struct livesave {
		struct arena_snapshot_facts pages;
		uint64_t out_pages, out_objects; /* that stand in the spill file */
	} livesave; /* set before livesave_ino */
	struct mutex rename_lock; /* directories keep their parents while it is held */
	struct mutex tune_lock; /* writing SUPER_RECORD_SET; innermost */
	struct mutex intent_lock; /* below the inodes' locks; see intent.h */
	struct inode_lock locks[INODE_NR_LOCKS];
};

/*
 * Another try for a request that memory was refused to:
 *
 *     struct super_retry retry = super_retry_begin();
 *
 *     do {
 *             lock; err = ...; unlock
 *     } while (super_retry(sb, err, &retry));
 *
 * What fails with -ENOSPC has changed nothing. Between the tries no lock is held, since others have
 * to make space.
 */
struct super_retry {
	uint64_t refusals; /* of the thread by the limit, before the try */
	unsigned tries;
	uint64_t until_ns; /* when to give up (zt_now_ns()); 0: nothing was refused yet */
};

static inline struct super_retry super_retry_begin(void)
{
	return (struct super_retry){ .refusals = arena_refusals() };
}

/*
 * super_retry() - whether to try again, after an attempt that came to @err
 * True when it was the limit on memory that refused, and some space could be made since. It waits
 * for space as super_wait_until() has it for this thread. True, too, when something is in the spill
 * file, and has been read now. No lock is held.
 */
bool super_retry(struct super *sb, int err, struct super_retry *inout_retry) ZT_MUST_CHECK;

/*
 * super_read_spilled() - after -EREMOTE: read what this thread's attempt needed; nothing is held
 * blkmap_spill_done() must follow in the end.
 */
void super_read_spilled(struct super *sb);

#endif
