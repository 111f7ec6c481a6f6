/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control.h - what ztmpfsctl asks of a mounted ztmpfs, by ioctl on any of its directories or files.
 */
#ifndef ZTMPFS_CONTROL_H
#define ZTMPFS_CONTROL_H

#include <stdint.h>
#include <sys/ioctl.h>

/*
 * What the structs here mean. They grow at their end only, and the number of a request names the size
 * of its struct: a daemon takes and gives as many bytes as the caller has, and struct_size says how
 * many of an answer hold something. So either side may be the newer one. Where a meaning changes this
 * number does, and requests with another one are refused: EPROTO.
 */
#define ZTMPFS_STAT_VERSION 1u

/*
 * Who serves a mount. This struct stays as it is in all versions; everybody who can open something of
 * the mount may ask.
 */
struct ztmpfs_info {
	uint32_t version; /* the daemon's ZTMPFS_STAT_VERSION */
	uint32_t struct_size;
	uint32_t pid; /* of the daemon, as it sees itself */
	uint32_t flags; /* ZTMPFS_INFO_... */
	char release[32]; /* of the daemon: "0.1.0" */
	char options[448]; /* mount options that hold now, between commas */
	uint64_t requests; /* the daemon's ZTMPFS_REQUESTS; 0: it is older than these */
	uint64_t reserved;
};
#define ZTMPFS_INFO_REPLACED 1u /* its program has been replaced, or removed, since it was started */
#define ZTMPFS_IOC_INFO	     _IOR('Z', 32, struct ztmpfs_info)

/* Lengths of the histograms in struct ztmpfs_stat, and kinds of locks. */
#define ZTMPFS_STAT_BATCHES   9u
#define ZTMPFS_STAT_LATENCIES 32u
#define ZTMPFS_STAT_LOCKS     12u

/*
 * Counters with zram's names have zram's meanings; where zram counts bytes these are bytes, where
 * it counts pages these are pages of 4096 bytes.
 */
