/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * super.h - one mount: its arena and pools, its limits, its counters.
 */
#ifndef ZT_FS_SUPER_H
#define ZT_FS_SUPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "arena/stock.h"
#include "blkmap/blkmap.h"
#include "util/compiler.h"
#include "ztmpfs/control.h"

struct super; /* opaque outside fs; see fs/super_i.h */

struct super_params {
	uint64_t size; /* size=: logical bytes, rounded up to pages; 0: no limit, as tmpfs */
	uint64_t nr_inodes; /* 0: no limit */
	bool acl; /* POSIX ACLs */
	uint64_t mem_limit; /* bytes of memory, 0: none */
	uint64_t mem_beside; /* bytes that the caller holds for requests; they count too */
	/*
	 * Bytes of memory kept ready and locked (arena.h: stock), for a mount that carries swap; wants
	 * a mem_limit. 0: none.
	 */
	uint64_t swap_reserve;
	bool outlives; /* with swap_reserve: what is locked stays in memory when this process has died; arena.h */
	mode_t mode; /* of the root directory, permission bits with sticky */
	uid_t uid;
	gid_t gid;
	unsigned cluster_order; /* new files' cluster: 2^order pages */
	/*
	 * With super_attach(): the arena comes out of an image, so that nobody has references, and all
	 * of it is walked, whatever it says of its end.
	 */
	bool from_image;
	/*
	 * What files hold: algorithms, upkeep, the accelerator. Its arena, pools, record and max_pages
	 * are the layer's own, and not looked at; so are its packs.
	 */
	struct blkmap_params content;
	/* Nobody asked for content.comp.dict: a mount that was made without a dictionary goes on so. */
	bool dict_by_default;
	bool packs; /* with content.recompress: small files that lie idle are packed together */
};

int super_create(const struct super_params *params, char error_text[256],
		 struct super **out_sb) ZT_MUST_CHECK;

/** super_destroy() - end threads, free everything; NULL is allowed. No request is running. */
void super_destroy(struct super *sb);

/*
 * A mount outlives its process: all that it must remember stands in the arena, a memfd. Another
 * process that has its descriptor attaches to it, after super_detach() or after a kill.
 */

/** super_arena_fd() - the arena's memfd, for handing over; stays the mount's */
int super_arena_fd(const struct super *sb);

/**
 * super_detach() - leave a mount to the next process that attaches: marked as clean, and only what
 * is on the heap is freed The caller keeps a descriptor of the memfd, or it goes. No request is
 * running; writes were drained.
 */
void super_detach(struct super *sb);

/**
 * super_attach() - go on with a mount whose last process has detached, or was killed
 * @params: as for super_create(); what gives the stored bytes their meaning must be as it was. What
 *	    super_set() has changed is as it was, too, but for an image
 * @arena_fd: the mount's on success, the caller's as before on errors
 * @error_text: out on errors: one sentence
 * @out_sb: the kernel's references are as they were
 *
 * After a kill all of it is walked, and what was left half done is put right; see
 * super_get_attach_report(). What does not agree is refused. The arena can be attached again then.
 * Return: 0; -EUCLEAN it is no arena, or damaged; -EPROTONOSUPPORT another layout, or a feature that
 *         this program does not know; -EINVAL other options; as super_create().
 */
int super_attach(const struct super_params *params, int arena_fd, char error_text[256],
		 struct super **out_sb) ZT_MUST_CHECK;

/* What super_attach() found and put right. Counts, but for the first five. */
struct super_attach_report {
	bool attached; /* false: the mount was made by this process; all else is 0 */
	bool was_clean; /* nothing was walked */
	uint32_t life; /* processes that have had the mount so far */
	uint64_t ns; /* that it took */
	uint64_t inodes, data_objects; /* that are there */
	/* Put right; what a kill leaves half done. */
	uint64_t lost_inodes; /* without name and reference: freed */
	uint64_t link_counts, dir_counts, parents, second_names, empty_blocks; /* names */
	uint64_t page_counts, places, owners, share_counts; /* content */
	uint64_t hints, tails, promises; /* marks of attributes, of dirty ends; promises lost */
	uint64_t swept_meta, swept_data; /* objects that nobody named: freed */
	uint64_t map_entries, stray_pages, empty_runs; /* the arena's pages */
};

