/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuse_ops.h - the one table of FUSE requests, and what a session around it needs.
 *
 * Only this folder and the daemon know libfuse. A handler turns one request into one call of the fs
 * layer and one reply; it holds no lock and keeps nothing between requests.
 */
#ifndef ZT_FUSE_FUSE_OPS_H
#define ZT_FUSE_FUSE_OPS_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 14)
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fs/super.h"
#include "fuse/buffers.h"
#include "fuse/full.h"
#include "fuse/notify.h"
#include "fuse/op_write.h"
#include "fuse/retry.h"
#include "fuse/seek.h"
#include "fuse/traffic.h"
#include "util/compiler.h"

/* The largest READ and WRITE: what one request carries at most without raising a sysctl. */
#define ZTFUSE_IO_MAX (1024u * 1024u)
/* The least that it may be set to: a default cluster, so that it comes in one piece. */
#define ZTFUSE_IO_MIN (64u * 1024u)

enum ztfuse_cache {
	ZTFUSE_CACHE_WRITEBACK, /* the kernel keeps pages and writes them later */
	ZTFUSE_CACHE_THROUGH, /* the kernel keeps pages, every write(2) is a request */
	ZTFUSE_CACHE_NEVER, /* no pages in the kernel: every read and write is a request */
};

/*
 * Whether this process is about to leave the mount to another one. What it cannot serve as always then
 * gets no answer: the kernel sends it to the next one again.
 */
enum ztfuse_leaves {
	ZTFUSE_STAYS,
	ZTFUSE_LEAVES, /* requests are still served */
	ZTFUSE_HAS_LEFT, /* no more replies */
};

struct ledger;
struct transport;
struct ztmpfs_upgrade;

/*
 * Userdata of a session. Made by the caller, outlives the session. Immutable once requests are
 * served, but for what is set with initialised, by the thread that serves INIT, before any other
 * thread exists.
 */
struct ztfuse {
	struct super *sb;
	enum ztfuse_cache cache;
	bool xattr; /* there are extended attributes; ztfuse_init() says so, the caller may differ */
	bool initialised; /* INIT was negotiated */
	/* What older kernels do not check before they ask; with initialised: */
	bool raw_chattr; /* before 5.13: whether the caller may set a file's flags */
	bool raw_sgid; /* before 6.0: whether it may make a program with a group's rights */
	bool kernel_times; /* the kernel keeps mtime and ctime of regular files; with initialised */
	struct fuse_session *se; /* for notifications; ztfuse_session_new()'s */
	/*
	 * Requests say whether they clear set-ID bits (HANDLE_KILLPRIV_V2); set with initialised.
	 */
	bool kills_setid;
	/*
	 * Callers, by thread, and inodes whose capability they have just had removed; see
	 * attr_capability_gone(). Relaxed: each caller waits for its own requests.
	 */
	_Atomic uint64_t capability_gone[16];
	/* Requests under way, for a mount that outlives its daemon; the daemon's. NULL: it does not */
	struct ledger *ledger;
	/* ZTMPFS_IOC_UPGRADE, in the thread that serves it; the daemon's. Return: 0 or -errno. */
	int (*upgrade)(void *arg, struct ztmpfs_upgrade *inout_upgrade); /* NULL: it cannot be */
	void *upgrade_arg;
	atomic_uint leaves; /* enum ztfuse_leaves; relaxed */
	struct transport *transport; /* NULL: requests come through libfuse's own loop */
	struct ztfuse_buffers buffers; /* for reads, io_max bytes each */
	struct ztfuse_seeker seeker;
	struct ztfuse_writers writers;
	struct ztfuse_retry retry;
	struct ztfuse_notifier notifier;
	atomic_int nr_dropping; /* threads that have pages dropped by themselves; see op_write.c */
	struct ztfuse_full full;
	struct ztfuse_traffic traffic;
	uint32_t io_max; /* most bytes of a READ or WRITE: ZTFUSE_IO_MAX, or less */
	bool keeps_buffers; /* never gives memory of buffers back */
};

/* What ztfuse_session_new() hands to libfuse. */
struct ztfuse_session_params {
	const char *mount_opts; /* libfuse's mount options, escaped as fuse_opt has it; NULL or "":
				   none */
	bool debug; /* print every request */
};

/** ztfuse_init() - set up @front for the mount @sb, which outlives it */
void ztfuse_init(struct ztfuse *front, struct super *sb, enum ztfuse_cache cache);

/**
 * ztfuse_prepare_swap() - requests of ZTFUSE_SWAP_IO_MAX bytes at most, and a buffer for each of
 * @nr_threads that reads at a time, kept for good
 * Right after ztfuse_init(). Return: 0 or -ENOMEM.
 */
#define ZTFUSE_SWAP_IO_MAX (128u * 1024u)
int ztfuse_prepare_swap(struct ztfuse *front, unsigned nr_threads) ZT_MUST_CHECK;

/** ztfuse_leaves() - requests that cannot be served as always are left to another process */
static inline bool ztfuse_leaves(const struct ztfuse *front)
{
	return atomic_load_explicit(&front->leaves, memory_order_relaxed) != ZTFUSE_STAYS;
}

/** ztfuse_exit() - give back what it holds; no request is served any more */
void ztfuse_exit(struct ztfuse *front);

/**
 * ztfuse_session_new() - a session around the table of requests
 * Return: 0 or -EINVAL; libfuse has logged why.
 */
int ztfuse_session_new(struct ztfuse *front, const struct ztfuse_session_params *params,
		       struct fuse_session **out_se) ZT_MUST_CHECK;

#endif