struct ztmpfs_stat {
	uint32_t version; /* ZTMPFS_STAT_VERSION */
	uint32_t struct_size;
	char compress[32]; /* algorithm */
	char recompress[32]; /* algorithm for what lies idle; empty: off */
	char degraded[96]; /* why managed streams are off though asked for; empty otherwise */
	/* zram's mm_stat */
	uint64_t orig_data_size; /* bytes of file content stored, same-filled pages included */
	uint64_t compr_data_size; /* bytes of the objects */
	/* bytes of memory the daemon holds: the arena, and what only this process has */
	uint64_t mem_used_total;
	uint64_t mem_limit; /* bytes, 0: none */
	uint64_t mem_used_max;
	uint64_t same_pages;
	uint64_t pages_compacted;
	uint64_t huge_pages; /* pages stored incompressible now */
	uint64_t huge_pages_since; /* pages ever stored incompressible */
	/* limits and inodes */
	uint64_t size_limit; /* size=, bytes; 0: none */
	uint64_t inodes_used, inodes_limit; /* limit 0: none */
	uint64_t heap_used; /* bytes the daemon's allocator holds */
	/* streams */
	uint64_t streams; /* per-thread */
	uint64_t managed; /* 1: managed streams are on */
	uint64_t compress_calls, compress_in, compress_out;
	uint64_t managed_calls, managed_in, managed_out;
	uint64_t decompress_calls, decompress_in, decompress_out;
	uint64_t fallback_no_stream, fallback_busy, fallback_error;
	uint64_t queued_now, queued_max;
	/* clusters */
	uint64_t cluster_size; /* bytes, of new files */
	uint64_t folds;
	uint64_t overwrites_in_place;
	/* recompression */
	uint64_t recompressed; /* objects that were made smaller */
	uint64_t recompress_kept; /* tried in vain */
	uint64_t recompress_saved; /* bytes of room */
	uint64_t recompress_passes; /* times that all objects were looked at */
	uint64_t recompress_pauses; /* waits for requests to become fewer */
	uint64_t recompress_pressures; /* passes because memory was short */
	uint64_t dicts, dict_bytes; /* dictionaries made from small files, and their bytes */
	uint64_t dict_objects; /* objects that are stored with one */
	/* accelerator: why the thread's own stream did the work, besides the three above */
	uint64_t fallback_bad_stream; /* the stream's buffers were too small */
	uint64_t fallback_timeout; /* deadline missed */
	uint64_t fallback_reset; /* the device was reset */
	uint64_t fallback_dead; /* the engine died */
	uint64_t fallback_shutdown; /* stopped, or switched off */
	uint64_t fallback_inflight; /* too many bytes were in flight */
	/* accelerator: the device */
	uint64_t accel_engines; /* running now */
	uint64_t accel_completed; /* requests ended, in whatever way */
	uint64_t accel_late; /* results that came after their request had been given up */
	uint64_t accel_resets;
	uint64_t accel_restarts; /* of engines that had died */
	/* requests that an engine took at once: [i] counts batches of 2^i to 2^(i+1) - 1 */
	uint64_t accel_batches[ZTMPFS_STAT_BATCHES];
	/* managed compressions by their time from submit to completion: [i] counts 2^i to
	   2^(i+1) - 1 ns */
	uint64_t managed_latency[ZTMPFS_STAT_LATENCIES];
	/* writes that a request's thread left to be completed by an engine's */
	uint64_t async_writes;
	uint64_t inflight_now, inflight_max, inflight_limit; /* bytes with the accelerator */
	/* copies that share */
	uint64_t
		shared_pages; /* pages whose cluster shares its object, or did before the others went */
	/* memory */
	uint64_t arena_used; /* bytes of the arena: objects, fragmentation, metadata */
	uint64_t mem_counted; /* bytes that count against mem_limit */
	uint64_t mem_set_aside; /* of these, for streams, buffers and tables, in use or not */
	/* memory kept ready for swap; all 0 without -o swap */
	uint64_t swap_reserve; /* bytes to keep ready */
	uint64_t swap_ready; /* bytes ready now */
	uint64_t swap_waits; /* times that a write had to wait for it, */
	uint64_t swap_timeouts; /* and in vain */
	/* how near mem_limit is: ZTMPFS_MEM_... */
	uint64_t mem_level;
	/*
	 * locks that a thread found taken, by kind: file, dir, rename, slot, share, class, page, compact,
	 * arena, stream, batch, transport
	 */
	uint64_t lock_waits[ZTMPFS_STAT_LOCKS];
	uint64_t lock_wait_ns[ZTMPFS_STAT_LOCKS]; /* what that took, all threads together */
	/* pages ever stored without a try, since the file had proved not to compress */
	uint64_t huge_pages_skipped;
	/* deduplication of what lies idle */
	uint64_t dedup_joined; /* objects that were given up for another's */
	uint64_t dedup_saved; /* bytes of room that they had had */
	uint64_t dedup_index; /* bytes of heap for finding them */
	uint64_t reads_split; /* large reads that several threads unpacked */
	/* survive=on; all 0 without */
	uint64_t lives; /* processes that have served the mount, this one among them */
	uint64_t kills_survived; /* how many of them died */
	uint64_t outage_ns; /* from the last death until requests were served again */
	uint64_t requests_resent; /* by the kernel, after deaths */
	uint64_t requests_done; /* of these: had been done already, and were answered only */
	uint64_t requests_poisoned; /* answered with an error, since the daemon died of them */
	uint64_t repairs; /* things put right in memory after deaths */
	/* what came to the daemon; the kernel serves by itself what it has pages of */
	uint64_t requests; /* of any kind */
	uint64_t bytes_read, bytes_written; /* of contents */
	uint64_t recompress_undone; /* objects stored as they were written again, since they were read */
	/* spill=; all 0 without */
	uint64_t spill_size; /* bytes that may be used of it */
	uint64_t spill_used; /* bytes in use */
	uint64_t spill_bytes, spill_objects; /* that are out */
	uint64_t spill_written; /* objects, ever */
	uint64_t spill_fetched; /* objects that were read */
	uint64_t spill_passes; /* times that it was looked what could go */
	uint64_t spill_write_errors, spill_read_errors;
	uint64_t image_bytes; /* compressed contents that stay in the file of image=; 0: in memory */
	/* packs of small files; all 0 without packs=on */
	uint64_t packs; /* objects that hold several files */
	uint64_t packed_pages; /* pages of files in them */
	uint64_t pack_joined; /* files that were packed, ever */
	uint64_t pack_saved; /* bytes of room that they had had beyond the packs' */
	uint64_t packs_remade; /* without what was gone */
	uint64_t reserved[1];
};