/** super_get_attach_report() - zeros for a mount that this process has made */
void super_get_attach_report(const struct super *sb, struct super_attach_report *out);

/** super_attach_repairs() - the sum of what was put right */
uint64_t super_attach_repairs(const struct super_attach_report *report);

/* Small records that the daemon keeps with the mount, by number; none is there at first. */
#define SUPER_NR_RECORDS 6u
#define SUPER_RECORD_MAX 120u /* bytes of one */
enum {
	SUPER_RECORD_INIT_REQUEST,
	SUPER_RECORD_INIT_REPLY,
	SUPER_RECORD_SET, /* struct ztmpfs_set, all of super_set() in one; the fs layer's */
	SUPER_RECORD_SET_NEXT, /* the same, while SUPER_RECORD_SET is about to become that */
	SUPER_RECORD_FREE
};

/**
 * super_record_set() - keep @size bytes; a process that is killed meanwhile leaves the old ones, the
 * new ones or none
 * Context: one thread at a time. Return: 0, -EINVAL no such record, -E2BIG.
 */
int super_record_set(struct super *sb, unsigned which, const void *data, size_t size) ZT_MUST_CHECK;

/** super_record_get() - Return: bytes copied, 0 there is none; -EINVAL, -E2BIG more than @size. */
ssize_t super_record_get(const struct super *sb, unsigned which, void *data,
			 size_t size) ZT_MUST_CHECK;

/** super_has_acl() - whether the mount has POSIX ACLs */
bool super_has_acl(const struct super *sb);

/* Whose times of access reading leaves alone. */
#define SUPER_ATIME_ALL (1u << 0) /* noatime, or no way in but read-only ones */
#define SUPER_ATIME_DIR (1u << 1) /* nodiratime: those of folders */

/**
 * super_set_frozen_atimes() - the mount's flags, which the kernel leaves to the daemon
 * @which: SUPER_ATIME_* or 0, as it is first
 * Context: any thread.
 */
void super_set_frozen_atimes(struct super *sb, unsigned which);

/** super_lock_memory() - never swap out what files hold (noswap). Return: see arena_lock_memory(). */
int super_lock_memory(struct super *sb) ZT_MUST_CHECK;

/**
 * super_drain() - wait until every fs_write_async() has ended, its reply and its release included
 * The sender of replies calls it before it takes apart what they go through. No request is running.
 */
void super_drain(struct super *sb);

/**
 * super_set_pause() - have @pause(@arg) called between two rounds of a request's work, in the thread
 * that serves it and with nothing locked
 * @pause lets others be served, and returns true when the work is no longer wanted, since its
 * caller has given up or the mount ends. NULL stops it. No request is running.
 */
void super_set_pause(struct super *sb, bool (*pause)(void *arg), void *arg);

/**
 * super_request_begin(), super_request_end() - around a request's handler, or another try of it
 * While a snapshot is taken the former waits, some milliseconds.
 */
void super_request_begin(struct super *sb);
void super_request_end(struct super *sb);

/** super_set_round() - how long a round is: ns; for tests. 0: as short as it can be. */
void super_set_round(struct super *sb, uint64_t ns);

/**
 * super_reap() - go on with work that requests have left: freeing what was deleted, cutting what was
 * shortened
 * One thread at a time does that, in rounds; others return at once. After the reply of a request.
 */
void super_reap(struct super *sb);

/**
 * super_statfs() - f_bsize 4096; never promises more than incompressible data, or files with the
 * longest names, could fill
 */
void super_statfs(struct super *sb, struct statvfs *out);

