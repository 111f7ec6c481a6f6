/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * full.h - what requests do about a mount that is nearly full; doc/design/full.md has the whole.
 *
 * The kernel takes write(2) into its pages and asks us later, so that a full mount would refuse
 * what has been acknowledged. Near the limit the kernel is made to ask within write(2). Handlers
 * say here what they see; a thread of the daemon's (daemon/full.h) acts on it.
 *
 * Locks: full.lock, innermost; no request is made and nothing is called under it.
 */
#ifndef ZT_FUSE_FULL_H
#define ZT_FUSE_FULL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "util/compiler.h"
#include "util/lock.h"

struct ztfuse;
struct fuse_req; /* libfuse's: a fuse_req_t is a pointer to it */

/* An inode of which a delayed write was refused, until the kernel knows the truth again. */
struct full_refusal {
	struct full_refusal *next;
	uint64_t ino;
	uint64_t from, to; /* bytes that were refused, or lie between such */
	unsigned nr; /* refusals so far */
};

/* Part of struct ztfuse. Atomics are relaxed hints: a thread that needs more takes the lock. */
struct ztfuse_full {
	_Atomic uint64_t low; /* bytes: with less space left the thread is woken; 0: never */
	_Atomic uint64_t near_at; /* bytes: with less left the kernel asks in write(2); 0: never */
	/* Until what is delayed is safe, and where there is a thread that sees to it; else 0, both: */
	_Atomic uint64_t leave; /* bytes that what was not delayed leaves to what was */
	_Atomic uint64_t pace_at; /* bytes: with less left delayed writes are paced */
	atomic_bool through; /* answers make the kernel write through, see full_attr() */
	atomic_uint nr_refusals; /* in the list below */
	/* The thread that mends sizes, as the kernel names it; 0: there is none. Set before it asks. */
	_Atomic pid_t mender;
	_Atomic int mender_fd; /* the file that it mends, open */
	bool flush; /* FLUSH tells of refusals; set before requests are served */
	struct mutex lock;
	pthread_cond_t wake; /* for the thread; by CLOCK_MONOTONIC */
	pthread_cond_t changed; /* for requests that wait; by CLOCK_MONOTONIC */
	/* Guarded by lock: */
	bool runs; /* there is a thread */
	bool woken, stop; /* for it */
	bool safe; /* what was delayed when the limit came near has been stored */
	uint64_t paced_until; /* zt_now_ns(): when the last write that is paced may go on */
	unsigned nr_expected; /* requests that want it so */
	struct full_refusal *refusals; /* that the kernel's view is to be mended for */
	struct full_refusal *untold; /* for FLUSH: nobody has heard of them */
};

void full_init(struct ztfuse_full *full);

/** full_exit() - neither requests nor the thread run any more */
void full_exit(struct ztfuse_full *full);

/* For handlers ------------------------------------------------------------ */

/** full_written() - after what took space: wakes the thread when little is left. Any thread. */
void full_written(struct ztfuse *front);

/**
 * full_refused() - a delayed write is about to be answered with an error
 * From here on stat(2) of the inode waits for the truth. Any thread.
 */
void full_refused(struct ztfuse *front, uint64_t ino, uint64_t off, uint64_t len);

/** full_told() - for FLUSH: whether nobody has heard of a refusal of this inode; now one has */
bool full_told(struct ztfuse_full *full, uint64_t ino);

/** full_forget() - the inode is cut to nothing: nothing is left to tell */
void full_forget(struct ztfuse_full *full, uint64_t ino);

/**
 * full_wait() - wait until the kernel knows the truth about an inode, a second at most
 * @by_handle: the kernel may hold a lock that mending takes; so only some milliseconds
 */
void full_wait(struct fuse_req *req, uint64_t ino, bool by_handle);

/**
 * full_expect() - before a request that takes @bytes of space at once
 * Where too little would be left for what the kernel holds for writing, wait until that is stored.
 * Return: whether full_expected() must follow the request.
 */
bool full_expect(struct fuse_req *req, uint64_t bytes) ZT_MUST_CHECK;
void full_expected(struct ztfuse_full *full);

/** full_leave() - before a write of @bytes that was not delayed: as full_expect(), near the limit */
void full_leave(struct fuse_req *req, uint64_t bytes);

/**
 * full_pace() - before a delayed write of @bytes: near the limit they go on one after another, the
 * slower the less is left, until the kernel asks in write(2)
 * Context: writes nothing yet. A thread that serves requests waits for some milliseconds at most.
 * Return: true: the request is taken care of, its handler runs again when its time has come.
 */
bool full_pace(struct fuse_req *req, uint64_t bytes) ZT_MUST_CHECK;

/** full_mends() - whether a SETATTR that cuts comes from the thread that mends sizes */
bool full_mends(struct fuse_req *req);

/** full_kernel_size() - the size that the kernel believes in; no request. Return: 0 or -errno. */
int full_kernel_size(int fd, uint64_t *out_size) ZT_MUST_CHECK;

/**
 * full_mend() - its answer: nothing is cut here, but the kernel takes the size from @out_attr
 * The kernel holds the inode's lock and has no write under way. Where it has no page to write
 * either, the true size is ours; else the kernel's stays as it is.
 * Return: 0, -ESTALE; others: nothing is known, and nothing is changed.
 */
int full_mend(struct fuse_req *req, uint64_t ino, struct stat *out_attr) ZT_MUST_CHECK;

/** full_asks() - whether the kernel is to ask for attributes of such a file each time */
static inline bool full_asks(const struct ztfuse_full *full, mode_t mode)
{
	return unlikely(atomic_load_explicit(&full->through, memory_order_relaxed) ||
			atomic_load_explicit(&full->nr_refusals, memory_order_relaxed) > 0) &&
	       S_ISREG(mode);
}

/**
 * full_attr() - make attributes an answer to GETATTR by a handle
 * The kernel sends it before each cached write(2) when it keeps none. Where it finds a set-user-ID
 * bit, and the caller may not keep that, the write is not delayed. Programs never see the bit:
 * stat(2) comes without a handle, and asks anew.
 */
static inline void full_attr(const struct ztfuse_full *full, struct stat *attr)
{
	if (unlikely(atomic_load_explicit(&full->through, memory_order_relaxed)) &&
	    S_ISREG(attr->st_mode))
		attr->st_mode |= S_ISUID;
}

/* For the thread ----------------------------------------------------------- */

/** full_set_safe() - what was delayed is stored, or new writes are delayed again */
void full_set_safe(struct ztfuse_full *full, bool safe);

/** full_next() - a refusal to mend, which stays in the list; false: there is none */
bool full_next(struct ztfuse_full *full, struct full_refusal *out_refusal);

/** full_mended() - the kernel knows the truth about what @refusal says */
void full_mended(struct ztfuse_full *full, const struct full_refusal *refusal);

/** full_sleep() - until the thread is woken, or @ns are over (0: without end). False: to end. */
bool full_sleep(struct ztfuse_full *full, uint64_t ns);

/** full_expects() - whether a request waits, or has not ended yet */
bool full_expects(struct ztfuse_full *full);

#endif