/* Levels of ztmpfs_stat.mem_level. The reserve does not count as used. */
#define ZTMPFS_MEM_OK       0u
#define ZTMPFS_MEM_WARNING  1u /* three quarters of mem_limit are used */
#define ZTMPFS_MEM_CRITICAL 2u /* nine tenths */
#define ZTMPFS_MEM_FULL     3u /* less than 1 MiB is left: writes are refused, or soon will be */

#define ZTMPFS_IOC_STAT _IOR('Z', 1, struct ztmpfs_stat)

/* Fold, compact, give memory back: out, bytes of memory given back. For the mount's owner. */
#define ZTMPFS_IOC_COMPACT _IOR('Z', 16, uint64_t)

/*
 * Have everything recompressed now, in the background: out, the number that recompress_passes will
 * exceed when it is done. EOPNOTSUPP: recompression is off. For the mount's owner.
 */
#define ZTMPFS_IOC_RECOMPRESS _IOR('Z', 17, uint64_t)

/*
 * Have all that can go out to the spill file go there, in the background: out, the number that
 * spill_passes will exceed when it is done. EOPNOTSUPP: without spill=. For the mount's owner.
 */
#define ZTMPFS_IOC_SPILL _IOR('Z', 27, uint64_t)

/*
 * Bring what is out of a regular file back: out, 0. For users who may read it. EOPNOTSUPP: without
 * spill=; ENOSPC: there is no memory for more; EIO: some of it cannot be read.
 */
#define ZTMPFS_IOC_FETCH _IOR('Z', 28, uint64_t)

/* What one way of storing holds of a file. */
#define ZTMPFS_FILE_CODECS 16u
struct ztmpfs_file_codec {
	char name[24]; /* algorithm; "none": stored as it is; "same": one repeated value */
	uint64_t pages; /* of 4096 bytes, uncompressed */
	uint64_t stored; /* bytes */
};

/* What a regular file holds and costs. On a directory and others only the inode is counted. */
struct ztmpfs_file_stat {
	uint32_t version; /* ZTMPFS_STAT_VERSION */
	uint32_t struct_size;
	uint64_t ino;
	uint64_t size; /* bytes, as stat(2) says */
	uint64_t allocated; /* bytes of pages that hold data, uncompressed */
	uint64_t stored; /* bytes of its objects */
	uint64_t memory; /* bytes of memory for objects, tables and the inode */
	uint64_t objects;
	uint64_t cluster_size; /* bytes */
	struct ztmpfs_file_codec codecs[ZTMPFS_FILE_CODECS]; /* unused ones: pages is 0 */
	uint64_t out; /* bytes of its objects in the spill file, in none of the others */
	uint64_t objects_out;
	uint64_t reserved[6];
};
#define ZTMPFS_IOC_FILE_STAT _IOR('Z', 18, struct ztmpfs_file_stat)

#define ZTMPFS_ATTR_CLUSTER  1u
#define ZTMPFS_ATTR_COMPRESS 2u

/* How a regular file's new contents are stored, and what is made in a directory inherits. */
struct ztmpfs_file_attr {
	uint32_t version; /* ZTMPFS_STAT_VERSION */
	uint32_t which; /* ZTMPFS_ATTR_...: what is to be set */
	uint64_t cluster_size; /* bytes: a power of two, 4096 to 131072 */
	int32_t level; /* INT32_MIN: the algorithm's own */
	char compress[28]; /* algorithm; "default": as the mount has it; "none": as it is */
	uint64_t reserved[2]; /* 0 */
};
#define ZTMPFS_IOC_GET_ATTR _IOR('Z', 19, struct ztmpfs_file_attr)

/*
 * For the file's owner. ENOTEMPTY: another cluster_size for a file that has contents. ENOENT: no
 * such algorithm is built in. ENOSPC: the mount has as many different ones as it takes. EDQUOT: this
 * user was the first to ask for two of these, and both are in use.
 */