/**
 * super_free_pages() - pages of 4096 bytes of data that do not compress, which still fit by size=
 * and by the limit on memory
 * @out_used: pages that files contain now, counted before they are compressed
 * What compaction and recompression could still give is not in it.
 * Context: any thread; takes no lock, so that it is what holds at no one moment.
 */
uint64_t super_free_pages(struct super *sb, uint64_t *out_used);

/**
 * super_bytes_left() - bytes of data that do not compress which still fit
 * By size= and by mem_limit=; UINT64_MAX without either. Lock-free, and cheap.
 */
uint64_t super_bytes_left(const struct super *sb);

/** super_each_known() - call @file for each regular file that the kernel has a reference to */
void super_each_known(struct super *sb, void (*file)(void *arg, uint64_t ino), void *arg);

/** super_owner() - the root directory's owner, who may ask for what concerns the whole mount */
uid_t super_owner(struct super *sb);

/*
 * How long a request waits for memory that its mount's limit refuses, from the first refusal on:
 * five seconds with what its tries take.
 */
#define SUPER_WAIT_NS UINT64_C(4000000000)

/**
 * super_wait_until() - requests that this thread serves from now on wait until then (zt_now_ns());
 * 0: for SUPER_WAIT_NS each, as at first
 * super_wait_never() - they fail with -ENOSPC instead; super_waits_never() tells
 * super_has_declined() - since then one did so that waiting might have helped
 */
void super_wait_until(uint64_t until_ns);
void super_wait_never(void);
bool super_waits_never(void);
bool super_has_declined(void);

/** super_compact() - fold, compact, give memory back, now. Return: bytes given back. */
uint64_t super_compact(struct super *sb);

/**
 * super_recompress() - have everything recompressed now, in the background
 * @out_passes: what stat.recompress_passes will exceed when it is done
 * Return: 0, -EOPNOTSUPP recompression is off.
 */
int super_recompress(struct super *sb, uint64_t *out_passes) ZT_MUST_CHECK;

/**
 * super_spill() - have all that can go out to the spill file go there, in the background
 * @out_passes: what stat.spill_passes will exceed when it is done
 * Return: 0, -EOPNOTSUPP there is no spill file.
 */
int super_spill(struct super *sb, uint64_t *out_passes) ZT_MUST_CHECK;

/** super_has_spill() - whether there is a spill file */
bool super_has_spill(const struct super *sb);

/**
 * super_set_disk_waiters() - how many threads may wait long for the disk of the spill file; at first any number
 * Further ones fail with -EIO when it is slow, so that others are served.
 */
void super_set_disk_waiters(struct super *sb, unsigned most);

/** super_can_spill() - whether something can go out to a spill file now; a hint, lock-free */
bool super_can_spill(const struct super *sb);

/** super_swap_grant() - what the machine has to give for swap_reserve; see arena_stock_grant() */
void super_swap_grant(struct super *sb, const struct arena_grant *grant);

/** super_swap_is_short() - whether a request waits for the reserve now; a hint */
bool super_swap_is_short(const struct super *sb);

/** super_requests() - reads and writes of data so far; lock-free */
uint64_t super_requests(const struct super *sb);

void super_get_stat(struct super *sb, struct ztmpfs_stat *out_stat);

/**
 * super_get_pool_stat() - a pool's classes, as many as fit
 * @inout_stat: in: pool and first. All else is written, on success only
 * Return: 0, -EINVAL no such pool or class.
 */
int super_get_pool_stat(struct super *sb, struct ztmpfs_pool_stat *inout_stat) ZT_MUST_CHECK;

/**
 * super_check() - all walkers: tree of names, link counts, inodes, dirs' indexes, files, pools,
 * arena
 * Context: nobody else uses the mount. Return: 0 or -EUCLEAN after a line on the log.
 */
int super_check(struct super *sb) ZT_MUST_CHECK;

#endif
