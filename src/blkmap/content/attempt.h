/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * attempt.h - a cluster's change that is prepared without its slot lock: the protocol, once.
 *
 *     look()      under the shared lock: what the change needs of the cluster is copied
 *     prepare()   under none: compresses, allocates
 *     publish()   under the exclusive lock, if the lock's seq is what it was in look()
 *     end()       under none: gives up what has become superfluous, old or new
 *
 * When seq has moved, the round is lost, and the next one begins with a look at what is there now.
 * seq belongs to the lock, and a lock to a 1024th of all clusters: so rounds are lost by changes of
 * neighbours, too. After ATTEMPTS lost ones a change that may keep the lock takes it exclusive from
 * look to publish, so that it certainly comes to an end. Then, and only then, prepare() runs under the
 * slot lock, and compresses under it: requests for other clusters under that lock wait meanwhile.
 *
 * Locks: prepare() may take a stream of another codec and the pool's and arena's locks, kept or not.
 */
#ifndef ZT_BLKMAP_CONTENT_ATTEMPT_H
#define ZT_BLKMAP_CONTENT_ATTEMPT_H

#include "blkmap/cluster/cluster.h"

#define ATTEMPTS 4u

/* What look() returns when there is nothing to be changed: the attempt ends with success. */
#define ATTEMPT_DONE 1

/* A kind of change; @arg is the caller's of attempt_run(). Each returns 0 or -errno. */
struct attempt_ops {
	/* Begins a round: sets all of *@arg that the later ones use. Or ATTEMPT_DONE. */
	int (*look)(const struct cluster *c, void *arg);
	/* @kept: the slot lock is held, so nothing that tries other slots' locks may be called. */
	int (*prepare)(const struct cluster *c, void *arg, bool kept);
	/* The cluster is as look() saw it. */
	int (*publish)(const struct cluster *c, void *arg);
	/* Ends every round, also one that failed in look(); no lock is held. NULL: nothing to do. */
	void (*end)(const struct cluster *c, void *arg);
	/* Whether the lock is kept in the end. False: -EAGAIN after ATTEMPTS rounds. */
	bool keeps_lock;
};

/**
 * attempt_run() - look, prepare, publish, until it is done
 *
 * Context: c->slot is held, or look() finds out by itself whether it is there. c->strm held, if the
 *          ops code anything; no slot lock.
 * Return:  0; what look(), prepare() or publish() failed with; -EAGAIN as keeps_lock says.
 */
int attempt_run(const struct cluster *c, const struct attempt_ops *ops, void *arg) ZT_MUST_CHECK;

/**
 * attempt_publish() - the last step alone, for a change that was prepared otherwise
 * @seq: what the lock's was when the caller looked; NULL: it replaces whatever is there
 *
 * Context: no slot lock. Return: what @publish returned; -EAGAIN seq has moved, it was not called.
 */
int attempt_publish(const struct cluster *c, const uint64_t *seq,
		    int (*publish)(const struct cluster *c, void *arg), void *arg) ZT_MUST_CHECK;

#endif