#define ZTMPFS_IOC_SET_ATTR _IOW('Z', 20, struct ztmpfs_file_attr)

#define ZTMPFS_POOL_CLASSES 120u /* in one answer */
#define ZTMPFS_POOL_GROUPS  10u
#define ZTMPFS_POOL_ORDERS  11u

/* One size class of a pool, as zsmalloc's debugfs shows it. */
struct ztmpfs_pool_class {
	uint32_t idx;
	uint32_t size; /* bytes of the room of one object, with 8 for its header */
	uint32_t pages_per_zspage; /* most; a zspage holds only the pages that its objects need */
	uint32_t objs_per_zspage;
	uint64_t obj_allocated; /* rooms of all zspages, in use or not */
	uint64_t obj_used;
	uint64_t obj_bytes; /* bytes of the objects themselves */
	uint64_t pages_used; /* memory, in pages of 4096 bytes */
	uint64_t pages_cached; /* of these, pages that no object uses */
	uint64_t freeable; /* of pages_used, pages that compaction could give back at best */
	uint32_t groups[ZTMPFS_POOL_GROUPS]; /* zspages: empty, up to 1/8 .. below 8/8, all full */
};

/*
 * A pool and some of its classes; and the arena that holds all pools. Each class is counted at a
 * moment of its own.
 */
struct ztmpfs_pool_stat {
	uint32_t version; /* in and out: ZTMPFS_STAT_VERSION */
	uint32_t struct_size;
	uint32_t pool; /* in: 0 to nr_pools - 1 */
	uint32_t first; /* in: 0 at first, then next of the answer before */
	uint32_t nr_pools;
	uint32_t nr_classes; /* entries of classes that are filled; empty classes are left out */
	uint32_t next; /* 0: there are no more classes */
	uint32_t reserved0;
	char name[16]; /* of the pool */
	uint64_t pages_compacted; /* pages that compaction of the pool has given back */
	uint64_t resident; /* bytes of memory of all pools, superblock and page map */
	uint64_t range; /* bytes of address range in use; they cost nothing by themselves */
	uint64_t range_runs; /* of these, bytes that zspages cover */
	uint64_t range_free[ZTMPFS_POOL_ORDERS]; /* [i]: free blocks of 2^i pages */
	struct ztmpfs_pool_class classes[ZTMPFS_POOL_CLASSES];
	uint64_t reserved[8];
};

/* What can be changed while a mount is in use: bits of ztmpfs_set.which. */
#define ZTMPFS_SET_SIZE	      1u
#define ZTMPFS_SET_INODES     2u
#define ZTMPFS_SET_MEM	      4u
#define ZTMPFS_SET_COMPRESS   8u
#define ZTMPFS_SET_RECOMPRESS 16u
#define ZTMPFS_SET_IDLE	      32u
#define ZTMPFS_SET_DEDUP      64u

struct ztmpfs_set {
	uint32_t version; /* ZTMPFS_STAT_VERSION */
	uint32_t struct_size;
	uint32_t which; /* ZTMPFS_SET_... */
	int32_t level; /* of compress; INT32_MIN: the algorithm's own */
	uint64_t size, nr_inodes, mem_limit; /* as their options; 0: no limit */
	char compress[28]; /* an algorithm that is built in, "none", or "default": as mounted */
	uint32_t recompress; /* 0: off, 1: as mounted */
	uint32_t idle; /* seconds without use */
	uint32_t dedup; /* 0: off, 1: on */
	uint64_t reserved[4];
};

/*
 * For those who may ask for ZTMPFS_IOC_STAT. All is done, or nothing. EBUSY: a limit is below what is
 * used; EOPNOTSUPP: recompress or dedup of a mount that was mounted without; EINVAL, ENOENT, ENOSPC:
 * as for ZTMPFS_IOC_SET_ATTR, and a mount for swap has a mem_limit.
 */
#define ZTMPFS_IOC_SET _IOW('Z', 33, struct ztmpfs_set)

/* EINVAL: no such pool or class. */
#define ZTMPFS_IOC_POOL_STAT _IOWR('Z', 24, struct ztmpfs_pool_stat)

#define ZTMPFS_TRACE_START 1u /* out: id */
#define ZTMPFS_TRACE_FETCH 2u /* in: id; out: bytes, len, left, lost */
#define ZTMPFS_TRACE_STOP  3u /* in: id; record nothing more: the FETCH that finds nothing left ends it */

#define ZTMPFS_TRACE_CONTENTS 1u /* of START: what was to be compressed, too */

#define ZTMPFS_TRACE_BYTES 16000u /* in one answer */

/*
 * What is asked of codecs, recorded in a ring of bounded length and fetched in time. What follows one
 * behind the other is a sequence of struct trace_record (util/trace.h), each with its contents, cut at
 * any byte. A trace of which nothing is fetched for 10 seconds ends when another is begun, or its ring
 * is full.
 */
struct ztmpfs_trace {
	uint32_t version; /* in and out: ZTMPFS_STAT_VERSION */
	uint32_t struct_size;
	uint32_t op; /* in: ZTMPFS_TRACE_START, FETCH, STOP */
	uint32_t flags; /* in: ZTMPFS_TRACE_CONTENTS */
	uint64_t id; /* of the trace */
	uint64_t left; /* bytes that wait to be fetched */
	uint64_t lost; /* records that found no space in the ring, since START */
	uint32_t len; /* of bytes, those that are filled */
	uint32_t reserved0; /* 0 */
	uint64_t reserved[5]; /* 0 */
	char bytes[ZTMPFS_TRACE_BYTES];
};

/*
 * For root and the user who runs the daemon alone: sizes and contents are those of all users' files.
 * EBUSY: somebody traces already; ESRCH: there is no such trace; ENOSPC: mem_limit leaves no space.
 */
#define ZTMPFS_IOC_TRACE _IOWR('Z', 34, struct ztmpfs_trace)

/* What is asked for by ztmpfs_upgrade.op. */
#define ZTMPFS_UPGRADE_START 1u /* in: ticket, path, dev, ino; out: state, text */
#define ZTMPFS_UPGRADE_ASK   2u /* in: ticket; out: the rest but for path */

/* What has come of it. */
#define ZTMPFS_UPGRADE_NONE    0u /* there was none of this ticket */
#define ZTMPFS_UPGRADE_RUNS    1u
#define ZTMPFS_UPGRADE_DONE    2u /* who answers is the new program */
#define ZTMPFS_UPGRADE_REFUSED 3u /* it could not go on with the mount, as text says; nothing has happened */
#define ZTMPFS_UPGRADE_DIED    4u /* it ended before it served: the program before is back */
#define ZTMPFS_UPGRADE_LATE    5u /* it did not serve in ten seconds: the program before is back */

/* Another program goes on with a mount that outlives its daemon. */
struct ztmpfs_upgrade {
	uint32_t version; /* in and out: ZTMPFS_STAT_VERSION */
	uint32_t struct_size;
	uint32_t op; /* in: ZTMPFS_UPGRADE_... */
	uint32_t state; /* ZTMPFS_UPGRADE_... */
	uint64_t ticket; /* any number but 0, another one each time */
	uint64_t dev, ino; /* of the file, as stat(2) has them; ino 0: any */
	uint64_t outage_ns; /* how long requests waited */
	uint32_t pid; /* of the daemon that answers, as it sees itself */
	uint32_t reserved0;
	char release[32]; /* its release */
	char text[256]; /* why, where it is known */
	uint64_t reserved[4]; /* 0 */
	char path[4096]; /* absolute, of the program; empty: what stands where the daemon's came from */
};

/*
 * For root and the user who runs the daemon alone: it decides what that user's process runs.
 * EOPNOTSUPP: survive=off; EBUSY: another one runs; ESTALE: path is another file for the daemon.
 */
#define ZTMPFS_IOC_UPGRADE _IOWR('Z', 35, struct ztmpfs_upgrade)

#define ZTMPFS_CLONE_NAME 256u /* bytes, a NUL among them */

/* Leave out the directory that the copy is put into, if it is part of the tree. */
#define ZTMPFS_CLONE_SNAPSHOT 1u

/*
 * A copy of a file or a tree of this mount, asked of the directory that it is put into: an empty one,
 * of which the caller is the owner and which he has just made, so that no program has looked for a
 * name in it. What the caller has in the page cache is not part of it: syncfs(2) before.
 */
struct ztmpfs_clone {
	uint32_t version; /* ZTMPFS_STAT_VERSION */
	uint32_t struct_size;
	uint32_t flags; /* ZTMPFS_CLONE_... */
	uint32_t reserved0; /* 0 */
	uint64_t from; /* inode number of the directory that the original is in, or its own */
	char from_name[ZTMPFS_CLONE_NAME]; /* in that directory; empty: that directory */
	char to_name[ZTMPFS_CLONE_NAME]; /* of the copy */
	uint64_t made; /* out: inodes and further names; 1 may stand for more where the daemon died meanwhile */
	uint64_t reserved[4]; /* 0 */
};

/*
 * EACCES: the caller may not read or search something of it. EPERM: the directory is not fresh, or
 * another user's; device nodes. ENOTEMPTY. EINVAL: the copy would be part of its original. EINTR: nothing was made. EOPNOTSUPP: with -o swap.
 */
#define ZTMPFS_IOC_CLONE _IOWR('Z', 25, struct ztmpfs_clone)

#define ZTMPFS_SAVE_BEGIN 1u /* out: all but held */
#define ZTMPFS_SAVE_CHECK 2u /* in: id; out: held */

#define ZTMPFS_SAVE_FACTS 512u

/*
 * What the mount holds at this moment, read through the file on which it is asked: a regular one
 * without a name, which the caller has open. From BEGIN on a read of it gives pages, nr_pages of 4096
 * bytes, and behind them nr_extents pairs of two 32-bit numbers: where the next pages belong, and how
 * many of them. Read around the page cache, in order, at places and in lengths that are multiples of
 * 4096. It ends with the file's last descriptor.
 *
 * CHECK after the last read tells whether all of them were answered from it: a daemon that was started
 * again has it no longer. What the caller has in the page cache is not part of it: syncfs(2) before.
 */
struct ztmpfs_save {
	uint32_t version; /* ZTMPFS_STAT_VERSION */
	uint32_t struct_size;
	uint32_t op; /* in: ZTMPFS_SAVE_... */
	uint32_t facts_size; /* bytes of facts that are filled */
	uint64_t id;
	uint64_t reserve; /* bytes of address range that the extents lie in */
	uint64_t nr_pages, nr_extents;
	uint64_t pause_ns; /* that requests waited for the moment */
	uint64_t held; /* bytes of memory for pages that have changed since */
	uint64_t reserved[6]; /* 0 */
	char facts[ZTMPFS_SAVE_FACTS]; /* struct image_facts (image/format.h) */
};

/*
 * For root and the user who runs the daemon alone, as ZTMPFS_IOC_TRACE: EACCES. EINVAL: the file has a name, or
 * is none. EBUSY: somebody saves already, or requests under way did not end. ENOSPC: mem_limit leaves
 * no space. ESTALE: CHECK of another one. EOPNOTSUPP: with -o swap; a kernel before 5.19. EPERM, ENOSYS
 * from there: userfaultfd(2) is forbidden.
 */
#define ZTMPFS_IOC_SAVE _IOWR('Z', 26, struct ztmpfs_save)

#define ZTMPFS_CONTROL_BIT(request) (UINT64_C(1) << _IOC_NR(request))

/*
 * All requests that there are here, a bit for the number of each: tells builds of one release apart.
 * A daemon takes those that stand here, and no others.
 */
#define ZTMPFS_REQUESTS                                                                            \
	(ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_INFO) | ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_STAT) |               \
	 ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_COMPACT) | ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_RECOMPRESS) |      \
	 ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_SPILL) | ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_FETCH) |             \
	 ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_FILE_STAT) | ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_GET_ATTR) |      \
	 ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_SET_ATTR) | ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_SET) |            \
	 ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_POOL_STAT) | ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_TRACE) |         \
	 ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_UPGRADE) | ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_CLONE) |           \
	 ZTMPFS_CONTROL_BIT(ZTMPFS_IOC_SAVE))

#endif
